"""The estimate of a fit: linear where the method is, and a warning that names the way out."""

import doctest
import warnings

import pytest

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.method import branch_cost as module
from small_text_comal.method.branch import ContrastiveBranch
from small_text_comal.method.branch_cost import branch_cost, warn_of_a_costly_fit

CHEAP = ContrastiveBranchArguments()


def test_docstring_examples():
    assert doctest.testmod(module).failed == 0


def test_the_cost_is_linear_in_labels_with_sampled_negatives_and_quadratic_without():
    sampled = [branch_cost(c, 64, CHEAP, 300) for c in (4000, 16000)]
    assert sampled[1].bytes / sampled[0].bytes == pytest.approx(4, rel=0.05)
    assert 3 < sampled[1].seconds / sampled[0].seconds < 4.2
    every = ContrastiveBranchArguments(sampled_negatives=None)
    full = [branch_cost(c, 64, every, 300).seconds for c in (4000, 16000)]
    assert full[1] / full[0] == pytest.approx(16, rel=0.1)


@pytest.mark.parametrize("options", [{}, {"decoupling": "none"}, {"reconstruction": False}])
def test_memory_counts_every_weight_five_times(options):
    arguments = ContrastiveBranchArguments(batch_size=1, **options)
    weights = sum(p.numel() for p in ContrastiveBranch(50, 64, arguments).parameters())
    assert branch_cost(50, 64, arguments, 100).bytes == pytest.approx(20 * weights, rel=0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"sub_feature_size": 32},
        {"latent_size": 64},
        {"max_epochs": 11},
        {"sampled_negatives": 513},
        {"sampled_negatives": None},
    ],
)
def test_more_of_anything_takes_longer(changes):
    more = ContrastiveBranchArguments(**changes)
    assert branch_cost(62, 384, more, 300).seconds > branch_cost(62, 384, CHEAP, 300).seconds


@pytest.mark.parametrize(
    "changes", [{"contrastive": False}, {"negatives": "none"}, {"decoupling": "none"}, {"reconstruction": False}]
)
def test_less_of_anything_is_faster(changes):
    less = ContrastiveBranchArguments(**changes)
    assert branch_cost(62, 384, less, 300).seconds < branch_cost(62, 384, CHEAP, 300).seconds


def test_no_documents_and_no_epochs_cost_no_time():
    assert branch_cost(62, 384, CHEAP, 0).seconds == 0
    assert branch_cost(62, 384, ContrastiveBranchArguments(max_epochs=0), 300).seconds == 0


def test_a_long_fit_warns_with_numbers_and_the_way_out():
    paper = ContrastiveBranchArguments.paper()
    with pytest.warns(
        RuntimeWarning, match=r"minutes on one CPU core and about [\d.]+ GiB of memory for 1,000 labels"
    ) as seen:
        warn_of_a_costly_fit(1000, 384, paper, 300)
    assert "set sampled_negatives=512, set sub_feature_size=16, set max_epochs=10" in str(seen[0].message)
    with pytest.warns(RuntimeWarning, match="branch takes about [\\d.]+ GiB of memory for"):
        warn_of_a_costly_fit(1000, 384, paper, 300, on_cpu=False)
    with pytest.warns(RuntimeWarning, match=r"lower sub_feature_size or max_epochs, or train without a branch"):
        warn_of_a_costly_fit(50_000, 768, CHEAP, 300)


def test_an_ordinary_fit_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_a_costly_fit(62, 384, CHEAP, 500)
        warn_of_a_costly_fit(1000, 128, CHEAP, 300)

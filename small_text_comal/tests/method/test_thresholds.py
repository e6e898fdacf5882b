"""Cuts against loops over every possible cut, their invariances, and the edges where nothing can be learned."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_text_comal.method.thresholds import (
    averaged_thresholds,
    centred,
    checked_thresholds,
    label_thresholds,
    micro_threshold,
)
from small_text_comal.metrics import macro_f1, micro_f1

# --- the oracles: every cut is tried, counts are made by loops --------------------------------------------------------


def cuts_by_loops(values):
    """Every cut that can tell two probabilities apart, highest first."""
    ends = [1.0, *sorted(set(values), reverse=True), 0.0]
    return [(above + below) / 2 for above, below in pairwise(ends)]


def counts_by_loops(values, truth, cut):
    tp = fp = fn = 0
    for value, positive in zip(values, truth, strict=True):
        predicted = value >= cut
        tp += bool(predicted and positive)
        fp += bool(predicted and not positive)
        fn += bool(not predicted and positive)
    return np.array([tp, fp, fn])


def f1_by_counts(counts):
    tp, fp, fn = counts
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0


def micro_by_loops(probabilities, labels):
    values, truth = probabilities.ravel().tolist(), labels.ravel().tolist()
    return max(cuts_by_loops(values), key=lambda cut: f1_by_counts(counts_by_loops(values, truth, cut)))


def label_by_loops(probabilities, labels, shrinkage=20):
    order = sorted(range(labels.shape[1]), key=lambda j: (-labels[:, j].sum(), -math.fsum(probabilities[:, j])))
    shared, before, cuts = micro_by_loops(probabilities, labels), np.zeros(3, dtype=int), {}
    for i, j in enumerate(order, start=1):
        values, truth = probabilities[:, j].tolist(), labels[:, j].tolist()

        def gain(cut, values=values, truth=truth, i=i, before=before):
            counts = counts_by_loops(values, truth, cut)
            return f1_by_counts(counts) / i + f1_by_counts(counts + before)

        cut = max(cuts_by_loops(values), key=gain)
        before = before + counts_by_loops(values, truth, cut)
        n = sum(truth)
        log_odds = [math.log(c / (1 - c)) for c in (cut, shared)]
        cuts[j] = 1 / (1 + math.exp(-(n * log_odds[0] + shrinkage * log_odds[1]) / (n + shrinkage)))
    return [cuts[j] for j in range(labels.shape[1])]


def random_case(seed, N=12, C=4):
    """Probabilities with ties, in eighths, and labels that depend on them; the last label has no positive."""
    rng = np.random.default_rng(seed)
    probabilities = rng.integers(1, 16, (N, C)) / 16
    labels = rng.random((N, C)) < probabilities
    labels[:, -1] = False
    return probabilities, labels


def distinct_case(seed, N=12, C=4):
    """As `random_case`, without ties."""
    rng = np.random.default_rng(seed)
    probabilities = rng.permutation(np.arange(1, N * C + 1)).reshape(N, C) / (N * C + 1)
    return probabilities, rng.random((N, C)) < probabilities


cases = st.tuples(st.integers(0, 10_000), st.integers(1, 14), st.integers(1, 5)).map(lambda s: random_case(*s))
exactly = {"rtol": 0, "atol": 1e-6}

# --- one cut ----------------------------------------------------------------------------------------------------------


@given(cases)
@settings(deadline=None, max_examples=60)
def test_micro_threshold_is_the_best_of_all_cuts(case):
    assert micro_threshold(*case) == pytest.approx(micro_by_loops(*case), abs=1e-12)


def test_micro_threshold_reaches_the_f1_that_the_metric_reports():
    probabilities, labels = distinct_case(0, N=40)
    cut = micro_threshold(probabilities, labels)
    best = max(micro_f1(labels, probabilities >= value) for value in np.unique(probabilities))
    assert micro_f1(labels, probabilities >= cut) == best


def test_of_equal_cuts_the_highest_is_taken():
    # 1 of 1, or 2 of 4: F1 is 2 / 3 both times
    assert micro_threshold(np.array([[0.8], [0.6], [0.4], [0.2]]), np.array([[1], [0], [0], [1]])) == pytest.approx(0.7)


# --- one cut per label ------------------------------------------------------------------------------------------------


@given(cases)
@settings(deadline=None, max_examples=60)
def test_label_thresholds_are_micromacro_freq_shrunk(case):
    np.testing.assert_allclose(label_thresholds(*case), label_by_loops(*case), **exactly)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fit", [micro_threshold, label_thresholds])
def test_the_order_of_documents_does_not_matter(seed, fit):
    probabilities, labels = random_case(seed)
    rows = np.random.default_rng(seed).permutation(len(labels))
    np.testing.assert_array_equal(fit(probabilities[rows], labels[rows]), fit(probabilities, labels))


@pytest.mark.parametrize("seed", range(5))
def test_cuts_follow_their_labels(seed):
    probabilities, labels = distinct_case(seed)
    columns = np.random.default_rng(seed).permutation(labels.shape[1])
    cuts = label_thresholds(probabilities, labels)
    np.testing.assert_array_equal(label_thresholds(probabilities[:, columns], labels[:, columns]), cuts[columns])
    assert micro_threshold(probabilities[:, columns], labels[:, columns]) == micro_threshold(probabilities, labels)


def test_a_label_without_positives_has_the_cut_of_all():
    probabilities, labels = random_case(3)
    assert label_thresholds(probabilities, labels)[-1] == np.float32(micro_threshold(probabilities, labels))


def test_a_label_gets_its_own_cut_the_more_positives_it_has():
    probabilities = np.tile([[0.9, 0.2], [0.8, 0.1]], (2, 1))
    labels = np.tile([[1, 1], [0, 0]], (2, 1))
    few, many = (label_thresholds(np.tile(probabilities, (k, 1)), np.tile(labels, (k, 1))) for k in (1, 50))
    assert abs(few[0] - few[1]) < abs(many[0] - many[1])
    np.testing.assert_allclose(many, [0.85, 0.15], atol=0.15)


@pytest.mark.parametrize("fit", [label_thresholds, averaged_thresholds])
def test_own_cuts_help_labels_whose_probabilities_are_on_another_scale(fit):
    rng = np.random.default_rng(0)
    labels = rng.random((400, 3)) < [0.4, 0.2, 0.1]
    probabilities = np.clip(labels * 0.3 + rng.random((400, 3)) * 0.4, 0.01, 0.99) * [1, 0.5, 0.2]
    cuts, one = fit(probabilities, labels), micro_threshold(probabilities, labels)
    assert macro_f1(labels, probabilities >= cuts) > macro_f1(labels, probabilities >= one) + 0.05
    assert micro_f1(labels, probabilities >= cuts) > micro_f1(labels, probabilities >= one)


def test_averaged_thresholds_are_the_mean_of_log_odds_over_draws():
    probabilities, labels = random_case(1, N=30)
    rng = np.random.default_rng(4)
    log_odds = []
    for draw in rng.integers(30, size=(3, 30)):
        cuts = label_thresholds(probabilities[draw], labels[draw]).astype(float)
        log_odds.append([math.log(cut / (1 - cut)) for cut in cuts])
    expected = 1 / (1 + np.exp(-np.mean(log_odds, axis=0)))
    averaged = averaged_thresholds(probabilities, labels, samples=3, seed=4)
    np.testing.assert_allclose(averaged, expected, **exactly)
    assert averaged.dtype == np.float32


# --- edges ------------------------------------------------------------------------------------------------------------

EDGES = {
    "no positives": (np.full((3, 2), 0.3), np.zeros((3, 2))),
    "all positive": (np.array([[0.2, 0.4], [0.6, 0.8]]), np.ones((2, 2))),
    "one document": (np.array([[0.9, 0.1]]), np.array([[1, 0]])),
    "one document, one label": (np.array([[0.5]]), np.array([[1]])),
    "equal probabilities": (np.full((4, 2), 0.5), np.array([[1, 0], [0, 0], [1, 1], [0, 0]])),
    "zeros and ones": (np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1, 1], [0, 0]])),
    "only zeros": (np.zeros((2, 2)), np.ones((2, 2))),
    "only ones": (np.ones((2, 2)), np.zeros((2, 2))),
    "tiny": (np.array([[1e-30, 1e-38]], dtype=np.float32), np.array([[1, 1]])),
}


@pytest.mark.parametrize("probabilities, labels", EDGES.values(), ids=EDGES)
@pytest.mark.parametrize("fit", [label_thresholds, averaged_thresholds])
def test_cuts_are_always_inside(probabilities, labels, fit):
    cuts = fit(probabilities, labels)
    assert cuts.shape == (labels.shape[1],) and cuts.dtype == np.float32
    assert ((cuts > 0) & (cuts < 1)).all()
    assert 0 < micro_threshold(probabilities, labels) < 1
    assert np.isfinite(centred(probabilities, cuts)).all()


def test_one_document_is_told_from_its_labels():
    cuts = label_thresholds(np.array([[0.9, 0.1, 0.2]]), np.array([[1, 0, 0]]))
    assert (np.array([0.9, 0.1, 0.2]) >= cuts).tolist() == [True, False, False]


def test_nothing_positive_predicts_nothing_and_everything_positive_everything():
    nothing, everything = EDGES["no positives"], EDGES["all positive"]
    assert not (nothing[0] >= label_thresholds(*nothing)).any()
    assert (everything[0] >= label_thresholds(*everything)).all()


@pytest.mark.parametrize(
    "probabilities, labels",
    [
        (np.ones(3), np.ones(3)),
        (np.ones((2, 3)), np.ones((2, 2))),
        (np.ones((0, 3)), np.ones((0, 3))),
        (np.array([[1.5]]), np.array([[1]])),
        (np.array([[np.nan]]), np.array([[1]])),
    ],
)
@pytest.mark.parametrize("fit", [micro_threshold, label_thresholds, averaged_thresholds])
def test_what_is_no_probability_is_refused(probabilities, labels, fit):
    with pytest.raises(ValueError, match="expected"):
        fit(probabilities, labels)


# --- probabilities seen from the cut ----------------------------------------------------------------------------------


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5),
    st.floats(2**-20, 1, exclude_max=True, width=32),
    st.sampled_from([np.float32, np.float64]),
)
@settings(deadline=None)
def test_centred_is_at_least_half_exactly_from_the_cut_on(values, cut, dtype):
    p = np.array([[*values, cut, np.nextafter(np.float32(cut), np.float32(0))]], dtype=dtype)
    q = centred(p, np.float32(cut))
    assert q.dtype == dtype and np.isfinite(q).all()
    np.testing.assert_array_equal(q >= 0.5, p >= np.float32(cut))
    assert q[0, -2] == 0.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_next_smaller_probability_is_below_half(dtype):
    cuts = np.concatenate([np.random.default_rng(0).random(5000), 2.0 ** -np.arange(1, 90) * (1 - 2.0**-23)]).astype(
        dtype
    )
    assert (centred(np.nextafter(cuts, dtype(0))[None], cuts) < 0.5).all()
    assert (centred(cuts[None], cuts) == 0.5).all()


def test_centred_subtracts_log_odds():
    p, t = np.array([[0.2, 0.7], [0.9, 0.01]]), np.array([0.3, 0.1])
    log_odds = np.log(p / (1 - p)) - [math.log(0.3 / 0.7), math.log(0.1 / 0.9)]
    expected = [[1 / (1 + math.exp(-value)) for value in row] for row in log_odds]
    np.testing.assert_allclose(centred(p, t), expected, rtol=1e-12)


def test_centred_keeps_certainty_and_is_the_identity_at_half():
    p = np.array([[0.0, 1.0, 0.25]])
    assert centred(p, np.full(3, 0.1))[0, :2].tolist() == [0.0, 1.0]
    np.testing.assert_allclose(centred(p, 0.5), p)


# --- what a user passes -----------------------------------------------------------------------------------------------


def test_checked_thresholds():
    assert checked_thresholds("auto", 2) is None
    for given_cuts, expected in ((0.25, [0.25, 0.25]), ([0.25, 0.5], [0.25, 0.5]), (np.float64(0.5), [0.5, 0.5])):
        cuts = checked_thresholds(given_cuts, 2)
        assert cuts.tolist() == expected and cuts.dtype == np.float32


@pytest.mark.parametrize(
    "wrong", [0, 1, -1, 1.5, math.nan, 1 - 1e-12, "best", None, [0.5], [0.5, 1.0], [[0.5, 0.5]], [0.5, "x"]]
)
def test_wrong_thresholds_are_refused(wrong):
    with pytest.raises(ValueError, match=r"threshold: expected .* of 2 labels"):
        checked_thresholds(wrong, 2)

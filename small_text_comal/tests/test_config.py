"""Options: the published defaults, immutability, and an error for each field that names it."""

import dataclasses
import math
import pickle
from pathlib import Path

import pytest

from small_text_comal.config import ContrastiveBranchArguments, FeatureCacheArguments

BAD_BRANCH_OPTIONS = [
    *[
        (field, value)
        for field in ("sub_feature_size", "latent_size", "batch_size")
        for value in (0, -1, 2.5, "8", True)
    ],
    *[(field, value) for field in ("max_epochs", "patience") for value in (-1, 1.5, None)],
    *[(field, value) for field in ("alpha", "beta") for value in (-0.1, math.nan, math.inf, "1", None)],
    *[("learning_rate", value) for value in (0.0, -1e-4, math.nan, math.inf, "1e-4")],
    *[("temperature", value) for value in (0.0, -0.07, 0.001, math.nan, math.inf, None)],
    *[(field, value) for field in ("stop_gradient", "contrastive", "reconstruction") for value in (1, None, "no")],
    *[("activation", value) for value in ("tanh", "none", "ReLU")],
    *[("negatives", value) for value in ("all", None, "per_label")],
    *[("sampled_negatives", value) for value in (0, 1, -1, 2.5, "256", True)],
    *[("decoupling", value) for value in ("labels", None, True)],
]
BAD_CACHE_OPTIONS = [
    ("enabled", 1),
    ("dtype", "float64"),
    ("dtype", None),
    ("memory_limit", -1),
    ("memory_limit", 1e9),
    ("folder", 3),
]
CHOICES = {
    "activation": [None, "relu", "gelu"],
    "negatives": ["shared", "per-label", "none"],
    "decoupling": ["label", "none"],
}


def test_paper_gives_the_published_settings():
    assert dataclasses.asdict(ContrastiveBranchArguments.paper()) == {
        "sub_feature_size": 512,
        "latent_size": 256,
        "activation": None,
        "temperature": 0.07,
        "alpha": 1.0,
        "beta": 1.0,
        "learning_rate": 1e-4,
        "batch_size": 64,
        "max_epochs": 50,
        "patience": 6,
        "stop_gradient": True,
        "negatives": "shared",
        "sampled_negatives": None,
        "decoupling": "label",
        "contrastive": True,
        "reconstruction": True,
    }


def test_the_defaults_differ_from_the_papers_in_size_and_schedule_only():
    default, paper = (dataclasses.asdict(a) for a in (ContrastiveBranchArguments(), ContrastiveBranchArguments.paper()))
    assert {name: value for name, value in default.items() if value != paper[name]} == {
        "sub_feature_size": 16,
        "latent_size": 32,
        "learning_rate": 2e-3,
        "max_epochs": 10,
        "sampled_negatives": 512,
    }


def test_paper_takes_changes():
    assert ContrastiveBranchArguments.paper(latent_size=8, alpha=0.5) == dataclasses.replace(
        ContrastiveBranchArguments.paper(), latent_size=8, alpha=0.5
    )
    with pytest.raises(ValueError, match="alpha: expected"):
        ContrastiveBranchArguments.paper(alpha=-1)


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [(ContrastiveBranchArguments, *bad) for bad in BAD_BRANCH_OPTIONS]
    + [(FeatureCacheArguments, *bad) for bad in BAD_CACHE_OPTIONS],
)
def test_a_bad_value_is_an_error_that_names_field_expectation_and_value(arguments, field, value):
    with pytest.raises(ValueError) as caught:
        arguments(**{field: value})
    message = str(caught.value)
    assert message.startswith(f"{field}: expected ")
    assert message.endswith(f"got {value!r}")
    for choice in CHOICES.get(field, []):
        assert repr(choice) in message


def test_every_field_is_checked():
    assert {field for field, _ in BAD_BRANCH_OPTIONS} == {
        f.name for f in dataclasses.fields(ContrastiveBranchArguments)
    }
    assert {field for field, _ in BAD_CACHE_OPTIONS} == {f.name for f in dataclasses.fields(FeatureCacheArguments)}


@pytest.mark.parametrize(
    ("field", "choice"), [(field, choice) for field, all_of in CHOICES.items() for choice in all_of]
)
def test_every_choice_is_accepted(field, choice):
    assert getattr(ContrastiveBranchArguments(**{field: choice}), field) == choice


@pytest.mark.parametrize(
    "options",
    [
        {"sub_feature_size": 1, "latent_size": 1, "batch_size": 1},
        {"alpha": 0, "beta": 0},
        {"temperature": 1},
        {"max_epochs": 0, "patience": 0},
        {"contrastive": False},
        {"reconstruction": False},
        {"sampled_negatives": None},
        {"sampled_negatives": 2},
    ],
)
def test_smallest_sizes_whole_numbers_zero_weights_and_ablations_are_legal(options):
    assert dataclasses.asdict(ContrastiveBranchArguments(**options)).items() >= options.items()


def test_a_branch_with_nothing_to_learn_is_an_error():
    with pytest.raises(ValueError, match=r"contrastive.*reconstruction.*got False"):
        ContrastiveBranchArguments(contrastive=False, reconstruction=False)


def test_the_cache_is_on_in_half_precision_and_a_gibibyte_by_default():
    expected = {"enabled": True, "dtype": "float16", "memory_limit": 1024**3, "folder": None}
    assert dataclasses.asdict(FeatureCacheArguments()) == expected
    assert FeatureCacheArguments(memory_limit=0).memory_limit == 0


@pytest.mark.parametrize("folder", [None, "cache", Path("cache")])
def test_cache_folder(folder):
    assert FeatureCacheArguments(folder=folder).folder == folder


@pytest.mark.parametrize(
    "arguments", [ContrastiveBranchArguments(latent_size=8), FeatureCacheArguments(dtype="float32")]
)
def test_options_are_values(arguments):
    field = dataclasses.fields(arguments)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(arguments, field, 1)
    assert pickle.loads(pickle.dumps(arguments)) == arguments
    assert hash(dataclasses.replace(arguments)) == hash(arguments)
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(arguments, **{field: "wrong"})

"""The paper's protocol, corpus by corpus: Table 1, section 4.1, and the lengths that the authors ran."""

from __future__ import annotations

from typing import Any

from small_text_comal.experiments.data.names import known_name

__all__ = ["PRESETS", "preset"]

# Table 1: pool, validation, test; initial size and labels per round. 50 rounds, 5 seeds, BERT-base, 9 frozen layers.
_SHARED: dict[str, Any] = {
    "seeds": (0, 1, 2, 3, 4),
    "rounds": 50,
    "min_per_label": 1,
    "training": {"max_epochs": 50, "patience": 6, "learning_rate": 1e-4, "batch_size": 64},
}


def _corpus(initial_size: int, query_size: int, *, max_length: int, latent_size: int, dataset: dict) -> dict[str, Any]:
    return {
        **_SHARED,
        "initial_size": initial_size,
        "query_size": query_size,
        "encoder": {"model": "google-bert/bert-base-uncased", "max_length": max_length, "frozen_layers": 9},
        "branch": {"sub_feature_size": 512, "latent_size": latent_size},
        "dataset": dataset,
    }


PRESETS: dict[str, dict[str, Any]] = {
    "aapd": _corpus(
        100,
        100,
        max_length=256,
        latent_size=256,
        dataset={
            "loader": "aapd",
            "resplit": True,
            "pool_size": 45_840,
            "validation_size": 5_000,
            "test_size": 5_000,
        },
    ),
    # pool = the distribution's training documents; validation and test are disjoint draws from its test documents
    "rcv1": _corpus(
        200,
        100,
        max_length=256,
        latent_size=256,
        dataset={"loader": "rcv1", "options": {"validation_size": 2_000, "test_size": 10_000}},
    ),
    "justdance": _corpus(
        40,
        20,
        max_length=64,
        latent_size=64,
        dataset={
            "loader": "justdance",
            "resplit": True,
            "pool_size": 7_910,
            "validation_size": 800,
            "test_size": 1_500,
        },
    ),
    # the paper gives no latent size for EURLex: 256 is our choice
    "eurlex": _corpus(
        500,
        200,
        max_length=256,
        latent_size=256,
        dataset={
            "loader": "eurlex",
            "resplit": True,
            "min_label_count": 40,
            "drop_unlabeled": True,
            "pool_size": 13_060,
            "validation_size": 800,
            "test_size": 2_000,
        },
    ),
}


def preset(name: str) -> dict[str, Any]:
    """Return the options of the paper for one of its corpora; "dataset" still needs a path.

    Raises
    ------
    ValueError
        On an unknown name, with the nearest.

    Examples
    --------
    >>> preset("AAPD")["query_size"]
    100
    """
    return PRESETS[known_name(name, PRESETS, kind="preset")]

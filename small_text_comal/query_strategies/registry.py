"""The query strategies of this package by name."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

import numpy as np

from small_text_comal.query_strategies.base import PoolQueryStrategy

__all__ = ["make_strategy", "strategy_class", "strategy_names"]

# Modules by class name: a strategy's dependencies are imported when it is asked for.
_MODULES = {
    "CoMAL": "comal",
    "MMC": "mmc",
    "Adaptive": "adaptive",
    "AUDI": "audi",
    "DropoutDisagreement": "dropout",
    "CVIRS": "cvirs",
    "CoreSet": "core_set",
    "LearningLoss": "learning_loss",
    "MultiLabelBADGE": "badge",
    "GPB2M": "gpb2m",
    "BESRA": "besra",
}


def strategy_names() -> list[str]:
    """Return the names that `make_strategy` knows: the class names, CoMAL first, then the baselines by year.

    Examples
    --------
    >>> strategy_names()[:3]
    ['CoMAL', 'MMC', 'Adaptive']
    """
    return list(_MODULES)


def strategy_class(name: str) -> type[PoolQueryStrategy]:
    """Return the class of a strategy; capitals do not matter.

    Raises
    ------
    ValueError
        On an unknown name, with the nearest known one.

    Examples
    --------
    >>> strategy_class("mmc").__name__
    'MMC'
    >>> strategy_class("CVIR")
    Traceback (most recent call last):
    ...
    ValueError: unknown strategy 'CVIR': did you mean 'CVIRS'?
    """
    by_lower = {known.lower(): known for known in _MODULES}
    found = by_lower.get(name.lower())
    if found is None:
        nearest = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
        hint = f"did you mean {by_lower[nearest[0]]!r}?" if nearest else f"expected one of {', '.join(_MODULES)}"
        raise ValueError(f"unknown strategy {name!r}: {hint}")
    return getattr(import_module(f"small_text_comal.query_strategies.{_MODULES[found]}"), found)


def make_strategy(name: str, *, seed: int | np.random.Generator | None = None, **options: Any) -> PoolQueryStrategy:
    """Return a new strategy by name, with its random generator and its own options.

    Examples
    --------
    >>> make_strategy("DropoutDisagreement", seed=1, samples=4).samples
    4
    """
    return strategy_class(name)(seed=seed, **options)

"""The query strategies of this package by name. A new one is a new file, an import here and a place in the table."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from small_text_comal.query_strategies.adaptive import Adaptive
from small_text_comal.query_strategies.audi import AUDI
from small_text_comal.query_strategies.badge import MultiLabelBADGE
from small_text_comal.query_strategies.base import PoolQueryStrategy
from small_text_comal.query_strategies.besra import BESRA
from small_text_comal.query_strategies.comal import CoMAL
from small_text_comal.query_strategies.core_set import CoreSet
from small_text_comal.query_strategies.cvirs import CVIRS
from small_text_comal.query_strategies.dropout import DropoutDisagreement
from small_text_comal.query_strategies.gpb2m import GPB2M
from small_text_comal.query_strategies.learning_loss import LearningLoss
from small_text_comal.query_strategies.max_herding import MaxHerding
from small_text_comal.query_strategies.mmc import MMC
from small_text_comal.query_strategies.uncertainty_herding import UncertaintyHerding

__all__ = ["STRATEGIES", "make_strategy", "strategy_class", "strategy_names"]

STRATEGIES: dict[str, type[PoolQueryStrategy]] = {
    strategy.__name__: strategy
    for strategy in (
        CoMAL,
        MMC,
        Adaptive,
        AUDI,
        DropoutDisagreement,
        CVIRS,
        CoreSet,
        LearningLoss,
        MultiLabelBADGE,
        GPB2M,
        BESRA,
        MaxHerding,
        UncertaintyHerding,
    )
}


def strategy_names() -> list[str]:
    """Return the names that `make_strategy` knows: the class names, CoMAL first, then the baselines by year.

    Examples
    --------
    >>> strategy_names()[:3]
    ['CoMAL', 'MMC', 'Adaptive']
    """
    return list(STRATEGIES)


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
    by_lower = {known.lower(): known for known in STRATEGIES}
    found = by_lower.get(name.lower())
    if found is None:
        nearest = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
        hint = f"did you mean {by_lower[nearest[0]]!r}?" if nearest else f"expected one of {', '.join(STRATEGIES)}"
        raise ValueError(f"unknown strategy {name!r}: {hint}")
    return STRATEGIES[found]


def make_strategy(name: str, *, seed: int | np.random.Generator | None = None, **options: Any) -> PoolQueryStrategy:
    """Return a new strategy by name, with its random generator and its own options.

    Examples
    --------
    >>> make_strategy("DropoutDisagreement", seed=1, samples=4).samples
    4
    """
    return strategy_class(name)(seed=seed, **options)

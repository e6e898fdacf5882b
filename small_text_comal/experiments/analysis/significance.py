"""Which strategy beats which: wins over paired runs, and a paired test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import wilcoxon

from small_text_comal.experiments.analysis.results import Results, area_under_curve

__all__ = ["Duel", "holm", "paired_test", "pairwise_duels"]


class Duel(NamedTuple):
    """Two strategies on the same data sets and seeds.

    Parameters
    ----------
    first, second : strategies
    pairs : runs that both have, one for each data set and seed
    wins, losses : of the first; the rest are ties
    difference : mean area under the curve of the first minus the second
    p_value : paired test, adjusted for the number of duels; NaN without a pair that differs
    """

    first: str
    second: str
    pairs: int
    wins: int
    losses: int
    difference: float
    p_value: float


def pairwise_duels(results: Results, metric: str) -> list[Duel]:
    """Return every pair of strategies, compared by the area under their learning curves.

    A pair of runs shares data set, seed, first labels, validation and test set; areas are taken over the rounds that
    both have. Seeds of one data set are not independent evidence about other data: with few data sets, the test speaks
    for these.
    """
    strategies = results.strategies()
    pairs = [(first, second) for i, first in enumerate(strategies) for second in strategies[i + 1 :]]
    differences = [_differences(results, first, second, metric) for first, second in pairs]
    p_values = holm([paired_test(values) for values in differences])
    return [
        Duel(
            first,
            second,
            pairs=len(values),
            wins=int((values > 0).sum()),
            losses=int((values < 0).sum()),
            difference=float(values.mean()) if len(values) else float("nan"),
            p_value=p_value,
        )
        for (first, second), values, p_value in zip(pairs, differences, p_values, strict=True)
    ]


def _differences(results: Results, first: str, second: str, metric: str) -> np.ndarray:
    others = {(curve.dataset, curve.seed): curve for curve in results.curves if curve.strategy == second}
    found = []
    for curve in results.curves:
        other = others.get((curve.dataset, curve.seed))
        if curve.strategy == first and other is not None:
            rounds = min(len(curve.labels), len(other.labels))
            areas = [area_under_curve(run.labels[:rounds], run.metrics[metric][:rounds]) for run in (curve, other)]
            found.append(areas[0] - areas[1])
    return np.array(found)


def paired_test(differences: np.ndarray) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test that differences lie around 0; NaN where all are 0.

    With n pairs p cannot fall below 2 / 2^n: six are needed for 0.05.

    Examples
    --------
    >>> paired_test(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    0.03125
    """
    differences = differences[differences != 0]
    if len(differences) == 0:
        return float("nan")
    return float(wilcoxon(differences).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values (Holm 1979); NaN stays NaN and does not count.

    Examples
    --------
    >>> holm([0.01, 0.04])
    [0.02, 0.04]
    """
    values = np.asarray(p_values, dtype=float)
    order = [int(i) for i in np.argsort(values) if not np.isnan(values[i])]
    adjusted = values.copy()
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * values[i]))
        adjusted[i] = largest
    return [float(value) for value in adjusted]

"""Metrics by name, on dense probabilities."""

from __future__ import annotations

import re

import numpy as np

from small_text_comal.experiments.data.names import known_name
from small_text_comal.metrics import macro_f1, micro_f1, ndcg_at_k, precision_at_k

__all__ = ["METRICS", "checked_metrics", "evaluate", "measurable"]

METRICS = ("micro_f1", "macro_f1", "p@1", "p@3", "p@5", "ndcg@3", "ndcg@5")
RANKED = {"p": precision_at_k, "ndcg": ndcg_at_k}
THRESHOLDED = {"micro_f1": micro_f1, "macro_f1": macro_f1}
DECISION = 0.5


def checked_metrics(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names in their plain spelling; "p@K" and "ndcg@K" take any K from 1.

    Raises
    ------
    ValueError
        On an unknown metric, with the nearest name.
    """
    checked = []
    for name in names:
        ranked = re.fullmatch(r"(p|ndcg)@([1-9]\d*)", name.lower())
        checked.append(ranked.group(0) if ranked else known_name(name, METRICS, kind="metric"))
    return tuple(dict.fromkeys(checked))


def measurable(names: tuple[str, ...], num_classes: int) -> tuple[str, ...]:
    """Return the metrics whose k is not beyond the number of labels.

    Examples
    --------
    >>> measurable(("micro_f1", "p@1", "p@5"), 4)
    ('micro_f1', 'p@1')
    """
    return tuple(name for name in names if name in THRESHOLDED or int(name.split("@")[1]) <= num_classes)


def evaluate(y_true: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    """Return the metrics; those at a k beyond the number of labels are left out.

    Parameters
    ----------
    y_true : (N, C) of 0 and 1
    probabilities : (N, C) dense; labels at 0.5 or more are predicted
    names : as `checked_metrics` gives them
    """
    predicted = (probabilities >= DECISION).astype(int)
    values = {}
    for name in measurable(names, y_true.shape[1]):
        if name in THRESHOLDED:
            values[name] = float(THRESHOLDED[name](y_true, predicted))
        else:
            kind, k = name.split("@")
            values[name] = float(RANKED[kind](y_true, probabilities, int(k)))
    return values

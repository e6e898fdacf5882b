"""Metrics by name, on dense probabilities."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from small_text_comal.experiments.data.names import known_name
from small_text_comal.metrics import label_f1, macro_f1, micro_f1, ndcg_at_k, precision_at_k

__all__ = ["METRICS", "checked_metrics", "evaluate", "measurable", "prediction_facts"]

METRICS = ("micro_f1", "macro_f1", "p@1", "p@3", "p@5", "ndcg@3", "ndcg@5")
# each takes y (N, C), probabilities (N, C), predicted labels (N, C) and k, which is 0 for metrics without one
FUNCTIONS: dict[str, Callable[..., float]] = {
    "micro_f1": lambda y, probabilities, predicted, k: micro_f1(y, predicted),
    "macro_f1": lambda y, probabilities, predicted, k: macro_f1(y, predicted),
    "p": lambda y, probabilities, predicted, k: precision_at_k(y, probabilities, k),
    "ndcg": lambda y, probabilities, predicted, k: ndcg_at_k(y, probabilities, k),
}


def checked_metrics(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names in their plain spelling; "p@K" and "ndcg@K" take any K from 1.

    Raises
    ------
    UserError
        On an unknown metric, with the nearest name.
    """
    checked = []
    for name in names:
        ranked = re.fullmatch(r"(p|ndcg)@([1-9]\d*)", name.lower())
        checked.append(ranked.group(0) if ranked else known_name(name, METRICS, kind="metric"))
    return tuple(dict.fromkeys(checked))


def _kind_and_k(name: str) -> tuple[str, int]:
    """Take a metric's name apart.

    >>> _kind_and_k("p@3"), _kind_and_k("micro_f1")
    (('p', 3), ('micro_f1', 0))
    """
    kind, _, k = name.partition("@")
    return kind, int(k or 0)


def measurable(names: tuple[str, ...], num_classes: int) -> tuple[str, ...]:
    """Return the metrics whose k does not exceed the number of labels.

    Examples
    --------
    >>> measurable(("micro_f1", "p@1", "p@5"), 4)
    ('micro_f1', 'p@1')
    """
    return tuple(name for name in names if _kind_and_k(name)[1] <= num_classes)


def evaluate(
    y_true: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...], *, thresholds: np.ndarray | float = 0.5
) -> dict[str, float]:
    """Return the metrics; those whose k exceeds the number of labels are left out.

    Parameters
    ----------
    y_true : (N, C) of 0 and 1
    probabilities : (N, C) dense
    names : as `checked_metrics` returns them
    thresholds : (C,) or one number; labels at it or above are predicted
    """
    predicted = (probabilities >= thresholds).astype(int)
    values = {}
    for name in measurable(names, y_true.shape[1]):
        kind, k = _kind_and_k(name)
        values[name] = float(FUNCTIONS[kind](y_true, probabilities, predicted, k))
    return values


def prediction_facts(y_true: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Return what a mean hides: F1 per label, and the share of documents for which no label is predicted.

    Examples
    --------
    >>> prediction_facts(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 0]]))
    {'label_f1': [0.667, 0.0], 'nothing_predicted': 0.5}
    """
    return {
        "label_f1": [round(float(value), 3) for value in label_f1(y_true, predicted)],
        "nothing_predicted": round(float((predicted.sum(axis=1) == 0).mean()), 4),
    }

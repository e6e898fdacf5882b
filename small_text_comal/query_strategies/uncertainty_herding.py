"""Uncertainty Herding: documents that stand for what the classifier is unsure about (Bae et al., ICLR 2025)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from small_text_comal.method.criteria import binary_entropy
from small_text_comal.method.herding import herd
from small_text_comal.method.thresholds import centred
from small_text_comal.query_strategies.base import PoolQueryStrategy
from small_text_comal.query_strategies.pool import Pool

__all__ = ["UNCERTAINTIES", "Uncertainty", "UncertaintyHerding", "entropy", "expected_f1", "least_confidence"]

Uncertainty = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Gives U >= 0 (N,) from the centred probabilities q (N, C) of the pool and the labels (L, C) of the labeled pool."""


def entropy(centred_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return sum_j H(q_ij), in nats.

    Examples
    --------
    >>> entropy(np.array([[0.5, 1.0]]), np.ones((1, 2))).round(3)
    array([0.693])
    """
    return binary_entropy(centred_probabilities).sum(axis=1)


def least_confidence(centred_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return 1 - min_j |2 q_ij - 1|: how unsure the most doubtful label is, 1 at its cut.

    Examples
    --------
    >>> least_confidence(np.array([[0.75, 1.0], [0.5, 1.0]]), np.ones((1, 2)))
    array([0.5, 1. ])
    """
    return 1 - np.abs(2 * np.asarray(centred_probabilities, dtype=np.float64) - 1).min(axis=1)


def expected_f1(centred_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return 1 - the expected F1 of the best set of labels that could be predicted for a document.

    The k most probable labels have about 2 sum_{j <= k} q_(j) / (k + sum_j q_j); no label at all has
    prod_j (1 - q_j), the chance that a document has none, for which predicting none is right.

    Examples
    --------
    >>> expected_f1(np.array([[1.0, 0.5], [0.0, 0.0]]), np.ones((1, 2)))
    array([0.14285714, 0.        ])
    """
    q = np.asarray(centred_probabilities, dtype=np.float64)
    expected_hits = np.cumsum(-np.sort(-q, axis=1), axis=1)
    of_k_labels = 2 * expected_hits / (np.arange(1, q.shape[1] + 1) + expected_hits[:, -1:])
    return 1 - np.maximum(of_k_labels.max(axis=1), np.prod(1 - q, axis=1))


UNCERTAINTIES: dict[str, Uncertainty] = {
    "entropy": entropy,
    "expected_f1": expected_f1,
    "least_confidence": least_confidence,
}


class UncertaintyHerding(PoolQueryStrategy):
    """Query documents that together cover the uncertainty of the pool (Bae et al., ICLR 2025).

    Needs dense probabilities and feature vectors. Probabilities are seen from the classifier's cuts, q = sigmoid(logit
    p - logit t), so that a label is most uncertain where it is just predicted. Cost O(N R D + R L D + L^2 D) time for N
    unlabeled and L labeled documents and R = 1,000 references; never N x R.

    Parameters
    ----------
    uncertainty : "entropy", "expected_f1", "least_confidence", or a function (q (N, C), labels (L, C) bool) -> (N,) >=
        0 of the unlabeled documents' centred probabilities and the labeled documents' labels
    seed : None, int or numpy Generator
        Draws the references and breaks ties.

    Raises
    ------
    ValueError
        On an unknown uncertainty; in `query`, on one that is negative, not finite or of another shape.

    Examples
    --------
    >>> def rare_labels_count_more(q, labels):
    ...     return binary_entropy(q) @ (labels.sum(axis=0) + 1) ** -0.5
    >>> str(UncertaintyHerding(uncertainty=rare_labels_count_more, seed=0))
    'UncertaintyHerding()'
    """

    def __init__(
        self, *, uncertainty: str | Uncertainty = "entropy", seed: int | np.random.Generator | None = None
    ) -> None:
        super().__init__(seed=seed)
        if not callable(uncertainty) and uncertainty not in UNCERTAINTIES:
            raise ValueError(
                f"uncertainty: expected one of {tuple(UNCERTAINTIES)} or a function of centred probabilities (N, C) "
                f"and labels (L, C), got {uncertainty!r}"
            )
        self.uncertainty = uncertainty

    def _select(self, pool: Pool, n: int) -> np.ndarray:
        measure = self.uncertainty if callable(self.uncertainty) else UNCERTAINTIES[self.uncertainty]
        uncertainty = measure(centred(pool.probabilities, pool.thresholds), pool.labels)
        return herd(pool.features, pool.labeled_features, uncertainty, n, rng=self.rng)

"""Adaptive: prediction margin and label cardinality inconsistency, traded off (Li and Guo, IJCAI 2013)."""

from __future__ import annotations

import numpy as np

from small_text_comal.method.criteria import cardinality_gap
from small_text_comal.query_strategies.base import PoolQueryStrategy, seeded_top_n
from small_text_comal.query_strategies.pool import Pool

__all__ = ["BETAS", "Adaptive", "adaptive_scores", "round_robin", "separation_margin"]

BETAS = np.linspace(0, 1, 11)
_SMALLEST_MARGIN = 1e-6


def separation_margin(probabilities: np.ndarray) -> np.ndarray:
    """Return the gap between a document's predicted and not predicted labels, on f = 2 p - 1 (Li and Guo 2013).

    Parameters
    ----------
    probabilities : (N, C) float in [0, 1]; p >= 0.5 is a predicted label

    Returns
    -------
    margin : (N,) float64 in [1e-6, 2], the lowest f of a predicted label less the highest f of the others. Where all
        labels are predicted, or none, the missing side is the decision boundary, f = 0. At least 1e-6, so that its
        inverse stays finite.

    Examples
    --------
    >>> separation_margin(np.array([[0.9, 0.6], [0.6, 0.2], [0.1, 0.3]])).round(6).tolist()
    [0.2, 0.8, 0.4]
    """
    f = 2 * np.asarray(probabilities, dtype=np.float64) - 1
    predicted = f >= 0
    lowest = np.where(predicted, f, np.inf).min(axis=1)
    highest = np.where(predicted, -np.inf, f).max(axis=1)
    lowest[~predicted.any(axis=1)] = 0
    highest[predicted.all(axis=1)] = 0
    return np.maximum(lowest - highest, _SMALLEST_MARGIN)


def adaptive_scores(probabilities: np.ndarray, cardinality: float, *, betas: np.ndarray = BETAS) -> np.ndarray:
    """Return the integrated score margin^-beta * LCI^(1 - beta) of every document for every beta.

    LCI is the label cardinality inconsistency, the distance between a document's number of predicted labels and the
    labeled pool's mean (Li and Guo 2013).

    Parameters
    ----------
    probabilities : (N, C) float in [0, 1]
    cardinality : mean number of labels of a labeled document
    betas : (B,) float in [0, 1]; 0 looks at LCI only, 1 at the margin only

    Returns
    -------
    scores : (B, N) float64, larger is queried first

    Examples
    --------
    Three documents, two labels, one label a document on average. The margins are 0.2, 0.8 and 0.4 (see
    `separation_margin`), the predicted cardinalities 2, 1 and 0, so that LCI is 1, 0 and 1; in the middle row
    sqrt(1 / 0.2) = 2.236 and sqrt(1 / 0.4) = 1.581.

    >>> p = np.array([[0.9, 0.6], [0.6, 0.2], [0.1, 0.3]])
    >>> adaptive_scores(p, 1.0, betas=np.array([0.0, 0.5, 1.0])).round(3).tolist()
    [[1.0, 0.0, 1.0], [2.236, 0.0, 1.581], [5.0, 1.25, 2.5]]
    """
    margin = separation_margin(probabilities)
    inconsistency = cardinality_gap(np.asarray(probabilities) >= 0.5, cardinality)
    return margin ** -betas[:, None] * inconsistency ** (1 - betas[:, None])


def round_robin(rankings: np.ndarray, n: int, *, start: int = 0) -> np.ndarray:
    """Return the first `n` different documents of several rankings: all the best, then all the second best, and so on.

    Parameters
    ----------
    rankings : (B, M) int, each row M different documents, best first, M >= n
    n : number of documents
    start : the ranking that is asked first

    Returns
    -------
    documents : (n,) int, different

    Examples
    --------
    >>> round_robin(np.array([[5, 3, 4], [5, 4, 3]]), 3).tolist()
    [5, 3, 4]
    >>> round_robin(np.array([[5, 3, 4], [5, 4, 3]]), 3, start=1).tolist()
    [5, 4, 3]
    """
    in_turn = np.roll(rankings, -start, axis=0).T.ravel()
    return np.array(list(dict.fromkeys(in_turn.tolist()))[:n])


class Adaptive(PoolQueryStrategy):
    """Query by margin and label cardinality inconsistency under eleven trade-offs (Li and Guo, IJCAI 2013).

    The paper queries one document at a time: among the best document of each beta in 0, 0.1, ..., 1 the one with the
    smallest approximate future error, which retrains the classifier once a candidate. A batch takes all these
    candidates instead, then the second best of each beta, and so on. A batch of fewer than eleven starts at a random
    beta, or it would never hear the high ones.

    Needs dense probabilities only. Cost O(N C + N log N) time and O(N C) memory for N unlabeled documents.

    Parameters
    ----------
    seed : None, int or numpy Generator
        Breaks ties and draws the first beta of a small batch.
    """

    def _select(self, pool: Pool, n: int) -> np.ndarray:
        scores = adaptive_scores(pool.centred, pool.cardinality)
        rankings = np.stack([seeded_top_n(of_beta, n, self.rng) for of_beta in scores])
        start = int(self.rng.integers(len(BETAS))) if n < len(BETAS) else 0
        return round_robin(rankings, n, start=start)

"""How a batch is made of documents that have a score each: the largest scores, or herding."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from small_text_comal.method.herding import herd_in_detail
from small_text_comal.query_strategies.base import seeded_top_n
from small_text_comal.query_strategies.pool import Pool

__all__ = ["BATCHES", "Batch", "nearest_labeled"]


class Batch(NamedTuple):
    """Documents to query, best first: `positions` (n,) in the unlabeled pool.

    By herding also `stands_for` (n,), about how many documents each of them represents, and the position
    `nearest_labeled` (n,) in the labeled pool of the labeled document with the most similar features, whose cosine is
    `nearest_similarity` (n,).
    """

    positions: np.ndarray
    stands_for: np.ndarray | None = None
    nearest_labeled: np.ndarray | None = None
    nearest_similarity: np.ndarray | None = None


def largest_scores(pool: Pool, scores: np.ndarray, n: int, rng: np.random.Generator) -> Batch:
    """Return the documents with the largest scores (N,), which may resemble each other."""
    return Batch(seeded_top_n(scores, n, rng))


def herding(pool: Pool, scores: np.ndarray, n: int, rng: np.random.Generator) -> Batch:
    """Return documents that together stand for large scores (N,); see `method.herding.herd`."""
    batch = herd_in_detail(pool.features, pool.labeled_features, scores, n, rng=rng)
    nearest, cosine = nearest_labeled(pool.features[batch.positions], pool.labeled_features)
    return Batch(batch.positions, batch.stands_for, nearest, cosine)


BATCHES: dict[str, Callable[[Pool, np.ndarray, int, np.random.Generator], Batch]] = {
    "herding": herding,
    "top": largest_scores,
}


def nearest_labeled(features: np.ndarray, labeled_features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the position (n,) of the labeled document whose features are most similar, and that cosine (n,).

    Parameters
    ----------
    features : (n, D)
    labeled_features : (L, D), L >= 1

    Examples
    --------
    >>> nearest, cosine = nearest_labeled(np.array([[2.0, 0.0]]), np.array([[0.0, 1.0], [3.0, 4.0]]))
    >>> nearest.tolist(), cosine.round(3).tolist()
    ([1], [0.6])
    """
    cosine = _normalised(features) @ _normalised(labeled_features).T
    nearest = cosine.argmax(axis=1)
    return nearest, np.take_along_axis(cosine, nearest[:, None], axis=1)[:, 0]


def _normalised(features: np.ndarray) -> np.ndarray:
    vectors = np.asarray(features, dtype=np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)

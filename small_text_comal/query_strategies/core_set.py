"""Core-Set: greedy k-center on the feature vectors (Sener and Savarese, ICLR 2018)."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances_argmin

from small_text_comal.query_strategies.base import PoolQueryStrategy
from small_text_comal.query_strategies.pool import Pool

__all__ = ["CoreSet", "distance_to_nearest", "greedy_k_center"]

_BLOCK_ROWS = 4096


def distance_to_nearest(features: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance of each document to its nearest center.

    Parameters
    ----------
    features : (N, D) float
    centers : (M, D) float; with M = 0 every distance is infinite

    Returns
    -------
    distance : (N,) float64, exactly 0 for a copy of a center. The nearest center is found by matrix products, whose
        rounding would give such a copy a small distance, and the distance to it then taken by differences.

    Examples
    --------
    >>> distance_to_nearest(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0]])).tolist()
    [0.0, 5.0]
    """
    if len(centers) == 0:
        return np.full(len(features), np.inf)
    nearest = pairwise_distances_argmin(features, centers)
    blocks = [slice(start, start + _BLOCK_ROWS) for start in range(0, len(features), _BLOCK_ROWS)]
    return np.concatenate([np.linalg.norm(features[b] - centers[nearest[b]], axis=1) for b in blocks])


def greedy_k_center(features: np.ndarray, centers: np.ndarray, n: int, *, rng: np.random.Generator) -> np.ndarray:
    """Return `n` documents, each the farthest from all centers and from the documents taken before it.

    The greedy 2-approximation of the k-center problem, algorithm 1 of Sener and Savarese 2018.

    Parameters
    ----------
    features : (N, D) float of the unlabeled pool
    centers : (L, D) float of the labeled pool; may be empty, the first document is then random
    n : number of documents, at most N
    rng : breaks ties

    Returns
    -------
    positions : (n,) int, different, even where documents are identical

    Notes
    -----
    One running vector of N distances: O(N L D + n N D) time, O((N + L) D) memory.

    Examples
    --------
    >>> pool, labeled = np.array([[1.0], [9.0], [5.0]]), np.array([[0.0]])
    >>> greedy_k_center(pool, labeled, 2, rng=np.random.default_rng(0)).tolist()
    [1, 2]
    """
    features = np.asarray(features, dtype=np.float64)
    distance = distance_to_nearest(features, np.asarray(centers, dtype=np.float64))
    picked = np.empty(n, dtype=np.intp)
    for step in range(n):
        picked[step] = rng.choice(np.flatnonzero(distance == distance.max()))
        np.minimum(distance, cdist(features, features[picked[step], None])[:, 0], out=distance)
        distance[picked[: step + 1]] = -1  # below the 0 of an identical document that is not taken yet
    return picked


class CoreSet(PoolQueryStrategy):
    """Query documents that cover the pool: the farthest from the labeled pool first (Sener and Savarese, ICLR 2018).

    Needs feature vectors. Cost O(N L D + q N D) time and O((N + L) D) memory for N unlabeled and L labeled documents
    and a batch of q; never N x N.

    Parameters
    ----------
    seed : None, int or numpy Generator
        Breaks ties.
    """

    def _select(self, pool: Pool, n: int) -> np.ndarray:
        return greedy_k_center(pool.features, pool.labeled_features, n, rng=self.rng)

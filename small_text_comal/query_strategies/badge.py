"""BADGE for multi-label data: diverse gradient embeddings (Ash et al., ICLR 2020)."""

from __future__ import annotations

import numpy as np

from small_text_comal.query_strategies.base import PoolQueryStrategy, seeded_top_n
from small_text_comal.query_strategies.pool import Pool

__all__ = ["MultiLabelBADGE", "gradient_k_means_plus_plus"]

# Relative to the squared norms: less than this is rounding of two equal gradients, not a distance.
_ROUNDING = 1e-12


def gradient_k_means_plus_plus(
    probabilities: np.ndarray, features: np.ndarray, n: int, *, rng: np.random.Generator
) -> np.ndarray:
    """Return `n` documents by k-means++ seeding on the gradients that their predicted labels would give.

    The gradient of the binary cross-entropy at the predicted labels with respect to the last linear layer is the outer
    product g_i = (p_i - yhat_i) v_i^T, C * D numbers a document. It is never built:
    ||g_i - g_k||^2 = |a_i|^2 |v_i|^2 + |a_k|^2 |v_k|^2 - 2 (a_i . a_k)(v_i . v_k) with a = p - yhat. The first document
    has the largest gradient (Ash et al. 2020, algorithm 1 with the authors' first center); each further one is drawn
    with a probability proportional to its squared distance from the nearest document taken.

    Parameters
    ----------
    probabilities : (N, C) float in [0, 1] of the unlabeled pool; p >= 0.5 is a predicted label
    features : (N, D) float, v
    n : number of documents, at most N
    rng : breaks ties and draws

    Returns
    -------
    positions : (n,) int, different. When all that is left repeats documents taken, the rest is drawn at random.

    Notes
    -----
    O(n N (C + D)) time, O(N (C + D)) memory.

    Examples
    --------
    The second and third document have the same, largest gradient: one comes first, the other last.

    >>> p, v = np.array([[0.9], [0.6], [0.6]]), np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    >>> gradient_k_means_plus_plus(p, v, 3, rng=np.random.default_rng(0)).tolist().index(0)
    1
    """
    v = np.asarray(features, dtype=np.float64)
    p = np.asarray(probabilities, dtype=np.float64)
    a = p - (p >= 0.5)
    squared_norm = (a**2).sum(axis=1) * (v**2).sum(axis=1)
    free = np.ones(len(v), dtype=bool)
    distance = np.full(len(v), np.inf)
    picked = [int(seeded_top_n(squared_norm, 1, rng)[0])]
    while len(picked) < n:
        last = picked[-1]
        free[last] = False
        norms = squared_norm + squared_norm[last]
        to_last = norms - 2 * (a @ a[last]) * (v @ v[last])
        to_last[to_last <= _ROUNDING * norms] = 0
        distance = np.where(free, np.minimum(distance, to_last), 0)
        weights = distance if distance.any() else free.astype(np.float64)
        picked.append(int(rng.choice(len(v), p=weights / weights.sum())))
    return np.array(picked)


class MultiLabelBADGE(PoolQueryStrategy):
    """Query documents with large and different gradients at the last layer (Ash et al., ICLR 2020).

    BADGE for sigmoid outputs: the gradient keeps all C labels (averaging over them would leave only D numbers). Needs
    dense probabilities and feature vectors. Cost O(q N (C + D)) time and O(N (C + D)) memory for N unlabeled documents
    and a batch of q; never N x (C D).

    Parameters
    ----------
    seed : None, int or numpy Generator
        Breaks ties and draws the documents.
    """

    def _select(self, pool: Pool, n: int) -> np.ndarray:
        return gradient_k_means_plus_plus(pool.centred, pool.features, n, rng=self.rng)

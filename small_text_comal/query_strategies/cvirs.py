"""CVIRS: category vector inconsistency and ranking of scores (Reyes et al., Neurocomputing 2018)."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy
from scipy.stats import rankdata

from small_text_comal.query_strategies.base import ScoreQueryStrategy
from small_text_comal.query_strategies.pool import Pool

__all__ = ["CVIRS", "category_vector_inconsistency", "cvirs_scores", "entropy_distance", "margin_rank_score"]

_BLOCK_CELLS = 1 << 20


def margin_rank_score(probabilities: np.ndarray) -> np.ndarray:
    """Return the Borda score of each document over the labels' rankings by certainty, the least certain ahead.

    s_i = sum_j (N - rank_j(i)) / (C (N - 1)), where rank_j orders the documents by their margin |2 p_ij - 1|, the
    smallest first with rank 1 (Reyes et al. 2018).

    Parameters
    ----------
    probabilities : (N, C) float in [0, 1]

    Returns
    -------
    score : (N,) float64 in [0, 1]; documents of equal margin share their average rank, and a pool of one scores 1

    Examples
    --------
    The margins of the first label are 0.8, 0.2, 0.2, of the second 0.6, 0.2, 0.8: ranks 3, 1.5, 1.5 and 2, 1, 3.

    >>> margin_rank_score(np.array([[0.9, 0.2], [0.6, 0.6], [0.4, 0.1]])).tolist()
    [0.25, 0.875, 0.375]
    """
    N, C = np.shape(probabilities)
    if N == 1:
        return np.ones(1)
    margin = np.abs(2 * np.asarray(probabilities, dtype=np.float64) - 1)
    return (N - rankdata(margin, axis=0)).sum(axis=1) / (C * (N - 1))


def entropy_distance(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the normalised entropy distance of every predicted label vector to every true one.

    (2 J - H(yhat) - H(y)) / J, with J the joint and H the single entropies of two vectors over their C places (Reyes
    et al. 2018). The paper's sum of three binary entropies is the joint entropy of the 2 x 2 table of
    agreements, t(C) - t(a) - t(b) - t(c) - t(d) over C with t(x) = x log2 x.

    Parameters
    ----------
    predicted : (N, C) bool
    labels : (L, C) bool

    Returns
    -------
    distance : (N, L) float64 in [0, 1]; 0 for equal vectors and 1 for opposite ones (whose entropies are equal too)

    Examples
    --------
    Against the first vector the table is a = 1, b = 1, c = 0, d = 2: J = 1.5, H(yhat) = 1, H(y) = 0.811. The second
    is opposite, the third equal.

    >>> predicted = np.array([[1, 1, 0, 0]], dtype=bool)
    >>> labels = np.array([[1, 0, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0]], dtype=bool)
    >>> entropy_distance(predicted, labels).round(3).tolist()
    [[0.792, 1.0, 0.0]]
    """
    C = labels.shape[1]
    t = xlogy(np.arange(C + 1), np.arange(C + 1)) / np.log(2)
    in_predicted, in_labels = predicted.sum(axis=1)[:, None], labels.sum(axis=1)[None, :]
    both = (predicted.astype(np.float32) @ labels.T.astype(np.float32)).astype(np.intp)
    differing = in_predicted + in_labels - 2 * both
    joint = t[C] - t[both] - t[in_predicted - both] - t[in_labels - both] - t[C - differing - both]
    single = 2 * t[C] - t[in_predicted] - t[C - in_predicted] - t[in_labels] - t[C - in_labels]
    distance = (differing == C).astype(np.float64)
    np.divide(2 * joint - single, joint, out=distance, where=(differing > 0) & (differing < C))
    return distance.clip(0, 1)


def category_vector_inconsistency(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean `entropy_distance` of each predicted label vector to the labeled pool.

    Parameters
    ----------
    predicted : (N, C) bool
    labels : (L, C) bool, L >= 1

    Returns
    -------
    inconsistency : (N,) float64 in [0, 1]. Computed in blocks of documents: the memory does not grow with N * L.

    Examples
    --------
    >>> labels = np.array([[1, 0], [0, 1]], dtype=bool)
    >>> category_vector_inconsistency(np.array([[1, 0], [1, 1]], dtype=bool), labels).tolist()
    [0.5, 1.0]
    """
    block = max(1, _BLOCK_CELLS // len(labels))
    starts = range(0, len(predicted), block)
    return np.concatenate([entropy_distance(predicted[s : s + block], labels).mean(axis=1) for s in starts])


def cvirs_scores(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the product of `margin_rank_score` and `category_vector_inconsistency`.

    Parameters
    ----------
    probabilities : (N, C) float in [0, 1] of the unlabeled pool; p >= 0.5 is a predicted label
    labels : (L, C) bool of the labeled pool

    Returns
    -------
    score : (N,) float64 in [0, 1], larger is queried first

    Examples
    --------
    Three documents, two labels. The rank scores are 0.25, 0.875 and 0.375 (see `margin_rank_score`). The predicted
    vectors are 10, 11 and 00. Against the labeled 10 and 01 the first is equal and opposite, distances 0 and 1; the
    other two, constant vectors, tell nothing of either, distances 1 and 1.

    >>> p = np.array([[0.9, 0.2], [0.6, 0.6], [0.4, 0.1]])
    >>> cvirs_scores(p, np.array([[1, 0], [0, 1]], dtype=bool)).tolist()
    [0.125, 0.875, 0.375]
    """
    predicted = np.asarray(probabilities) >= 0.5
    return margin_rank_score(probabilities) * category_vector_inconsistency(predicted, labels)


class CVIRS(ScoreQueryStrategy):
    """Query documents whose labels are uncertain and whose label vector looks unlike the labeled pool's.

    Reyes et al., Neurocomputing 2018. Needs dense probabilities only. Cost O(N L C + C N log N) time, the first term
    matrix products, and O(N C + L C) memory for N unlabeled and L labeled documents, whatever the batch size.

    Parameters
    ----------
    seed : None, int or numpy Generator
        Breaks ties.
    """

    def _scores(self, pool: Pool) -> np.ndarray:
        return cvirs_scores(pool.centred, pool.labels)

"""MMC: maximum loss reduction with maximal confidence (Yang et al., SIGKDD 2009)."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from small_text_comal.query_strategies.base import ScoreQueryStrategy
from small_text_comal.query_strategies.pool import Pool

__all__ = ["MMC", "loss_reduction", "predicted_label_counts"]


def loss_reduction(probabilities: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return how much loss a document is expected to take away once its labels are known.

    With f = 2 p - 1, and s_j = +1 for the `counts` most probable labels of a document and -1 for the others, this is
    sum_j (1 - s_j f_j) / 2 (Yang et al. 2009). A likely label costs 1 - p_j, an
    unlikely one p_j.

    Parameters
    ----------
    probabilities : (N, C) float in [0, 1]
    counts : (N,) int, predicted number of labels of each document, 0 to C

    Returns
    -------
    score : (N,) float64 in [0, C], larger is queried first. Which of two equally probable labels counts as the more
        probable one makes no difference.

    Examples
    --------
    Three documents, two labels. The first: label 1 is the likely one, (1 - 0.9) + 0.2 = 0.3. The second:
    (1 - 0.6) + 0.4 = 0.8. The third is predicted to have no label: 0.1 + 0.1 = 0.2.

    >>> p = np.array([[0.9, 0.2], [0.6, 0.4], [0.1, 0.1]])
    >>> loss_reduction(p, np.array([1, 1, 0])).round(6).tolist()
    [0.3, 0.8, 0.2]
    """
    ranked = _descending(probabilities)
    likely = np.arange(ranked.shape[1]) < counts[:, None]
    return np.where(likely, 1 - ranked, ranked).sum(axis=1)


def predicted_label_counts(
    labeled_probabilities: np.ndarray, counts: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    """Return the number of labels that multinomial logistic regression expects of each unlabeled document.

    The input of the regression is a document's probabilities in descending order, divided by their sum; its classes
    are the label counts seen in the labeled pool, 0 included (the original's regression can only say 1 and more).

    Parameters
    ----------
    labeled_probabilities : (L, C) float in [0, 1]
    counts : (L,) int, number of labels of each labeled document
    probabilities : (N, C) float in [0, 1], the unlabeled pool

    Returns
    -------
    counts : (N,) int, always one of the counts seen. One single count is predicted as it is; a document whose
        probabilities are all 0 counts as one whose probabilities are all equal.

    Examples
    --------
    >>> predicted_label_counts(np.array([[0.9, 0.1]]), np.array([1]), np.array([[0.0, 0.0], [1.0, 1.0]])).tolist()
    [1, 1]
    """
    if len(np.unique(counts)) == 1:
        return np.full(len(probabilities), counts[0])
    regression = LogisticRegression(max_iter=1000).fit(_shares(labeled_probabilities), counts)
    return regression.predict(_shares(probabilities))


def _descending(probabilities: np.ndarray) -> np.ndarray:
    return -np.sort(-np.asarray(probabilities, dtype=np.float64), axis=1)


def _shares(probabilities: np.ndarray) -> np.ndarray:
    ranked = _descending(probabilities)
    total = ranked.sum(axis=1, keepdims=True)
    uniform = np.full_like(ranked, 1 / ranked.shape[1])
    return np.divide(ranked, total, out=uniform, where=total > 0)


class MMC(ScoreQueryStrategy):
    """Query the documents whose labels promise the largest reduction of the loss (Yang et al., SIGKDD 2009).

    Needs dense probabilities only. Cost O((N + L) C log C) time and O((N + L) C) memory for N unlabeled and L labeled
    documents, whatever the batch size, plus a logistic regression on L documents.

    Parameters
    ----------
    seed : None, int or numpy Generator
        Breaks ties.
    """

    def _scores(self, pool: Pool) -> np.ndarray:
        seen = pool.labels.sum(axis=1)
        counts = predicted_label_counts(pool.labeled_centred, seen, pool.centred)
        return loss_reduction(pool.centred, counts)

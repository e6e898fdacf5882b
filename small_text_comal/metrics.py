"""Multi-label metrics of the paper: P@k, nDCG@k, micro and macro F1."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import f1_score

__all__ = ["label_f1", "macro_f1", "micro_f1", "ndcg_at_k", "precision_at_k"]


def _ranked_relevance(y_true: np.ndarray, y_score: np.ndarray, k: int) -> np.ndarray:
    """Relevance (N, k) of the k best scored labels of each document, ties in label order."""
    y_true, y_score = np.asarray(y_true), np.asarray(y_score)
    if y_true.ndim != 2 or y_true.shape != y_score.shape:
        raise ValueError(f"expected y_true and y_score of one shape (N, C), got {y_true.shape} and {y_score.shape}")
    if not 1 <= k <= y_true.shape[1]:
        raise ValueError(f"expected 1 <= k <= C = {y_true.shape[1]} labels, got k={k}")
    if len(y_true) == 0:
        raise ValueError("expected at least one document, got none")
    best = np.argsort(-y_score, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(y_true != 0, best, axis=1)


def precision_at_k(y_true: np.ndarray, y_score: np.ndarray, k: int) -> float:
    """Return P@k: the share of true labels among a document's k best scored ones, averaged over documents.

    It divides by k, also where a document has fewer labels; a document without labels scores 0.

    Parameters
    ----------
    y_true : (N, C) of 0 and 1
    y_score : (N, C), larger is more likely
    k : at most C

    Raises
    ------
    ValueError
        When k is larger than C, on other shapes, without documents.

    Examples
    --------
    >>> precision_at_k(np.array([[1, 0, 1]]), np.array([[0.9, 0.8, 0.1]]), 2)
    0.5
    """
    return float(_ranked_relevance(y_true, y_score, k).mean())


def ndcg_at_k(y_true: np.ndarray, y_score: np.ndarray, k: int) -> float:
    """Return nDCG@k with the ideal of min(k, number of labels) hits, averaged over documents.

    A document without labels scores 0. Parameters and errors as `precision_at_k`.

    Examples
    --------
    >>> round(ndcg_at_k(np.array([[1, 0, 0]]), np.array([[0.8, 0.9, 0.1]]), 2), 4)
    0.6309
    """
    relevance = _ranked_relevance(y_true, y_score, k)
    discount = 1 / np.log2(np.arange(2, k + 2))
    n_labels = np.minimum((np.asarray(y_true) != 0).sum(axis=1), k)
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[n_labels]
    gain = relevance @ discount
    return float(np.divide(gain, ideal, out=np.zeros_like(gain), where=ideal > 0).mean())


def micro_f1(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return F1 over all pairs of a document and a label, for 0/1 arrays (N, C); 0 where nothing is positive.

    Examples
    --------
    >>> micro_f1(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]))
    0.8
    """
    return _f1(y_true, y_pred, "micro")


def macro_f1(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the mean over labels of F1, for 0/1 arrays (N, C); a label never true and never predicted counts 0.

    Examples
    --------
    >>> macro_f1(np.array([[1, 0], [1, 0]]), np.array([[1, 0], [1, 0]]))
    0.5
    """
    return _f1(y_true, y_pred, "macro")


def label_f1(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Return F1 of each label, (C,), for 0/1 arrays (N, C); a label never true and never predicted counts 0.

    Examples
    --------
    >>> label_f1(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [1, 0]])).tolist()
    [1.0, 0.0]
    """
    y_true, y_pred = np.asarray(y_true) != 0, np.asarray(y_pred) != 0
    if y_true.ndim != 2 or y_true.shape != y_pred.shape:
        raise ValueError(f"expected y_true and y_pred of one shape (N, C), got {y_true.shape} and {y_pred.shape}")
    hits, all_marked = (y_true & y_pred).sum(axis=0), y_true.sum(axis=0) + y_pred.sum(axis=0)
    return np.divide(2 * hits, all_marked, out=np.zeros(y_true.shape[1]), where=all_marked > 0)


def _f1(y_true: np.ndarray, y_pred: np.ndarray, average: str) -> float:
    y_true, y_pred = np.asarray(y_true, dtype=int), np.asarray(y_pred, dtype=int)
    if y_true.ndim != 2 or y_true.shape != y_pred.shape:
        raise ValueError(f"expected y_true and y_pred of one shape (N, C), got {y_true.shape} and {y_pred.shape}")
    if y_true.shape[1] == 1:  # scikit-learn reads one column as two classes, and would count the absent one as well
        return float(f1_score(y_true[:, 0], y_pred[:, 0], zero_division=0))
    return float(f1_score(y_true, y_pred, average=average, zero_division=0))

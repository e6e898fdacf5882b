"""Cuts for F1: from which probability on a label is predicted, one cut for all labels or one per label.

With few labeled documents, a calibrated probability rarely exceeds 0.5, and a cut at 0.5 predicts next to nothing. A
cut that was fitted on held-out probabilities of the labeled pool predicts as many labels as pay in F1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, logit

__all__ = ["averaged_thresholds", "centred", "checked_thresholds", "label_thresholds", "micro_threshold"]

SHRINKAGE = 20  # positives at which a label's own cut and the one for all labels weigh the same
_LOWEST = float(np.finfo(np.float32).tiny)  # cuts are strictly inside (0, 1), also as float32
_HIGHEST = 1 - float(np.finfo(np.float32).epsneg)


def micro_threshold(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the one cut for all labels with the best micro-F1.

    It lies halfway between two neighbouring probabilities. Of cuts that are equally good it is the highest, which
    predicts fewest labels; where no label is positive that is a cut above all probabilities.

    Parameters
    ----------
    probabilities : (N, C) within [0, 1], of documents that the classifier was not fitted on
    labels : (N, C) of 0 and 1

    Returns
    -------
    threshold : strictly inside (0, 1); a label is predicted where its probability is at least this

    Raises
    ------
    ValueError
        On other shapes, without documents, on probabilities outside [0, 1].

    Examples
    --------
    >>> micro_threshold(np.array([[0.125, 0.25], [0.375, 0.5]]), np.array([[0, 0], [1, 1]]))
    0.3125
    """
    probabilities, labels = _checked(probabilities, labels)
    ranked, hits = _ranking(probabilities.reshape(-1, 1), labels.reshape(-1, 1))
    best = _best_rank(_f1(hits[:, 0], np.arange(len(hits)), hits[-1, 0]), ranked[:, 0])
    return float(np.clip(_cut(ranked[:, 0], best), _LOWEST, _HIGHEST))


def label_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return one cut per label: micromacro-freq, shrunk towards the one cut for all labels.

    Labels come in order of falling frequency, of equally frequent ones the more probable first. The i-th gets the cut
    that maximises (1 / i) F1_j plus the micro-F1 of the labels up to it, ties as in `micro_threshold`. A label with n_j
    positives then keeps n_j / (n_j + 20) of its cut's log-odds and takes the rest from `micro_threshold`, so that a
    label without positives has the cut of all.

    Parameters
    ----------
    probabilities : (N, C) within [0, 1], of documents that the classifier was not fitted on
    labels : (N, C) of 0 and 1

    Returns
    -------
    thresholds : (C,) float32, strictly inside (0, 1)

    Raises
    ------
    ValueError
        On other shapes, without documents, on probabilities outside [0, 1].

    References
    ----------
    Lin and Lin, On the Thresholding Strategy for Infrequent Labels in Multi-label Classification, CIKM 2023. Shrinking
    is not theirs: with few positives a label's own cut is mostly chance.

    Examples
    --------
    >>> probabilities = np.array([[0.125, 0.25], [0.375, 0.125]])
    >>> label_thresholds(probabilities, np.array([[0, 0], [1, 0]])).round(3)
    array([0.309, 0.312], dtype=float32)
    """
    probabilities, labels = _checked(probabilities, labels)
    own = logit(np.clip(_micromacro_thresholds(probabilities, labels), _LOWEST, _HIGHEST))
    shared = logit(micro_threshold(probabilities, labels))
    positives = labels.sum(axis=0)
    shrunk = expit((positives * own + SHRINKAGE * shared) / (positives + SHRINKAGE))
    return _as_cuts(shrunk)


def averaged_thresholds(
    probabilities: np.ndarray, labels: np.ndarray, *, samples: int = 20, seed: int = 0
) -> np.ndarray:
    """Return `label_thresholds` averaged, as log-odds, over bootstrap samples of the documents.

    Which cut is best on a hundred documents is partly chance, since F1 hardly changes around it.

    Parameters
    ----------
    probabilities, labels : (N, C), as in `label_thresholds`
    samples : how often N documents are drawn with replacement
    seed : of the draws

    Returns
    -------
    thresholds : (C,) float32, strictly inside (0, 1)

    Raises
    ------
    ValueError
        As `label_thresholds`.
    """
    probabilities, labels = _checked(probabilities, labels)
    draws = np.random.default_rng(seed).integers(len(labels), size=(samples, len(labels)))
    cuts = [label_thresholds(probabilities[draw], labels[draw]).astype(np.float64) for draw in draws]
    return _as_cuts(expit(np.mean(logit(cuts), axis=0)))


def centred(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return q = sigmoid(logit p - logit t), the probability seen from the cut: at least 0.5 exactly where p >= t.

    Parameters
    ----------
    probabilities : (N, C) within [0, 1]
    thresholds : (C,) or one number, strictly inside (0, 1)

    Returns
    -------
    centred : (N, C) in the float type of `probabilities`; 0.5 at the cut, 0 and 1 where the probability is 0 and 1

    Examples
    --------
    >>> centred(np.array([[0.25, 0.25]]), np.array([0.25, 0.5])).tolist()
    [[0.5, 0.25]]
    """
    p, t = np.asarray(probabilities, dtype=np.float64), np.asarray(thresholds, dtype=np.float64)
    above, below = p * (1 - t), (1 - p) * t
    q = (above / (above + below)).astype(np.asarray(probabilities).dtype)
    return np.where(p < t, np.minimum(q, np.nextafter(q.dtype.type(0.5), q.dtype.type(0))), q)  # rounding may reach 0.5


def checked_thresholds(threshold: Any, num_classes: int) -> np.ndarray | None:
    """Return the cuts that an option asks for, or None where it leaves them to be fitted.

    Parameters
    ----------
    threshold : "auto", a number, or an array (C,); numbers strictly inside (0, 1)
    num_classes : C

    Returns
    -------
    thresholds : (C,) float32, or None for "auto"

    Raises
    ------
    ValueError
        On another word, shape or value.

    Examples
    --------
    >>> checked_thresholds(0.5, 3)
    array([0.5, 0.5, 0.5], dtype=float32)
    >>> checked_thresholds("auto", 3) is None
    True
    """
    if isinstance(threshold, str) and threshold == "auto":
        return None
    expected = f'threshold: expected "auto", a number inside (0, 1), or one for each of {num_classes} labels'
    try:
        cuts = np.asarray(threshold, dtype=np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"{expected}, got {threshold!r}") from None
    if cuts.shape not in ((), (num_classes,)):
        raise ValueError(f"{expected}, got an array of shape {cuts.shape}")
    if not ((cuts > 0) & (cuts < 1)).all():
        raise ValueError(f"{expected}, got {threshold!r}: at 0 every label would be predicted, at 1 almost none")
    return np.full(num_classes, cuts, dtype=np.float32)


def _as_cuts(thresholds: np.ndarray) -> np.ndarray:
    return np.clip(thresholds, _LOWEST, _HIGHEST).astype(np.float32)


def _micromacro_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cuts (C,) of micromacro-freq, not shrunk."""
    ranked, hits = _ranking(probabilities, labels)
    positives = labels.sum(axis=0)
    predicted = np.arange(len(hits))
    thresholds = np.empty(len(positives))
    hits_before = predicted_before = positives_before = 0
    # the sums over sorted columns do not depend on the order of documents, nor the order of labels on their positions
    for i, j in enumerate(np.lexsort((-ranked.sum(axis=0), -positives)), start=1):
        positives_before += positives[j]
        own = _f1(hits[:, j], predicted, positives[j])
        together = _f1(hits[:, j] + hits_before, predicted + predicted_before, positives_before)
        best = _best_rank(own / i + together, ranked[:, j])
        hits_before, predicted_before = hits_before + hits[best, j], predicted_before + best
        thresholds[j] = _cut(ranked[:, j], best)
    return thresholds


def _ranking(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return columns in falling order (N, C), and how many of their first 0 to N are positive (N + 1, C)."""
    order = np.argsort(-probabilities, axis=0, kind="stable")
    hits = np.cumsum(np.take_along_axis(labels, order, axis=0), axis=0, dtype=np.int64)
    return np.take_along_axis(probabilities, order, axis=0), np.vstack([np.zeros_like(hits[:1]), hits])


def _f1(hits: np.ndarray, predicted: np.ndarray, positives: int) -> np.ndarray:
    """Return 2 TP / (2 TP + FP + FN), 0 where nothing is predicted and nothing positive."""
    return 2 * hits / np.maximum(predicted + positives, 1)


def _best_rank(score: np.ndarray, ranked: np.ndarray) -> int:
    """Return the k with the best score (N + 1,) among those where a cut can separate the first k from the rest."""
    separable = np.concatenate([[True], ranked[:-1] > ranked[1:], [True]])
    return int(np.argmax(np.where(separable, score, -np.inf)))


def _cut(ranked: np.ndarray, k: int) -> float:
    """Return the middle between the k-th largest probability, or 1, and the next, or 0."""
    above = ranked[k - 1] if k > 0 else 1.0
    below = ranked[k] if k < len(ranked) else 0.0
    return float(above + below) / 2


def _checked(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities as float64 and labels as bool."""
    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if probabilities.ndim != 2 or probabilities.shape != labels.shape or probabilities.size == 0:
        raise ValueError(
            "expected probabilities and labels of one shape (N, C) with at least one document and label, "
            f"got {probabilities.shape} and {labels.shape}"
        )
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("expected probabilities within [0, 1], got others, or NaN: are they logits?")
    return probabilities, labels != 0

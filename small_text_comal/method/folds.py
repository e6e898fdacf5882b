"""Probabilities of labeled documents by classifiers that were not fitted on them."""

from __future__ import annotations

from typing import Protocol

import numpy as np

__all__ = ["FitHead", "Head", "out_of_fold_probabilities", "stratified_folds"]


class Head(Protocol):
    """What a fit returns."""

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return probabilities (N, C) of features (N, D)."""
        ...


class FitHead(Protocol):
    """A fit, as `functools.partial(fit_logistic_head, l2=0.1)`."""

    def __call__(self, features: np.ndarray, labels: np.ndarray, *, sample_weights: np.ndarray | None) -> Head:
        """Fit features (N, D) to labels (N, C), weighted by (N,)."""
        ...


def out_of_fold_probabilities(
    features: np.ndarray,
    labels: np.ndarray,
    fit: FitHead,
    *,
    n_folds: int = 4,
    sample_weights: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Return each document's probabilities by a head that was fitted on the other folds.

    A label whose only positive is held out is fitted without any. With fewer documents than folds, each is a fold of its
    own; a single document is also what its head is fitted on, since there is no other.

    Parameters
    ----------
    features : (N, D), N of 1 at least
    labels : (N, C) of 0 and 1
    fit : called as fit(features, labels, sample_weights=...) with the rows of each n_folds - 1 folds
    n_folds : at least 2
    sample_weights : (N,), handed on to `fit`
    seed : of the folds, see `stratified_folds`

    Returns
    -------
    probabilities : (N, C) float32

    Raises
    ------
    ValueError
        As `stratified_folds`.
    """
    folds = stratified_folds(labels, n_folds, seed=seed)
    probabilities = np.empty(labels.shape, dtype=np.float32)
    for fold in range(folds.max() + 1):
        held_out = folds == fold
        rest = ~held_out if len(folds) > 1 else held_out
        weights = None if sample_weights is None else sample_weights[rest]
        head = fit(features[rest], labels[rest], sample_weights=weights)
        probabilities[held_out] = head.probabilities(features[held_out])
    return probabilities


def stratified_folds(labels: np.ndarray, n_folds: int, *, seed: int = 0) -> np.ndarray:
    """Return a fold for each document, such that sizes differ by 1 at most and each label's positives are spread.

    Iterative stratification: the label with the fewest positives left goes first, and each of its documents joins the
    fold that lacks most of that label, of several the smallest.

    Parameters
    ----------
    labels : (N, C) of 0 and 1, N of 1 at least
    n_folds : at least 2; with fewer documents there are N folds
    seed : breaks ties, and orders the documents of a label

    Returns
    -------
    folds : (N,) of 0 to min(n_folds, N) - 1, each of them used

    Raises
    ------
    ValueError
        Without documents, with fewer than two folds.

    References
    ----------
    Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-label Data, ECML PKDD 2011.

    Examples
    --------
    >>> folds = stratified_folds(np.array([[1, 0], [1, 0], [0, 1], [0, 1]]), 2)
    >>> bool(folds[0] != folds[1] and folds[2] != folds[3])
    True
    """
    positive = np.asarray(labels) != 0
    if positive.ndim != 2 or len(positive) == 0:
        raise ValueError(f"expected labels (N, C) of at least one document, got {positive.shape}")
    if n_folds < 2:
        raise ValueError(f"n_folds: expected at least 2, got {n_folds}")
    N, n_folds = len(positive), min(n_folds, len(positive))
    rng = np.random.default_rng(seed)
    order = rng.permutation(N)
    lacking = np.tile(positive.sum(axis=0) / n_folds, (n_folds, 1))
    room = np.full(n_folds, N // n_folds) + (np.arange(n_folds) < N % n_folds)
    folds, left = np.full(N, -1), positive.sum(axis=0)
    while (folds < 0).any():
        label = np.argmin(np.where(left > 0, left, N + 1)) if left.any() else None
        members = order if label is None else order[positive[order, label]]
        for document in members[folds[members] < 0]:
            wanted = np.zeros(n_folds) if label is None else lacking[:, label]
            fold = np.lexsort((rng.random(n_folds), -room, -wanted, room == 0))[0]
            folds[document] = fold
            lacking[fold] -= positive[document]
            room[fold] -= 1
            left -= positive[document]
    return folds

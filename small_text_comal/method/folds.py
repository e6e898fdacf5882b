"""Probabilities of labeled documents by heads that were not fitted on them, nor on documents much like them.

Documents that say nearly the same tell a head little about new ones. Where they are spread over folds (arguments with
one conclusion, posts of one thread), held-out probabilities are far too good, and what is fitted on them is wrong.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.sparse import csr_matrix, vstack
from scipy.sparse.csgraph import connected_components

__all__ = ["FitHead", "Head", "document_folds", "out_of_fold_probabilities", "similar_documents", "stratified_folds"]

SIMILAR = 0.7  # cosine of centred features from which on two documents share a fold
_BLOCK = 1024


class Head(Protocol):
    """What a fit returns."""

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return probabilities (N, C) of features (N, D)."""
        ...


class FitHead(Protocol):
    """A fit, such as `functools.partial(fit_logistic_head, l2=0.1)`."""

    def __call__(self, features: np.ndarray, labels: np.ndarray, *, sample_weights: np.ndarray | None) -> Head:
        """Fit features (N, D) to labels (N, C), weighted by (N,)."""
        ...


def out_of_fold_probabilities(
    features: np.ndarray,
    labels: np.ndarray,
    fit: FitHead,
    *,
    folds: np.ndarray | None = None,
    sample_weights: np.ndarray | None = None,
) -> np.ndarray:
    """Return each document's probabilities by a head that was fitted on the other folds.

    A label whose positives are all held out is fitted without any. A single document has no others: its head is fitted
    on the document itself.

    Parameters
    ----------
    features : (N, D), N of 1 at least
    labels : (N, C) of 0 and 1
    fit : called as fit(features, labels, sample_weights=...) with the rows of all folds but one
    folds : (N,), 0 to the number of folds - 1; four of `document_folds` by default
    sample_weights : (N,), handed on to `fit`

    Returns
    -------
    probabilities : (N, C) float32

    Raises
    ------
    ValueError
        As `document_folds`.
    """
    folds = document_folds(features, labels) if folds is None else folds
    probabilities = np.empty(labels.shape, dtype=np.float32)
    for fold in np.unique(folds):
        held_out = folds == fold
        rest = held_out if held_out.all() else ~held_out
        weights = None if sample_weights is None else sample_weights[rest]
        head = fit(features[rest], labels[rest], sample_weights=weights)
        probabilities[held_out] = head.probabilities(features[held_out])
    return probabilities


def document_folds(features: np.ndarray, labels: np.ndarray, n_folds: int = 4, *, seed: int = 0) -> np.ndarray:
    """Return `stratified_folds` in which similar documents share a fold.

    Parameters
    ----------
    features : (N, D), N of 1 at least
    labels : (N, C) of 0 and 1
    n_folds, seed : as in `stratified_folds`

    Returns
    -------
    folds : (N,), every fold used
    """
    groups = similar_documents(features)
    of_group = np.bincount(groups)[groups]
    too_large = of_group > len(groups) / n_folds  # such a group cannot share a fold: its documents are on their own
    return stratified_folds(
        labels, n_folds, groups=np.where(too_large, len(groups) + np.arange(len(groups)), groups), seed=seed
    )


def similar_documents(features: np.ndarray) -> np.ndarray:
    """Return a group for each document: two are in one group when a chain of similar documents joins them.

    Similar are documents whose features, minus the mean of all, have a cosine of at least 0.7. Without the mean,
    encoders whose features all point the same way would find any two documents similar.

    Parameters
    ----------
    features : (N, D)

    Returns
    -------
    groups : (N,) of 0 to the number of groups - 1

    Examples
    --------
    >>> similar_documents(np.array([[1.0, 0.0], [0.99, 0.01], [0.0, 1.0], [-1.0, -1.0]])).tolist()
    [0, 0, 1, 2]
    """
    centred = features - features.mean(axis=0)
    centred = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    blocks = (centred[start : start + _BLOCK] @ centred.T >= SIMILAR for start in range(0, len(centred), _BLOCK))
    return np.asarray(connected_components(vstack([csr_matrix(block) for block in blocks]), directed=False)[1])


def stratified_folds(
    labels: np.ndarray, n_folds: int, *, groups: np.ndarray | None = None, seed: int = 0
) -> np.ndarray:
    """Return a fold for each document, such that folds are alike in size and each label's positives are spread.

    Iterative stratification: the label with the fewest positives left goes first, and each of its documents joins the
    fold that lacks most of that label, of several the one with most room. Folds that are full take no more. Without
    groups the sizes differ by 1 at most.

    Parameters
    ----------
    labels : (N, C) of 0 and 1, N of 1 at least
    n_folds : at least 2; fewer are made where there are fewer documents or groups
    groups : (N,) integers; documents of one group share a fold
    seed : breaks ties, and orders groups of one size

    Returns
    -------
    folds : (N,) of 0 to the number of folds - 1, every fold used

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
    members = np.arange(len(positive)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(members)
    counts = np.zeros((len(sizes), positive.shape[1]), dtype=np.int64)
    np.add.at(counts, members, positive)
    folds = _stratify(counts, sizes, min(n_folds, len(sizes)), np.random.default_rng(seed))
    return folds[members]


def _stratify(counts: np.ndarray, sizes: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return a fold for each group (G,), given its positives of each label (G, C) and its documents (G,)."""
    n_documents, left = sizes.sum(), counts.sum(axis=0)
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]  # what is large is hard to place later
    lacking = np.tile(left / n_folds, (n_folds, 1))
    room = np.full(n_folds, n_documents // n_folds) + (np.arange(n_folds) < n_documents % n_folds)
    folds, used, groups_left = np.full(len(sizes), -1), np.zeros(n_folds, dtype=bool), len(sizes)
    while (folds < 0).any():
        label = np.argmin(np.where(left > 0, left, n_documents + 1)) if left.any() else None
        candidates = order if label is None else order[counts[order, label] > 0]
        for group in candidates[folds[candidates] < 0]:
            wanted = np.zeros(n_folds) if label is None else lacking[:, label]
            closed = used if np.sum(~used) == groups_left else room <= 0
            fold = np.lexsort((rng.random(n_folds), -room, -wanted, closed))[0]
            folds[group], used[fold] = fold, True
            groups_left -= 1
            lacking[fold] -= counts[group]
            room[fold] -= sizes[group]
            left -= counts[group]
    return folds

"""The first documents: every label seen at least once, or, where no label is known, documents that cover the pool."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from small_text_comal.method.herding import herd

__all__ = ["herding_initialization", "label_covering_initialization"]


def herding_initialization(
    features: np.ndarray, n_samples: int, *, seed: int | np.random.Generator | None = None
) -> np.ndarray:
    """Return documents that together cover a pool of which no label is known: MaxHerding without labeled documents.

    Parameters
    ----------
    features : (N, D) float, one vector a document, of any encoder
    n_samples : number of documents, at most N
    seed : None, int or numpy Generator

    Returns
    -------
    indices : (n_samples,) distinct, those that cover most first; see `method.herding.herd`

    Raises
    ------
    ValueError
        On n_samples outside [1, N], another shape, NaN or infinity.

    Examples
    --------
    Two groups of documents, and one of each is enough.

    >>> features = np.array([[1.0, 0.0], [0.99, 0.1], [0.98, 0.2], [0.0, 1.0], [0.1, 0.99], [0.2, 0.98]])
    >>> sorted((herding_initialization(features, 2, seed=0) // 3).tolist())
    [0, 1]
    """
    features = np.asarray(features)
    if not 1 <= n_samples <= len(features):
        raise ValueError(f"n_samples: expected a number within [1, {len(features)}] (documents), got {n_samples}")
    return herd(features, features[:0], np.ones(len(features)), n_samples, rng=np.random.default_rng(seed))


def label_covering_initialization(
    y: Any,
    n_samples: int,
    *,
    min_per_label: int = 1,
    seed: int | np.random.Generator | None = None,
) -> np.ndarray:
    """Return a random initial pool in which every label has a positive (paper section 4.1).

    Labels are covered from the rarest on, each by documents drawn at random among its positives; the rest of the pool
    is drawn at random from all other documents. Where that draw is larger than the pool, the documents that serve the
    most labels are taken instead.

    Parameters
    ----------
    y : (N, C) of 0 and 1, array or sparse
    n_samples : size of the pool, at most N
    min_per_label : positives wanted of each label; a label that has fewer gives all it has
    seed : None, int or numpy Generator

    Returns
    -------
    indices : (n_samples,) distinct, in random order

    Raises
    ------
    ValueError
        When n_samples is larger than N or too small to cover the labels; the message says how many are needed.

    Examples
    --------
    >>> y = np.array([[1, 0], [1, 0], [1, 0], [0, 1]])
    >>> 3 in label_covering_initialization(y, 2, seed=0)
    True
    """
    labels = csr_matrix(y).astype(bool)
    labels.eliminate_zeros()
    n_documents = labels.shape[0]
    if not 1 <= n_samples <= n_documents:
        raise ValueError(f"n_samples: expected a number within [1, {n_documents}] (documents in y), got {n_samples}")
    if min_per_label < 0:
        raise ValueError(f"min_per_label: expected an integer >= 0, got {min_per_label}")
    rng = np.random.default_rng(seed)
    covering = _covering_documents(labels.tocsc(), min_per_label, rng)
    if len(covering) > n_samples:
        covering = _small_cover(labels, min_per_label, rng)
    if len(covering) > n_samples:
        raise ValueError(
            f"n_samples={n_samples} cannot hold {min_per_label} positive(s) of each label: "
            f"needed are {len(covering)} documents; raise n_samples or lower min_per_label"
        )
    rest = np.setdiff1d(np.arange(n_documents), covering)
    drawn = rng.choice(rest, size=n_samples - len(covering), replace=False)
    return rng.permutation(np.concatenate([covering, drawn]).astype(np.intp))


def _covering_documents(columns: Any, min_per_label: int, rng: np.random.Generator) -> np.ndarray:
    """Documents that give every label its positives; a document counts for all labels it has."""
    chosen = np.zeros(columns.shape[0], dtype=bool)
    frequency = np.diff(columns.indptr)
    for label in np.argsort(frequency, kind="stable"):
        positives = columns.indices[columns.indptr[label] : columns.indptr[label + 1]]
        missing = min(min_per_label, len(positives)) - int(chosen[positives].sum())
        if missing > 0:
            chosen[rng.choice(positives[~chosen[positives]], size=missing, replace=False)] = True
    return np.flatnonzero(chosen)


def _small_cover(labels: csr_matrix, min_per_label: int, rng: np.random.Generator) -> np.ndarray:
    """Greedily the document that serves most labels still wanting positives, ties at random."""
    wanting = np.minimum(min_per_label, labels.sum(axis=0).A1)
    chosen: list[int] = []
    left = np.ones(labels.shape[0], dtype=bool)
    while wanting.any():
        served = np.where(left, labels @ (wanting > 0).astype(int), 0)
        best = int(rng.choice(np.flatnonzero(served == served.max())))
        chosen.append(best)
        left[best] = False
        wanting = np.maximum(wanting - labels[best].toarray()[0], 0)
    return np.array(chosen, dtype=np.intp)

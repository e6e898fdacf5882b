"""What every query strategy of this package shares: checked input, dense probabilities, seeded top-n."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, issparse

from small_text_comal.host import QueryStrategy, ScoringMixin, check_query_input, dense_probabilities

__all__ = [
    "PoolQueryStrategy",
    "ScoreQueryStrategy",
    "checked_labels",
    "dense_probabilities",
    "label_cardinality",
    "seeded_top_n",
]


def seeded_top_n(scores: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the positions of the `n` largest scores, best first, ties broken at random by `rng`.

    Parameters
    ----------
    scores : (N,) array of float, without NaN
    n : number of positions, at most N
    rng : decides the order of equal scores

    Examples
    --------
    >>> seeded_top_n(np.array([0.1, 0.9, 0.5]), 2, np.random.default_rng(0)).tolist()
    [1, 2]
    """
    if np.isnan(scores).any():
        raise ValueError(f"expected finite or infinite scores, got NaN for {int(np.isnan(scores).sum())} documents")
    shuffled = rng.permutation(len(scores))
    return shuffled[np.argsort(-scores[shuffled], kind="stable")[:n]]


def label_cardinality(labels: np.ndarray) -> float:
    """Return the mean number of labels of a document, for 0/1 `labels` (N, C)."""
    return float(labels.sum(axis=1).mean())


def checked_labels(y: csr_matrix, indices_labeled: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the labels of the labeled pool as a dense 0/1 array.

    Parameters
    ----------
    y : CSR matrix (L, C'), C' <= C, row i belongs to ``indices_labeled[i]``
    indices_labeled : (L,) positions in the dataset
    num_classes : C

    Returns
    -------
    labels : (L, C) bool

    Raises
    ------
    ValueError
        On single-label data, other lengths, an empty labeled pool, or a label outside the C classes.
    """
    if not issparse(y):
        raise ValueError(
            f"expected multi-label data (y as a CSR matrix), got {type(y).__name__}: "
            "build the dataset from a csr_matrix of labels"
        )
    if y.shape[0] != len(indices_labeled):
        raise ValueError(
            f"expected one row of y for each of the {len(indices_labeled)} indices_labeled, got {y.shape[0]} rows"
        )
    if y.shape[0] == 0:
        raise ValueError("the labeled pool is empty: initialize the active learner with labeled documents first")
    columns = y.tocoo().col[y.tocoo().data != 0]
    if columns.size and columns.max() >= num_classes:
        raise ValueError(
            f"label {int(columns.max())} lies outside the classifier's {num_classes} classes: "
            "create the classifier factory with the number of columns of y"
        )
    labels = np.zeros((y.shape[0], num_classes), dtype=bool)
    dense = y.toarray() > 0
    width = min(num_classes, dense.shape[1])
    labels[:, :width] = dense[:, :width]
    return labels


class PoolQueryStrategy(QueryStrategy):
    """A query strategy with checked input and its own random generator.

    Subclasses implement `_select`, which returns positions in `indices_unlabeled`.

    Parameters
    ----------
    seed : None, int or numpy Generator
        Makes queries repeatable. The generator is part of the strategy's state: it is saved with the learner, so a
        loaded learner continues with the same queries.
    """

    def __init__(self, *, seed: int | np.random.Generator | None = None) -> None:
        self.rng = np.random.default_rng(seed)

    def query(
        self,
        clf: Any,
        dataset: Any,
        indices_unlabeled: np.ndarray,
        indices_labeled: np.ndarray,
        y: csr_matrix,
        n: int = 10,
    ) -> np.ndarray:
        """Return `n` distinct members of `indices_unlabeled`, best first.

        Raises
        ------
        EmptyPoolException, PoolExhaustedException
            small-text's own, when the pool is empty or smaller than `n`.
        ValueError
            On n < 1, single-label data, labels that do not fit, or a query before `fit`.
        """
        indices_unlabeled = np.asarray(indices_unlabeled)
        check_query_input(self, indices_unlabeled, n)
        if n < 1:
            raise ValueError(f"expected n >= 1 documents to query, got n={n}")
        labels = self._checked(clf, indices_labeled, y)
        positions = self._select(clf, dataset, indices_unlabeled, np.asarray(indices_labeled), labels, n)
        return indices_unlabeled[positions]

    def _checked(self, clf: Any, indices_labeled: np.ndarray, y: csr_matrix) -> np.ndarray:
        if clf is None or getattr(clf, "model", clf) is None:
            raise ValueError(f"{type(self).__name__} needs a trained classifier: call initialize (fit) before query")
        return checked_labels(y, np.asarray(indices_labeled), clf.num_classes)

    @abstractmethod
    def _select(
        self,
        clf: Any,
        dataset: Any,
        indices_unlabeled: np.ndarray,
        indices_labeled: np.ndarray,
        labels: np.ndarray,
        n: int,
    ) -> np.ndarray:
        """Return n distinct positions in `indices_unlabeled`; `labels` is (L, C) bool."""

    def __str__(self) -> str:
        return f"{type(self).__name__}()"


class ScoreQueryStrategy(PoolQueryStrategy, ScoringMixin):
    """A query strategy that gives each document a score of its own and queries the largest.

    Subclasses implement `_scores`.
    """

    def __init__(self, *, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(seed=seed)
        self.scores_: np.ndarray | None = None

    @property
    def last_scores(self) -> np.ndarray | None:
        """The scores of the last `score` or `query`, one for each of its `indices_unlabeled`; None before."""
        return self.scores_

    def score(
        self,
        clf: Any,
        dataset: Any,
        indices_unlabeled: np.ndarray,
        indices_labeled: np.ndarray,
        y: csr_matrix,
    ) -> np.ndarray:
        """Return the score of every unlabeled document, (len(indices_unlabeled),) float64, larger is queried first."""
        indices_unlabeled = np.asarray(indices_unlabeled)
        check_query_input(self, indices_unlabeled, 0)
        labels = self._checked(clf, indices_labeled, y)
        self.scores_ = self._scores(clf, dataset, indices_unlabeled, np.asarray(indices_labeled), labels)
        return self.scores_

    def _select(
        self,
        clf: Any,
        dataset: Any,
        indices_unlabeled: np.ndarray,
        indices_labeled: np.ndarray,
        labels: np.ndarray,
        n: int,
    ) -> np.ndarray:
        self.scores_ = self._scores(clf, dataset, indices_unlabeled, indices_labeled, labels)
        return seeded_top_n(self.scores_, n, self.rng)

    @abstractmethod
    def _scores(
        self, clf: Any, dataset: Any, indices_unlabeled: np.ndarray, indices_labeled: np.ndarray, labels: np.ndarray
    ) -> np.ndarray:
        """Return (len(indices_unlabeled),) scores; `labels` is (L, C) bool."""

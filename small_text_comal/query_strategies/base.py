"""What every query strategy of this package shares: checked input, a pool to look at, seeded top-n."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from small_text_comal.host import QueryStrategy, ScoringMixin, check_query_input
from small_text_comal.query_strategies.pool import Pool, checked_labels

__all__ = ["PoolQueryStrategy", "ScoreQueryStrategy", "seeded_top_n"]


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


class PoolQueryStrategy(QueryStrategy):
    """A query strategy with checked input and its own random generator.

    Subclasses implement `_select`, which returns positions in the pool.

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
        return indices_unlabeled[self._select(self._pool(clf, dataset, indices_unlabeled, indices_labeled, y), n)]

    def _pool(self, clf: Any, dataset: Any, indices_unlabeled: Any, indices_labeled: Any, y: csr_matrix) -> Pool:
        name = type(self).__name__
        if clf is None or getattr(clf, "model", clf) is None:
            raise ValueError(f"{name} needs a trained classifier: call initialize (fit) before query")
        indices_labeled = np.asarray(indices_labeled)
        labels = checked_labels(y, indices_labeled, clf.num_classes)
        return Pool(clf, dataset, indices_unlabeled, indices_labeled, labels, strategy=name)

    @abstractmethod
    def _select(self, pool: Pool, n: int) -> np.ndarray:
        """Return n distinct positions in the unlabeled pool, best first."""

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

    def score(self, clf: Any, dataset: Any, indices_unlabeled: Any, indices_labeled: Any, y: csr_matrix) -> np.ndarray:
        """Return the score of every unlabeled document, (len(indices_unlabeled),) float64, larger is queried first."""
        indices_unlabeled = np.asarray(indices_unlabeled)
        check_query_input(self, indices_unlabeled, 0)
        self.scores_ = self._scores(self._pool(clf, dataset, indices_unlabeled, indices_labeled, y))
        return self.scores_

    def _select(self, pool: Pool, n: int) -> np.ndarray:
        self.scores_ = self._scores(pool)
        return seeded_top_n(self.scores_, n, self.rng)

    @abstractmethod
    def _scores(self, pool: Pool) -> np.ndarray:
        """Return the scores (N,) of the unlabeled documents."""

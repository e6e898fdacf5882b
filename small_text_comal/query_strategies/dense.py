"""An adapter that lets small-text's own strategies see dense multi-label probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from small_text_comal.host import QueryStrategy, dense_probabilities

__all__ = ["WithDenseProbabilities"]


class WithDenseProbabilities(QueryStrategy):
    """Shows `query_strategy` a classifier whose probabilities are dense sigmoid outputs (N, C).

    small-text 2.x gives strategies a sparse matrix of the probabilities above 0.5, on which LeastConfidence,
    PredictionEntropy, BreakingTies, ContrastiveActiveLearning, CategoryVectorInconsistencyAndRanking and
    AdaptiveActiveLearning fail with multi-label data. Everything else is the strategy's own: its queries, `score`,
    `last_scores` and attributes.

    Parameters
    ----------
    query_strategy : any strategy of small-text

    Examples
    --------
    >>> from small_text import LeastConfidence
    >>> str(WithDenseProbabilities(LeastConfidence()))
    'WithDenseProbabilities(LeastConfidence())'
    """

    def __init__(self, query_strategy: QueryStrategy) -> None:
        self.query_strategy = query_strategy

    def query(self, clf: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Query as the strategy does, with its arguments."""
        return self.query_strategy.query(_shown(clf), *args, **kwargs)

    def score(self, clf: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Score as the strategy does, where it can."""
        return self.query_strategy.score(_shown(clf), *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "query_strategy" or name.startswith("__"):  # not there yet while unpickling
            raise AttributeError(name)
        return getattr(self.query_strategy, name)

    def __str__(self) -> str:
        return f"WithDenseProbabilities({self.query_strategy})"


def _shown(clf: Any) -> Any:
    return None if clf is None else _DenseClassifier(clf)  # before the first fit there is nothing to wrap


class _DenseClassifier:
    """A classifier whose `predict_proba` and `embed` give dense probabilities; all else is the classifier's own."""

    def __init__(self, clf: Any) -> None:
        self._clf = clf

    def predict_proba(self, dataset: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        if kwargs.get("dropout_sampling", 1) > 1:
            return self._clf.predict_proba(dataset, *args, **kwargs)
        return dense_probabilities(self._clf, dataset)

    def predict(self, dataset: Any, *args: Any, return_proba: bool = False, **kwargs: Any) -> Any:
        labels = self._clf.predict(dataset, *args, **kwargs)
        return (labels, dense_probabilities(self._clf, dataset)) if return_proba else labels

    def embed(self, dataset: Any, *args: Any, return_proba: bool = False, **kwargs: Any) -> Any:
        embeddings = self._clf.embed(dataset, *args, **kwargs)
        return (embeddings, dense_probabilities(self._clf, dataset)) if return_proba else embeddings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clf, name)

"""AUDI: label ranking with a dummy label, and label cardinality inconsistency (Huang and Zhou, ICDM 2013)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from small_text_comal.method.criteria import cardinality_gap
from small_text_comal.query_strategies.base import ScoreQueryStrategy
from small_text_comal.query_strategies.head_training import HeadOptions, train_head
from small_text_comal.query_strategies.pool import Pool

__all__ = ["AUDI", "DummyRanking", "dummy_ranking_loss", "inconsistency_and_doubt", "most_inconsistent"]


class DummyRanking(NamedTuple):
    """What a ranking against the dummy label tells of each document.

    Parameters
    ----------
    inconsistency : (N,) float64, distance of the number of labels above the dummy from the label cardinality
    doubt : (N,) float64, distance of the closest label from the dummy; small is doubtful
    """

    inconsistency: np.ndarray
    doubt: np.ndarray


def dummy_ranking_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the mean hinge loss of all pairs of a label and the dummy, which belongs between positives and negatives.

    max(0, 1 - (s_j - s_dummy)) for a positive label j, max(0, 1 - (s_dummy - s_j)) for a negative one.

    Parameters
    ----------
    scores : (B, C + 1), the dummy last
    labels : (B, C) of 0 and 1

    Returns
    -------
    loss : scalar

    Examples
    --------
    >>> import torch
    >>> float(dummy_ranking_loss(torch.tensor([[3.0, 0.5, 1.0]]), torch.tensor([[1.0, 0.0]])))
    0.25
    """
    above_dummy = scores[:, :-1] - scores[:, -1:]
    return (1 - (2 * labels - 1) * above_dummy).clamp(min=0).mean()


def inconsistency_and_doubt(scores: np.ndarray, cardinality: float) -> DummyRanking:
    """Return the label cardinality inconsistency of each document's ranking, and its most doubtful label.

    |sum_j [s_j > s_dummy] - cardinality| (Huang and Zhou 2013; their weight for the labels of a document that were
    queried before is constant here, where whole documents are queried) and min_j |s_j - s_dummy|.

    Parameters
    ----------
    scores : (N, C + 1) float, the dummy last
    cardinality : mean number of labels of a labeled document

    Returns
    -------
    ranking : `DummyRanking`

    Examples
    --------
    Three documents, two labels, the dummy always at 0, one label a document on average. Two, one and no label lie
    above the dummy; the closest labels to it have 0.5, -0.1 and -0.2.

    >>> ranking = inconsistency_and_doubt(np.array([[0.5, 2.0, 0.0], [1.0, -0.1, 0.0], [-0.3, -0.2, 0.0]]), 1.0)
    >>> ranking.inconsistency.tolist(), ranking.doubt.tolist()
    ([1.0, 0.0, 1.0], [0.5, 0.1, 0.2])
    """
    above_dummy = scores[:, :-1] - scores[:, -1:]
    return DummyRanking(cardinality_gap(above_dummy > 0, cardinality), np.abs(above_dummy).min(axis=1))


def most_inconsistent(ranking: DummyRanking, n: int, *, rng: np.random.Generator) -> np.ndarray:
    """Return the positions of the `n` largest inconsistencies, the most doubtful first among equals.

    The inconsistency takes few values, so that the doubt decides often; `rng` decides what is equal in both.

    Examples
    --------
    The ranking of `inconsistency_and_doubt`'s example:

    >>> ranking = DummyRanking(np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.1, 0.2]))
    >>> most_inconsistent(ranking, 3, rng=np.random.default_rng(0)).tolist()
    [2, 0, 1]
    """
    chance = rng.permutation(len(ranking.doubt))
    return np.lexsort((chance, ranking.doubt, -ranking.inconsistency))[:n]


class AUDI(ScoreQueryStrategy):
    """Query documents for which a ranking against a dummy label gives an unusual number of labels.

    Huang and Zhou, ICDM 2013. A linear head with C + 1 outputs is trained on the feature vectors of the labeled pool at
    every query; `last_scores` holds the inconsistencies.

    Needs feature vectors. Cost O((S + N) D C) time for S training steps and O((L + N)(D + C)) memory for N unlabeled
    and L labeled documents, whatever the number of documents queried.

    Parameters
    ----------
    head : HeadOptions
        Training of the head.
    seed : None, int or numpy Generator
        Draws the head's batches and breaks ties.
    """

    def __init__(self, *, head: HeadOptions | None = None, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(seed=seed)
        self.head = head or HeadOptions()

    def _select(self, pool: Pool, n: int) -> np.ndarray:
        ranking = self._ranking(pool)
        self.scores_ = ranking.inconsistency
        return most_inconsistent(ranking, n, rng=self.rng)

    def _scores(self, pool: Pool) -> np.ndarray:
        return self._ranking(pool).inconsistency

    def _ranking(self, pool: Pool) -> DummyRanking:
        outputs = pool.labels.shape[1] + 1
        head = train_head(
            pool.labeled_features, pool.labels, dummy_ranking_loss, outputs, rng=self.rng, options=self.head
        )
        return inconsistency_and_doubt(head(pool.features), pool.cardinality)

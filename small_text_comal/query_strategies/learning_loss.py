"""LearningLoss: query the documents whose loss a small head predicts to be large (Yoo and Kweon, CVPR 2019)."""

from __future__ import annotations

import logging

import numpy as np
from torch import Tensor

from small_text_comal.query_strategies.base import ScoreQueryStrategy
from small_text_comal.query_strategies.head_training import HeadOptions, train_head
from small_text_comal.query_strategies.pool import Pool

__all__ = ["LearningLoss", "document_loss", "pair_ranking_loss"]

logger = logging.getLogger(__name__)

_LEAST_PROBABILITY = 1e-7


def document_loss(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the binary cross-entropy of each document, the mean over its labels, in nats.

    Parameters
    ----------
    probabilities : (L, C) float in [0, 1], kept 1e-7 away from both ends: a sure mistake costs 16.1 and not infinity
    labels : (L, C) bool

    Returns
    -------
    loss : (L,) float64, >= 0

    Examples
    --------
    >>> document_loss(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[1, 0], [1, 0]], dtype=bool)).round(3).tolist()
    [0.693, 0.0]
    """
    p = np.asarray(probabilities, dtype=np.float64).clip(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return -np.where(labels, np.log(p), np.log1p(-p)).mean(axis=1)


def pair_ranking_loss(predicted: Tensor, loss: Tensor) -> Tensor:
    """Return the mean of max(0, 1 - sign(l_i - l_k)(lhat_i - lhat_k)) over the pairs of a batch (Yoo and Kweon, eq. 2).

    The batch is paired by its halves, the first document with the first of the second half; an odd one is left out.

    Parameters
    ----------
    predicted : (B, 1), lhat
    loss : (B,), l

    Returns
    -------
    loss : scalar; 0 for a batch of one. Two documents of equal loss cost 1, whatever is predicted.

    Examples
    --------
    The larger loss is predicted to be larger by 0.5, half of the margin of 1; the third document has no partner.

    >>> import torch
    >>> float(pair_ranking_loss(torch.tensor([[1.0], [1.5], [9.0]]), torch.tensor([0.2, 0.3, 0.4])))
    0.5
    """
    half = len(loss) // 2
    predicted = predicted[:, 0]
    order = (loss[:half] - loss[half : 2 * half]).sign()
    # A sum over no pairs at all is 0 and has a gradient; their mean is NaN.
    return (1 - order * (predicted[:half] - predicted[half : 2 * half])).clamp(min=0).sum() / max(half, 1)


class LearningLoss(ScoreQueryStrategy):
    """Query the documents with the largest predicted loss (learning loss; Yoo and Kweon, CVPR 2019).

    At every query a head with one hidden layer learns to order the labeled documents by their binary cross-entropy,
    from their feature vectors. (The original trains it together with the model, on several layers.) With fewer than
    two labeled documents there is nothing to order: all scores are 0, the query is random and a log record says so.

    Needs dense probabilities and feature vectors. Cost O((S + N) D H) time for S training steps and H hidden units and
    O((L + N)(D + C)) memory for N unlabeled and L labeled documents, whatever the number of documents queried.

    Parameters
    ----------
    head : HeadOptions
        Training of the head.
    seed : None, int or numpy Generator
        Draws the head's weights and batches, and breaks ties.
    """

    def __init__(self, *, head: HeadOptions | None = None, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(seed=seed)
        self.head = head or HeadOptions(hidden_size=128)

    def _scores(self, pool: Pool) -> np.ndarray:
        features = pool.features
        if len(pool.labels) < 2:
            logger.warning(
                "LearningLoss needs two labeled documents to compare, got %d: random query", len(pool.labels)
            )
            return np.zeros(len(features))
        loss = document_loss(pool.labeled_probabilities, pool.labels)
        head = train_head(pool.labeled_features, loss, pair_ranking_loss, 1, rng=self.rng, options=self.head)
        return head(features)[:, 0]

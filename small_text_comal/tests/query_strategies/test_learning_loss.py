"""LearningLoss against plain loops, and its head on losses that can be predicted."""

import doctest
import logging
import math

import numpy as np
import pytest
import torch
from pool_fakes import ArrayClassifier, Pool, random_pool

from small_text_comal.query_strategies import learning_loss
from small_text_comal.query_strategies.learning_loss import LearningLoss, document_loss, pair_ranking_loss


def document_loss_by_loops(probabilities, labels):
    losses = []
    for p, y in zip(probabilities, labels, strict=True):
        losses.append(-sum(math.log(x) if positive else math.log(1 - x) for x, positive in zip(p, y, strict=True)))
        losses[-1] /= len(p)
    return losses


def pair_loss_by_loops(predicted, losses):
    half = len(losses) // 2
    total = 0.0
    for i in range(half):
        difference = losses[i] - losses[half + i]
        sign = (difference > 0) - (difference < 0)
        total += max(0.0, -sign * (predicted[i] - predicted[half + i]) + 1)
    return total / half if half else 0.0


def test_docstring_examples():
    assert doctest.testmod(learning_loss).failed == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("L", "C"), [(1, 1), (6, 3), (11, 5)])
def test_document_loss_equals_loops(seed, L, C):
    rng = np.random.default_rng(seed)
    probabilities, labels = rng.random((L, C)), rng.random((L, C)) < 0.5
    np.testing.assert_allclose(document_loss(probabilities, labels), document_loss_by_loops(probabilities, labels))


def test_sure_mistakes_are_finite():
    loss = document_loss(np.array([[1.0], [0.0]], dtype=np.float32), np.array([[False], [True]]))
    np.testing.assert_allclose(loss, -math.log(1e-7))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("B", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("decimals", [0, 9], ids=["ties", "no ties"])
def test_pair_loss_equals_loops(seed, B, decimals):
    rng = np.random.default_rng(seed)
    predicted, losses = rng.normal(size=B).tolist(), rng.normal(size=B).round(decimals).tolist()
    loss = pair_ranking_loss(torch.tensor(predicted)[:, None], torch.tensor(losses))
    assert float(loss) == pytest.approx(pair_loss_by_loops(predicted, losses))


def test_query_finds_where_the_classifier_is_wrong():
    # The classifier is right where feature 0 is near 0, and sure of the wrong label far from it on either side.
    rng = np.random.default_rng(0)
    features = rng.normal(size=(160, 3))
    labels = rng.random((160, 2)) < 0.5
    right = np.where(labels, 0.95, 0.05)
    clf = ArrayClassifier(np.where(np.abs(features[:, :1]) > 1, 1 - right, right), features)
    queried = Pool(clf, labels[60:], unlabeled=60).query(LearningLoss(seed=0), 8)
    assert (np.abs(features[queried, 0]) > 1).all()


def test_one_labeled_document_gives_a_random_query_and_a_note(caplog):
    with caplog.at_level(logging.WARNING):
        queried = [tuple(random_pool(seed=0, L=1).query(LearningLoss(seed=seed), 3)) for seed in range(5)]
    assert len(set(queried)) > 1
    assert "needs two labeled documents" in caplog.text

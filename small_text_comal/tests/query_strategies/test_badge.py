"""Multi-label BADGE against k-means++ on gradients that are really built."""

import doctest

import numpy as np
import pytest
import torch
from pool_fakes import random_pool

from small_text_comal.query_strategies import badge
from small_text_comal.query_strategies.badge import MultiLabelBADGE, gradient_k_means_plus_plus


def gradients_by_autograd(probabilities, features):
    """The gradient of the summed BCE at the predicted labels, of a last layer that gives exactly `probabilities`."""
    gradients = []
    for p, v in zip(torch.tensor(probabilities), torch.tensor(features), strict=True):
        weight = torch.zeros(len(p), len(v), dtype=torch.float64, requires_grad=True)
        logits = torch.logit(p) + weight @ v
        torch.nn.functional.binary_cross_entropy_with_logits(logits, (p >= 0.5).double(), reduction="sum").backward()
        gradients.append(weight.grad.numpy().ravel())
    return np.array(gradients)


class RecordingGenerator:
    """Passes draws through and keeps the probabilities that they were drawn with."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.weights = []

    def permutation(self, n):
        return self.rng.permutation(n)

    def choice(self, n, p):
        self.weights.append(p)
        return self.rng.choice(n, p=p)


def random_input(seed, *, N=20, C=3, D=4):
    rng = np.random.default_rng(seed)
    return rng.random((N, C)), rng.normal(size=(N, D))


def test_docstring_examples():
    assert doctest.testmod(badge).failed == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("N", "C", "D"), [(2, 1, 1), (9, 1, 3), (20, 3, 4), (15, 6, 2)])
def test_every_draw_is_weighted_by_the_squared_gradient_distance(seed, N, C, D):
    probabilities, features = random_input(seed, N=N, C=C, D=D)
    gradients = gradients_by_autograd(probabilities, features)
    rng = RecordingGenerator(seed)
    picked = gradient_k_means_plus_plus(probabilities, features, N, rng=rng)
    assert picked[0] == np.linalg.norm(gradients, axis=1).argmax()
    assert sorted(picked.tolist()) == list(range(N))
    for taken, weights in enumerate(rng.weights, start=1):
        nearest = [min(((g - gradients[i]) ** 2).sum() for i in picked[:taken]) for g in gradients]
        np.testing.assert_allclose(weights, np.array(nearest) / sum(nearest), rtol=1e-6, atol=1e-9)


def test_labels_are_not_averaged():
    # Both have mean gradient 0 over the labels, so that an average could not tell them from each other.
    probabilities = np.array([[0.4, 0.6], [0.4, 0.6], [0.1, 0.9]])
    features = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    for seed in range(10):
        picked = gradient_k_means_plus_plus(probabilities, features, 2, rng=np.random.default_rng(seed))
        assert picked[1] == 2


def test_repeated_documents_are_drawn_at_random_once_nothing_else_is_left():
    last = set()
    for seed in range(40):
        # Three copies of two rows of many digits: by rounding alone the distance of two copies is not always zero.
        probabilities, features = (np.tile(rows[:2], (3, 1)) for rows in random_input(seed, C=9, D=33))
        rng = RecordingGenerator(seed)
        picked = gradient_k_means_plus_plus(probabilities, features, 6, rng=rng)
        assert sorted(picked.tolist()) == list(range(6))
        assert picked[0] % 2 != picked[1] % 2
        for taken, weights in enumerate(rng.weights[1:], start=2):
            assert sorted(set(weights)) == [0.0, 1 / (6 - taken)]
        last.add(int(picked[-1]))
    assert last == set(range(6))


def test_sure_predictions_have_no_gradient_and_come_last():
    probabilities, features = random_input(0, N=5)
    probabilities[:3] = [[0, 1, 0], [1, 1, 1], [0, 0, 0]]
    picked = gradient_k_means_plus_plus(probabilities, features, 5, rng=np.random.default_rng(0))
    assert set(picked[:1]) <= {3, 4}
    assert sorted(picked.tolist()) == list(range(5))


@pytest.mark.parametrize("seed", range(3))
def test_query_starts_with_the_largest_unlabeled_gradient(seed):
    pool = random_pool(seed=seed)
    probabilities, features = pool.clf.probabilities.astype(float), pool.clf.vectors.astype(float)
    norms = np.linalg.norm(gradients_by_autograd(probabilities, features), axis=1)[pool.indices_unlabeled]
    queried = pool.query(MultiLabelBADGE(seed=seed), 4)
    assert queried[0] == pool.indices_unlabeled[norms.argmax()]

"""GP-B2M's score against plain loops and the dense covariance matrix."""

import doctest
import math

import numpy as np
import pytest
from pool_fakes import ArrayClassifier, Pool, random_pool

from small_text_comal.query_strategies import gpb2m
from small_text_comal.query_strategies.bernoulli_mixture import fit_mixture
from small_text_comal.query_strategies.gpb2m import (
    GPB2M,
    component_weights,
    covariance_log_determinant,
    mixture_scores,
)


def weights_by_loops(mean, variance, draws):
    shares = []
    for draw in draws:
        strength = [1 / (1 + math.exp(-(m + math.sqrt(v) * e))) for m, v, e in zip(mean, variance, draw, strict=True)]
        shares.append([s / sum(strength) for s in strength])
    averages = [sum(column) / len(draws) for column in zip(*shares, strict=True)]
    spreads = [
        sum((x - average) ** 2 for x in column) / len(draws)
        for column, average in zip(zip(*shares, strict=True), averages, strict=True)
    ]
    return averages, spreads


def dense_log_determinant(weight, label_means, epsilon=1e-6):
    mean = weight @ label_means
    covariance = -np.outer(mean, mean) + epsilon * np.eye(len(mean))
    for pi, mu in zip(weight, label_means, strict=True):
        covariance += pi * (np.diag(mu * (1 - mu)) + np.outer(mu, mu))
    sign, value = np.linalg.slogdet(covariance)
    assert sign == 1
    return value


def test_docstring_examples():
    assert doctest.testmod(gpb2m).failed == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("N", "K", "C"), [(1, 1, 1), (4, 2, 5), (6, 5, 3)])
def test_weights_and_determinant_equal_loops(seed, N, K, C):
    rng = np.random.default_rng(seed)
    mean, variance, draws = rng.normal(size=(N, K)), rng.random((N, K)), rng.normal(size=(16, K))
    weight, spread = component_weights(mean, variance, draws)
    label_means = rng.uniform(0.01, 0.99, (K, C))
    determinant = covariance_log_determinant(weight, label_means)
    for i in range(N):
        averages, spreads = weights_by_loops(mean[i], variance[i], draws)
        np.testing.assert_allclose(weight[i], averages, rtol=1e-9)
        np.testing.assert_allclose(spread[i], spreads, rtol=1e-7, atol=1e-15)
        assert determinant[i] == pytest.approx(dense_log_determinant(np.array(averages), label_means))


@pytest.mark.parametrize("seed", range(3))
def test_query_takes_the_largest_scores(seed):
    pool = random_pool(seed=seed)
    strategy = GPB2M(seed=seed, components=3, eta=2.0)
    queried = pool.query(strategy, 5)
    rng = np.random.default_rng(seed)
    vectors = pool.clf.vectors
    mixture = fit_mixture(vectors[pool.indices_labeled], pool.labels, components=3, rng=rng)
    draws = rng.standard_normal((64, 3))
    expected = []
    for mean, variance in zip(*mixture.weight_functions(vectors[pool.indices_unlabeled]), strict=True):
        weight, spread = weights_by_loops(mean, variance, draws)
        expected.append(dense_log_determinant(np.array(weight), mixture.label_means) + 2.0 * sum(spread) / 3)
    np.testing.assert_allclose(strategy.last_scores, expected)
    assert queried.tolist() == pool.indices_unlabeled[np.argsort(-np.array(expected))[:5]].tolist()


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    mixture = fit_mixture(rng.normal(size=(8, 2)), rng.random((8, 3)) < 0.5, components=2, rng=rng)
    features, draws = rng.normal(size=(20, 2)), rng.normal(size=(4, 2))
    whole = mixture_scores(mixture, features, draws)
    monkeypatch.setattr(gpb2m, "_BLOCK_ROWS", 7)
    monkeypatch.setattr(gpb2m, "_BLOCK_CELLS", 24)
    np.testing.assert_allclose(mixture_scores(mixture, features, draws), whole)


def test_documents_between_two_kinds_of_labels_are_queried_first():
    rng = np.random.default_rng(0)
    left, right = rng.normal(-3, 0.3, (20, 2)), rng.normal(3, 0.3, (20, 2))
    unlabeled = np.array([[-3.0, -3.0], [0.0, 0.0], [3.0, 3.0]])
    features = np.vstack([unlabeled, left, right])
    labels = np.repeat([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], 20, axis=0)
    pool = Pool(ArrayClassifier(np.full((43, 6), 0.5), features), labels, unlabeled=3)
    assert pool.query(GPB2M(seed=0, components=2), 1).tolist() == [1]


@pytest.mark.parametrize("option", [{"components": 0}, {"draws": 0}])
def test_bad_options_are_named(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))}=0"):
        GPB2M(**option)

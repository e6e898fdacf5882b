"""The mixture behind GP-B2M: evidence and updates against dense loops, recovery on data of its own model."""

import doctest
import math
from itertools import permutations, product

import numpy as np
import pytest
from scipy.special import betaln, digamma, gammaln

from small_text_comal.query_strategies import bernoulli_mixture
from small_text_comal.query_strategies.bernoulli_mixture import fit_mixture, median_length_scale


def rbf_by_loops(a, b, length_scale):
    return np.array([[math.exp(-(math.dist(v, w) ** 2) / (2 * length_scale**2)) for w in b] for v in a])


def sampled_data(seed, *, L=500, K=3, C=9, D=2):
    """Documents drawn from the model itself, with label means of 0.1 and 0.9."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(L, D))
    kernel = rbf_by_loops(features, features, median_length_scale(features)) + 1e-6 * np.eye(L)
    strength = 1 / (1 + np.exp(-np.linalg.cholesky(kernel) @ rng.normal(size=(L, K))))
    share = strength / strength.sum(axis=1, keepdims=True)
    component = np.array([rng.choice(K, p=p) for p in share])
    label_means = np.where(np.arange(C) % K == np.arange(K)[:, None], 0.9, 0.1)
    return features, rng.random((L, C)) < label_means[component], label_means


def small_fit(seed, *, L=6, K=2, C=3, sweeps=4):
    rng = np.random.default_rng(seed)
    features, labels = rng.normal(size=(L, 2)), rng.random((L, C)) < 0.5
    return fit_mixture(features, labels, components=K, rng=rng, max_sweeps=sweeps, tolerance=0.0), labels


def dense_covariance(mixture, k):
    """S_k and Kxx by plain inverses."""
    kernel = rbf_by_loops(mixture.features, mixture.features, mixture.length_scale) + 1e-6 * np.eye(
        len(mixture.features)
    )
    return np.linalg.inv(np.linalg.inv(kernel) + np.diag(mixture.posterior.precision[:, k])), kernel


def evidence_by_loops(mixture, labels):
    q = mixture.posterior
    L, K = q.mean.shape
    total = 0.0
    for n in range(L):
        alpha = q.shape[n]
        log_intensity = digamma(alpha) - math.log(K)
        # Entropy of Gamma(alpha, rate K), and its mean, which the K Poisson variables subtract in equal parts.
        total += alpha - math.log(K) + gammaln(alpha) + (1 - alpha) * digamma(alpha)
        for k in range(K):
            phi, gamma, mean = q.responsibility[n, k], q.rejections[n, k], q.mean[n, k]
            c = math.sqrt(mean**2 + q.variance[n, k])
            total += gamma * log_intensity - alpha / K - gamma * math.log(gamma) + gamma - phi * math.log(phi)
            total += (phi - gamma) * mean / 2 - (phi + gamma) * math.log(2 * math.cosh(c / 2))
            for j, label in enumerate(labels[n]):
                a, b = q.positives[k, j], q.negatives[k, j]
                total += phi * (digamma(a if label else b) - digamma(a + b))
    for k in range(K):
        S, kernel = dense_covariance(mixture, k)
        m, inverse = q.mean[:, k], np.linalg.inv(kernel)
        log_ratio = np.linalg.slogdet(kernel)[1] - np.linalg.slogdet(S)[1]
        total -= (np.trace(inverse @ S) + m @ inverse @ m - L + log_ratio) / 2
        for a, b in zip(q.positives[k], q.negatives[k], strict=True):
            total -= -betaln(a, b) + (a - 1) * digamma(a) + (b - 1) * digamma(b) - (a + b - 2) * digamma(a + b)
    return total


def log_evidence_by_sampling(mixture, labels, *, draws=20_000):
    """log p(y | x), with f drawn from the prior, and all assignments and label means summed out exactly."""
    q = mixture.posterior
    L, K = q.mean.shape
    _, kernel = dense_covariance(mixture, 0)
    f = np.linalg.cholesky(kernel) @ np.random.default_rng(0).normal(size=(draws, K, L, 1))
    strength = 1 / (1 + np.exp(-f[..., 0]))
    share = strength / strength.sum(axis=1, keepdims=True)
    total = 0.0
    for assignment in product(range(K), repeat=L):
        weight = np.prod([share[:, k, n] for n, k in enumerate(assignment)], axis=0).mean()
        log_labels = 0.0
        for k in range(K):
            members = labels[[n for n in range(L) if assignment[n] == k]]
            for j in range(labels.shape[1]):
                positives = members[:, j].sum()
                log_labels += betaln(1 + positives, 1 + len(members) - positives)
        total += weight * math.exp(log_labels)
    return math.log(total)


def test_docstring_examples():
    assert doctest.testmod(bernoulli_mixture).failed == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("L", "K", "C"), [(1, 1, 1), (2, 3, 1), (6, 2, 3), (9, 4, 2)])
def test_evidence_equals_dense_loops(seed, L, K, C):
    mixture, labels = small_fit(seed, L=L, K=K, C=C)
    assert mixture.evidence[-1] == pytest.approx(evidence_by_loops(mixture, labels), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_evidence_is_a_lower_bound(seed):
    mixture, labels = small_fit(seed, L=3, K=2, C=2, sweeps=30)
    assert mixture.evidence[-1] < log_evidence_by_sampling(mixture, labels) + 0.02


@pytest.mark.parametrize("seed", range(3))
def test_the_posterior_of_f_is_the_dense_one(seed):
    mixture, _ = small_fit(seed)
    q = mixture.posterior
    unlabeled = np.random.default_rng(seed + 9).normal(size=(5, 2))
    cross = rbf_by_loops(mixture.features, unlabeled, mixture.length_scale)
    mean, variance = mixture.weight_functions(unlabeled)
    for k in range(2):
        S, kernel = dense_covariance(mixture, k)
        np.testing.assert_allclose(q.mean[:, k], S @ (q.responsibility[:, k] - q.rejections[:, k]) / 2, atol=1e-8)
        np.testing.assert_allclose(q.variance[:, k], np.diag(S), atol=1e-8)
        projection = np.linalg.solve(kernel, cross)
        np.testing.assert_allclose(mean[:, k], projection.T @ q.mean[:, k], atol=1e-6)
        expected = 1 - np.sum(cross * projection, axis=0) + np.sum(projection * (S @ projection), axis=0)
        np.testing.assert_allclose(variance[:, k], expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("L", "K", "C"), [(1, 2, 1), (25, 5, 4), (60, 25, 7)])
def test_evidence_never_falls(seed, L, K, C):
    rng = np.random.default_rng(seed)
    features, labels = rng.normal(size=(L, 3)), rng.random((L, C)) < 0.3
    history = np.array(fit_mixture(features, labels, components=K, rng=rng, tolerance=0.0).evidence)
    assert len(history) > 5
    assert (np.diff(history) >= -1e-9 * np.abs(history[1:])).all()


@pytest.mark.parametrize("seed", range(3))
def test_recovers_its_own_label_means(seed):
    features, labels, label_means = sampled_data(seed)
    mixture = fit_mixture(features, labels, components=3, rng=np.random.default_rng(seed), starts=3)
    assert (np.diff(mixture.evidence) >= -1e-9 * np.abs(mixture.evidence[1:])).all()
    errors = [np.abs(mixture.label_means[list(order)] - label_means).max() for order in permutations(range(3))]
    assert min(errors) < 0.1


def test_of_several_starts_the_one_of_the_highest_evidence_is_kept():
    features, labels, _ = sampled_data(1, L=60)
    rng = np.random.default_rng(3)
    alone = [fit_mixture(features, labels, components=4, rng=rng).evidence[-1] for _ in range(4)]
    best = fit_mixture(features, labels, components=4, rng=np.random.default_rng(3), starts=4)
    assert best.evidence[-1] == max(alone) > min(alone)


def test_degenerate_pools_are_finite():
    for features, labels in [
        (np.zeros((1, 3)), [[1, 0]]),
        (np.full((7, 3), 0.1, dtype=np.float32), [[1, 0]] * 7),
        (np.random.default_rng(0).normal(size=(5, 3)), [[0, 1]] * 5),
    ]:
        mixture = fit_mixture(features, np.array(labels, dtype=bool), components=4, rng=np.random.default_rng(0))
        mean, variance = mixture.weight_functions(np.ones((2, 3)))
        assert np.isfinite(mixture.evidence).all()
        assert np.isfinite(mean).all()
        assert (variance > 0).all()

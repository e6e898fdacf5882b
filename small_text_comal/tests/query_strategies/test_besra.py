"""BESRA against a hand calculation and plain loops."""

import doctest

import numpy as np
import pytest
from pool_fakes import random_pool

from small_text_comal.query_strategies import besra
from small_text_comal.query_strategies.besra import BESRA, diverse_top_half, expected_score, expected_score_gain


def score(p, outcome, alpha):
    return (p**alpha / alpha if outcome else 0.0) - p ** (1 + alpha) / (1 + alpha)


def expected_score_by_parts(p, alpha):
    return p * score(p, 1, alpha) + (1 - p) * score(p, 0, alpha)


def gain_by_loops(candidates, estimation, alpha):
    T, N, C = candidates.shape
    gain = np.zeros((N, estimation.shape[1]))
    for i in range(N):
        for k in range(estimation.shape[1]):
            for j in range(C):
                says = [candidates[t, i, j] for t in range(T)]
                predicted = [estimation[t, k, j] for t in range(T)]
                for likelihood in (says, [1 - p for p in says]):
                    if sum(likelihood) > 0:
                        weights = [x / sum(likelihood) for x in likelihood]
                        mean = sum(w * p for w, p in zip(weights, predicted, strict=True))
                        gain[i, k] += sum(likelihood) / T * expected_score_by_parts(mean, alpha)
                gain[i, k] -= expected_score_by_parts(sum(predicted) / T, alpha)
    return gain


def test_docstring_examples():
    assert doctest.testmod(besra).failed == 0


def test_one_label_and_two_members_by_hand():
    # Members say 0.9 and 0.5 of x, and 0.2 and 0.6 of x'. Pr(yes) = 0.7; weights 9/14, 5/14 then, and 1/6, 5/6 else:
    # x' gets (9 * 0.2 + 5 * 0.6) / 14 = 0.342857 or (0.2 + 5 * 0.6) / 6 = 0.533333, its mean is 0.4.
    # With alpha = 0.1, G(p) = p^1.1 / 0.11: G(0.342857) = 2.800476, G(0.533333) = 4.553087, G(0.4) = 3.317976.
    # 0.7 * 2.800476 + 0.3 * 4.553087 - 3.317976 = 0.008283.
    gain = expected_score_gain(np.array([[[0.9]], [[0.5]]]), np.array([[[0.2]], [[0.6]]]))
    assert gain.shape == (1, 1)
    assert gain[0, 0] == pytest.approx(0.008283, abs=2e-6)


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_expected_score_is_the_score_under_itself(alpha):
    p = np.linspace(0, 1, 11)
    np.testing.assert_allclose(
        expected_score(p, alpha=alpha), [expected_score_by_parts(x, alpha) for x in p], atol=1e-12
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("T", "N", "M", "C"), [(2, 1, 1, 1), (3, 5, 4, 2), (10, 6, 3, 5)])
@pytest.mark.parametrize("decimals", [0, 1, 9], ids=["zeros and ones", "ties", "no ties"])
def test_gain_equals_loops_and_is_never_negative(seed, T, N, M, C, decimals):
    rng = np.random.default_rng(seed)
    candidates, estimation = rng.random((T, N, C)).round(decimals), rng.random((T, M, C))
    gain = expected_score_gain(candidates, estimation)
    np.testing.assert_allclose(gain, gain_by_loops(candidates, estimation, 0.1), atol=1e-10)
    assert (gain >= 0).all()


def test_samples_that_agree_gain_nothing_at_all():
    same = np.repeat(np.random.default_rng(0).random((1, 4, 3)), 7, axis=0)
    assert (expected_score_gain(same, same) == 0).all()


def test_queries_come_from_the_better_half_and_from_different_directions():
    rng = np.random.default_rng(0)
    directions = np.eye(3)[np.arange(30) % 3]
    size = np.where(np.arange(30) < 15, 5.0, 1.0)
    gain = directions * size[:, None] + rng.random((30, 3)) * 0.01
    picked = diverse_top_half(gain, 3, rng=rng)
    assert (picked < 15).all()
    assert sorted(picked % 3) == [0, 1, 2]


@pytest.mark.parametrize("n", [1, 4, 7])
def test_each_center_takes_the_nearest_that_is_left(n):
    gain = np.repeat([[1.0, 2.0]], 7, axis=0)
    picked = diverse_top_half(gain, n, rng=np.random.default_rng(n))
    assert len(set(picked.tolist())) == n


def test_the_nearest_of_equals_is_drawn():
    gain = np.stack([np.arange(1.0, 7.0), np.zeros(6)], axis=1)
    picked = {int(diverse_top_half(gain, 1, rng=np.random.default_rng(seed))[0]) for seed in range(20)}
    assert picked == {3, 4, 5}


def test_query_keeps_the_documents_that_tell_something():
    pool = random_pool(seed=0, N=12)
    pool.clf.noise = 0.0
    pool.clf.probabilities = pool.clf.probabilities.copy()

    def passes(dataset, samples, seed=None):
        # Only unlabeled documents 3 and 8 are ever in doubt.
        p = np.repeat(pool.clf.probabilities[None], samples, axis=0)
        p[::2, [3, 8]] = 0.9
        p[1::2, [3, 8]] = 0.1
        return p[:, dataset.documents]

    pool.clf.sampled_probabilities = passes
    assert {3, 8} <= set(pool.query(BESRA(seed=0, samples=4), 6))


@pytest.mark.parametrize("option", [{"alpha": 0.0}, {"samples": 1}, {"estimation_size": 0}])
def test_bad_options_are_named(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        BESRA(**option)

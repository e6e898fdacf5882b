"""BALD per label against plain loops."""

import doctest
import math

import numpy as np
import pytest
from pool_fakes import random_pool

from small_text_comal.query_strategies import dropout
from small_text_comal.query_strategies.dropout import DropoutDisagreement, label_disagreement


def h(p):
    return -sum(x * math.log(x) for x in (p, 1 - p) if x > 0)


def disagreement_by_loops(passes):
    T, N, C = passes.shape
    scores = []
    for i in range(N):
        score = 0.0
        for j in range(C):
            p = [float(passes[t, i, j]) for t in range(T)]
            score += h(sum(p) / T) - sum(h(x) for x in p) / T
        scores.append(score)
    return scores


def test_docstring_examples():
    assert doctest.testmod(dropout).failed == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("T", "N", "C"), [(1, 3, 2), (2, 1, 1), (5, 9, 4), (10, 4, 1)])
@pytest.mark.parametrize("decimals", [0, 1, 9], ids=["zeros and ones", "ties", "no ties"])
def test_scores_equal_loops(seed, T, N, C, decimals):
    passes = np.random.default_rng(seed).random((T, N, C)).round(decimals)
    np.testing.assert_allclose(label_disagreement(passes), disagreement_by_loops(passes), atol=1e-12)


@pytest.mark.parametrize("p", [0.0, 1.0, 0.1, 1 / 3])
def test_agreement_scores_exactly_or_nearly_zero_and_never_less(p):
    score = label_disagreement(np.full((7, 2, 3), p, dtype=np.float32))
    assert (score >= 0).all()
    assert (score < 1e-12).all()


def test_query_takes_the_largest_disagreement_of_seeded_passes():
    pool = random_pool(seed=0)
    strategy = DropoutDisagreement(seed=3, samples=5)
    queried = pool.query(strategy, 4)
    seed = int(np.random.default_rng(3).integers(2**31))
    passes = pool.clf.sampled_probabilities(pool.dataset[pool.indices_unlabeled], 5, seed=seed)
    expected = np.array(disagreement_by_loops(passes.astype(float)))
    np.testing.assert_allclose(strategy.last_scores, expected, atol=1e-12)
    assert queried.tolist() == pool.indices_unlabeled[np.argsort(-expected)[:4]].tolist()


def test_one_pass_cannot_disagree():
    with pytest.raises(ValueError, match="samples: expected at least 2"):
        DropoutDisagreement(samples=1)

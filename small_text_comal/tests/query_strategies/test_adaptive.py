"""Adaptive against plain loops."""

import doctest
import math

import numpy as np
import pytest
from pool_fakes import Pool, ProbabilityClassifier, random_pool

from small_text_comal.query_strategies import adaptive
from small_text_comal.query_strategies.adaptive import (
    Adaptive,
    adaptive_scores,
    round_robin,
    separation_margin,
)


def margin_by_loops(p):
    positive = [2 * x - 1 for x in p if x >= 0.5]
    negative = [2 * x - 1 for x in p if x < 0.5]
    low = min(positive) if positive else 0.0
    high = max(negative) if negative else 0.0
    return max(low - high, 1e-6)


def score_by_loops(p, cardinality, beta):
    inconsistency = abs(sum(x >= 0.5 for x in p) - cardinality)
    return math.pow(1 / margin_by_loops(p), beta) * math.pow(inconsistency, 1 - beta)


def test_docstring_examples():
    assert doctest.testmod(adaptive).failed == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("N", "C"), [(1, 1), (8, 2), (25, 5)])
@pytest.mark.parametrize("decimals", [1, 9], ids=["ties", "no ties"])
def test_scores_equal_loops(seed, N, C, decimals):
    rng = np.random.default_rng(seed)
    probabilities, cardinality = rng.random((N, C)).round(decimals), rng.random() * C
    rows = probabilities.tolist()
    np.testing.assert_allclose(separation_margin(probabilities), [margin_by_loops(p) for p in rows], atol=1e-12)
    expected = [[score_by_loops(p, cardinality, beta / 10) for p in rows] for beta in range(11)]
    np.testing.assert_allclose(adaptive_scores(probabilities, cardinality), expected, rtol=1e-8)


@pytest.mark.parametrize(
    ("p", "margin"),
    [([0.5, 0.5], 1e-6), ([0.6, 0.8], 0.2), ([0.1, 0.4], 0.2), ([1.0, 0.0], 2.0), ([0.5, 0.1], 0.8), ([1.0], 1.0)],
)
def test_one_sided_rows_are_measured_from_the_boundary(p, margin):
    assert separation_margin(np.array([p]))[0] == pytest.approx(margin)


def test_inconsistency_zero_is_worth_nothing_below_beta_one_and_no_matter_at_one():
    scores = adaptive_scores(np.array([[0.9, 0.1]]), 1.0)
    assert scores[:-1].tolist() == [[0.0]] * 10
    assert scores[-1] == pytest.approx(1 / 1.6)


def round_robin_by_loops(rankings, n, start):
    taken = []
    for rank in range(len(rankings[0])):
        for turn in range(len(rankings)):
            document = rankings[(start + turn) % len(rankings)][rank]
            if document not in taken and len(taken) < n:
                taken.append(document)
    return taken


@pytest.mark.parametrize("start", range(3))
def test_round_robin_equals_loops(start):
    rankings = np.array([np.random.default_rng(seed).permutation(9) for seed in range(3)])
    expected = round_robin_by_loops(rankings.tolist(), 7, start)
    assert round_robin(rankings, 7, start=start).tolist() == expected


@pytest.mark.parametrize("seed", range(3))
def test_a_query_begins_with_the_best_document_of_each_beta(seed):
    pool = random_pool(seed=seed)
    rows = pool.clf.probabilities[pool.indices_unlabeled].astype(float).tolist()
    cardinality = pool.labels.sum() / len(pool.labels)
    best = [max(score_by_loops(p, cardinality, beta / 10) for p in rows) for beta in range(11)]
    queried = pool.query(Adaptive(seed=seed), 11)
    for beta, highest in enumerate(best):
        scores = [score_by_loops(pool.clf.probabilities[i].astype(float), cardinality, beta / 10) for i in queried]
        assert max(scores) == pytest.approx(highest)


def test_a_small_batch_starts_at_a_seeded_beta():
    # Document 0 wins by inconsistency, document 1 by margin: a single query must be able to get either.
    probabilities = np.vstack([[[0.9, 0.9, 0.9], [0.5001, 0.4999, 0.0]], np.zeros((4, 3))])
    pool = Pool(ProbabilityClassifier(probabilities), [[1, 0, 0]] * 4, unlabeled=2)
    queried = [pool.query(Adaptive(seed=seed), 1)[0] for seed in range(20)]
    assert set(queried) == {0, 1}
    assert queried == [pool.query(Adaptive(seed=seed), 1)[0] for seed in range(20)]


@pytest.mark.parametrize("seed", range(8))
def test_a_batch_of_eleven_starts_at_beta_zero(seed):
    # Document 0 has the largest inconsistency and the largest margin: only beta 0 prefers it to the close calls.
    probabilities = np.vstack([np.ones((1, 3)), np.tile([[0.5, 0.5 - 1e-9, 0.0]], (11, 1)), np.zeros((4, 3))])
    pool = Pool(ProbabilityClassifier(probabilities), np.zeros((4, 3)), unlabeled=12)
    assert pool.query(Adaptive(seed=seed), 11)[0] == 0

"""CVIRS against plain loops."""

import doctest
import math

import numpy as np
import pytest
from pool_fakes import random_pool

from small_text_comal.query_strategies import cvirs
from small_text_comal.query_strategies.cvirs import (
    CVIRS,
    category_vector_inconsistency,
    cvirs_scores,
    entropy_distance,
    margin_rank_score,
)

SHAPES = [(1, 1, 1), (1, 5, 3), (12, 1, 1), (9, 6, 2), (25, 14, 7)]


def h(w, s):
    return -sum(x / (w + s) * math.log2(x / (w + s)) for x in (w, s) if x > 0)


def distance_by_loops(predicted, labels):
    C = len(labels)
    pairs = list(zip(predicted, labels, strict=True))
    a, b, c, d = (sum(pair == cell for pair in pairs) for cell in ((1, 1), (1, 0), (0, 1), (0, 0)))
    if b + c == C:
        return 1.0
    if b + c == 0:
        return 0.0
    joint = h(b + c, a + d) + (b + c) / C * h(b, c) + (a + d) / C * h(a, d)
    return (2 * joint - h(sum(predicted), C - sum(predicted)) - h(sum(labels), C - sum(labels))) / joint


def rank_score_by_loops(probabilities):
    N, C = len(probabilities), len(probabilities[0])
    if N == 1:
        return [1.0]
    scores = [0.0] * N
    for j in range(C):
        margins = [abs(2 * p[j] - 1) for p in probabilities]
        for i, margin in enumerate(margins):
            rank = sum(other < margin for other in margins) + (sum(other == margin for other in margins) + 1) / 2
            scores[i] += (N - rank) / (C * (N - 1))
    return scores


def cvirs_by_loops(probabilities, labels):
    inconsistencies = []
    for p in probabilities:
        predicted = [int(x >= 0.5) for x in p]
        inconsistencies.append(sum(distance_by_loops(predicted, y) for y in labels) / len(labels))
    return [s * v for s, v in zip(rank_score_by_loops(probabilities), inconsistencies, strict=True)]


def test_docstring_examples():
    assert doctest.testmod(cvirs).failed == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("N", "L", "C"), SHAPES)
@pytest.mark.parametrize("eighths", [True, False], ids=["ties", "no ties"])
def test_scores_equal_loops(seed, N, L, C, eighths):
    rng = np.random.default_rng(seed)
    # Eighths are exact in binary: margins that are equal on paper are equal in the array.
    probabilities = rng.integers(0, 9, (N, C)) / 8 if eighths else rng.random((N, C))
    labels = rng.random((L, C)) < 0.4
    rows = probabilities.tolist()
    np.testing.assert_allclose(margin_rank_score(probabilities), rank_score_by_loops(rows), atol=1e-12)
    expected = cvirs_by_loops(rows, labels.astype(int).tolist())
    np.testing.assert_allclose(cvirs_scores(probabilities, labels), expected, atol=1e-12)


def test_distances_of_all_vectors_equal_loops_and_are_symmetric():
    vectors = np.array([[(number >> j) & 1 for j in range(4)] for number in range(16)], dtype=bool)
    distance = entropy_distance(vectors, vectors)
    expected = [[distance_by_loops(a, b) for b in vectors.astype(int)] for a in vectors.astype(int)]
    np.testing.assert_allclose(distance, expected, atol=1e-12)
    np.testing.assert_allclose(distance, distance.T, atol=1e-12)
    assert (np.diag(distance) == 0).all()
    assert (np.diag(distance[:, ::-1]) == 1).all(), "number 15 - i is the opposite of number i"


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    predicted, labels = rng.random((50, 6)) < 0.5, rng.random((7, 6)) < 0.5
    whole = category_vector_inconsistency(predicted, labels)
    monkeypatch.setattr(cvirs, "_BLOCK_CELLS", 20)
    np.testing.assert_array_equal(category_vector_inconsistency(predicted, labels), whole)


def test_uncertain_documents_rank_ahead():
    assert margin_rank_score(np.array([[0.99], [0.5], [0.2]])).tolist() == [0.0, 1.0, 0.5]


@pytest.mark.parametrize("seed", range(3))
def test_query_takes_the_largest_scores(seed):
    pool = random_pool(seed=seed)
    rows = pool.clf.probabilities[pool.indices_unlabeled].astype(float).tolist()
    expected = np.array(cvirs_by_loops(rows, pool.labels.astype(int).tolist()))
    strategy = CVIRS(seed=0)
    queried = pool.query(strategy, 6)
    np.testing.assert_allclose(strategy.last_scores, expected, atol=1e-12)
    # Compared by score: ranks are whole numbers, so that different documents often tie.
    score_of = dict(zip(pool.indices_unlabeled.tolist(), expected, strict=True))
    np.testing.assert_allclose([score_of[i] for i in queried.tolist()], np.sort(expected)[::-1][:6], atol=1e-12)

"""Core-Set against a greedy search that recomputes every distance."""

import doctest
import math

import numpy as np
import pytest
from pool_fakes import random_pool

from small_text_comal.query_strategies import core_set
from small_text_comal.query_strategies.core_set import CoreSet, distance_to_nearest, greedy_k_center


def distances_by_loops(features, centers):
    return [min((math.dist(v, c) for c in centers), default=math.inf) for v in features]


def assert_greedy(features, centers, picked):
    """Every pick must be one of the farthest from the centers and the picks before it."""
    centers = list(centers)
    left = list(range(len(features)))
    for position in picked:
        distances = distances_by_loops([features[i] for i in left], centers)
        assert distances[left.index(position)] == pytest.approx(max(distances))
        centers.append(features[position])
        left.remove(position)


def test_docstring_examples():
    assert doctest.testmod(core_set).failed == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("N", "L", "D", "n"), [(1, 1, 1, 1), (8, 3, 2, 8), (30, 5, 4, 10), (12, 0, 3, 5)])
@pytest.mark.parametrize("ties", [True, False], ids=["ties", "no ties"])
def test_every_pick_is_the_farthest(seed, N, L, D, n, ties):
    rng = np.random.default_rng(seed)
    features, centers = rng.normal(size=(N, D)), rng.normal(size=(L, D))
    if ties:
        features, centers = features.round(), centers.round()
    picked = greedy_k_center(features, centers, n, rng=rng)
    assert len(set(picked.tolist())) == n
    assert_greedy(features.tolist(), centers.tolist(), picked.tolist())


@pytest.mark.parametrize("seed", range(3))
def test_distance_to_nearest_equals_loops_in_blocks(seed, monkeypatch):
    monkeypatch.setattr(core_set, "_BLOCK_ROWS", 3)
    rng = np.random.default_rng(seed)
    features, centers = rng.normal(size=(20, 3)), rng.normal(size=(6, 3))
    np.testing.assert_allclose(distance_to_nearest(features, centers), distances_by_loops(features, centers))


def test_a_copy_of_a_center_is_at_distance_zero_far_from_the_origin():
    centers = 1e4 + np.random.default_rng(0).random((5, 50))
    assert distance_to_nearest(centers[::-1], centers).tolist() == [0.0] * 5


def test_ties_are_broken_by_the_generator():
    features, centers = np.array([[1.0], [-1.0], [1.0]]), np.zeros((1, 1))
    first = {int(greedy_k_center(features, centers, 1, rng=np.random.default_rng(seed))[0]) for seed in range(30)}
    assert first == {0, 1, 2}


@pytest.mark.parametrize("seed", range(3))
def test_query_counts_the_labeled_documents_as_centers(seed):
    pool = random_pool(seed=seed)
    queried = pool.query(CoreSet(seed=seed), 6)
    vectors = pool.clf.vectors.astype(float)
    picked = [pool.indices_unlabeled.tolist().index(i) for i in queried]
    assert_greedy(vectors[pool.indices_unlabeled].tolist(), vectors[pool.indices_labeled].tolist(), picked)

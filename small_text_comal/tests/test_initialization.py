"""The initial pool: size, coverage, randomness and impossible requests, each checked by counting."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from small_text_comal import initialization
from small_text_comal.initialization import herding_initialization, label_covering_initialization


def positives_of(y, indices):
    return [sum(int(y[i, j]) for i in indices) for j in range(y.shape[1])]


def sparse_labels(seed, N=60, C=6):
    """Labels from common to rare, the last one without any positive."""
    rng = np.random.default_rng(seed)
    return (rng.random((N, C)) < np.linspace(0.4, 0.0, C)).astype(int)


@given(seed=st.integers(0, 2**31), n_samples=st.integers(12, 60), min_per_label=st.integers(0, 2))
def test_every_label_with_positives_is_covered_by_exactly_n_distinct_documents(seed, n_samples, min_per_label):
    y = sparse_labels(seed)
    indices = label_covering_initialization(y, n_samples, min_per_label=min_per_label, seed=seed)
    assert len(indices) == n_samples
    assert len(set(indices.tolist())) == n_samples
    assert np.issubdtype(indices.dtype, np.integer)
    assert all(0 <= i < len(y) for i in indices)
    for found, existing in zip(positives_of(y, indices), y.sum(axis=0), strict=True):
        assert found >= min(min_per_label, existing)


def test_one_positive_per_label_is_the_default():
    y = np.eye(40, 5, dtype=int)  # five labels, one positive each, among forty documents
    for seed in range(10):
        assert positives_of(y, label_covering_initialization(y, 5, seed=seed)) == [1] * 5


def test_an_exact_cover_is_possible():
    y = np.repeat(np.eye(4, dtype=int), 3, axis=0)
    for seed in range(10):
        indices = label_covering_initialization(y, 8, min_per_label=2, seed=seed)
        assert positives_of(y, indices) == [2] * 4


def test_the_whole_pool_can_be_drawn():
    y = sparse_labels(0, N=10)
    assert sorted(label_covering_initialization(y, 10, seed=0).tolist()) == list(range(10))


def test_same_seed_same_pool_other_seed_other_pool():
    y = sparse_labels(1)
    draws = [label_covering_initialization(y, 15, seed=seed).tolist() for seed in (0, 0, 1, 2)]
    assert draws[0] == draws[1]
    assert len({tuple(draw) for draw in draws}) == 3


def test_a_generator_is_a_seed_too_and_moves_on():
    y = sparse_labels(1)
    rng, twin = np.random.default_rng(7), np.random.default_rng(7)
    first = label_covering_initialization(y, 15, seed=rng)
    assert first.tolist() == label_covering_initialization(y, 15, seed=twin).tolist()
    assert first.tolist() != label_covering_initialization(y, 15, seed=rng).tolist()


def test_without_a_seed_the_draws_differ_and_the_global_generator_is_left_alone():
    y = sparse_labels(1)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    draws = {tuple(label_covering_initialization(y, 15).tolist()) for _ in range(3)}
    assert len(draws) == 3
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_every_document_can_be_drawn_and_no_position_is_favoured():
    y = np.ones((10, 1), dtype=int)
    drawn = np.zeros(10)
    first = np.zeros(10)
    for seed in range(600):
        indices = label_covering_initialization(y, 3, seed=seed)
        drawn[indices] += 1
        first[indices[0]] += 1
    assert np.abs(drawn - 180).max() < 60  # mean 180, standard deviation 11
    assert np.abs(first - 60).max() < 40  # mean 60, standard deviation 7.3


@pytest.mark.parametrize("dtype", [bool, np.int32, np.float32])
def test_dense_and_sparse_labels_of_any_type_give_the_same_pool_and_are_not_changed(dtype):
    y = sparse_labels(2)
    expected = label_covering_initialization(y, 15, seed=3).tolist()
    dense, sparse = y.astype(dtype), csr_matrix(y.astype(dtype))
    assert label_covering_initialization(dense, 15, seed=3).tolist() == expected
    assert label_covering_initialization(sparse, 15, seed=3).tolist() == expected
    np.testing.assert_array_equal(dense, y)
    np.testing.assert_array_equal(sparse.toarray(), y)


def test_zeros_that_a_sparse_matrix_stores_are_not_positives():
    y = csr_matrix(np.ones((6, 1)))
    y.data[:5] = 0
    for seed in range(10):
        assert 5 in label_covering_initialization(y, 1, seed=seed)


def test_labels_without_positives_are_skipped():
    y = np.zeros((8, 3), dtype=int)
    assert len(set(label_covering_initialization(y, 4, seed=0).tolist())) == 4
    y[6, 1] = 1
    assert 6 in label_covering_initialization(y, 1, seed=0)


def test_a_label_with_fewer_positives_than_wanted_gives_all_it_has():
    y = np.zeros((20, 2), dtype=int)
    y[[3, 11], 0] = 1
    y[:, 1] = 1
    for seed in range(10):
        indices = label_covering_initialization(y, 4, min_per_label=4, seed=seed)
        assert {3, 11} <= set(indices.tolist())


def test_one_document_covers_all_its_labels():
    y = np.ones((1, 5), dtype=int)
    assert label_covering_initialization(y, 1, seed=0).tolist() == [0]


def test_too_small_for_the_labels_says_how_many_are_needed():
    y = np.repeat(np.eye(7, dtype=int), 5, axis=0)
    with pytest.raises(ValueError, match=r"n_samples=6.*\b7\b"):
        label_covering_initialization(y, 6, seed=0)
    with pytest.raises(ValueError, match=r"n_samples=6.*\b14\b"):
        label_covering_initialization(y, 6, min_per_label=2, seed=0)


@pytest.mark.parametrize("n_samples", [0, -1, 11])
def test_a_size_outside_the_pool_is_an_error_that_names_both(n_samples):
    with pytest.raises(ValueError, match=rf"n_samples.*\b10\b.*got {n_samples}"):
        label_covering_initialization(np.ones((10, 2)), n_samples)


def test_a_negative_minimum_is_an_error():
    with pytest.raises(ValueError, match=r"min_per_label.*-1"):
        label_covering_initialization(np.ones((10, 2)), 5, min_per_label=-1)


def test_a_request_that_can_be_met_is_met_for_every_seed():
    y = np.array([[1, 1], [1, 0], [0, 1], [1, 0], [0, 1]])
    assert all(label_covering_initialization(y, 1, seed=seed).tolist() == [0] for seed in range(20))


# --- without labels ---------------------------------------------------------------------------------------------------


def grouped_features(seed=0, sizes=(40, 20, 10, 5)):
    """Documents around a few directions, larger groups first."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(sizes)), sizes)
    return np.eye(6)[group] + 0.05 * rng.normal(size=(len(group), 6)), group


@pytest.mark.parametrize("seed", range(5))
def test_herding_takes_one_of_each_group_the_largest_first(seed):
    features, group = grouped_features(seed)
    indices = herding_initialization(features, 4, seed=seed)
    assert group[indices].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("n_samples", [1, 10, 75])
def test_herding_gives_distinct_documents_up_to_the_whole_pool(n_samples):
    features, _ = grouped_features()
    indices = herding_initialization(features, n_samples, seed=0)
    assert len(set(indices.tolist())) == n_samples
    assert np.issubdtype(indices.dtype, np.integer)


def test_herding_same_seed_same_pool_other_seed_other_pool():
    features = np.random.default_rng(0).normal(size=(3000, 4))  # more than the references
    draws = [herding_initialization(features, 8, seed=seed).tolist() for seed in (0, 0, np.random.default_rng(0), 1)]
    assert draws[0] == draws[1] == draws[2] != draws[3]


@pytest.mark.parametrize("n_samples", [0, 76])
def test_herding_of_a_size_outside_the_pool(n_samples):
    with pytest.raises(ValueError, match=rf"n_samples: expected a number within \[1, 75\].*got {n_samples}"):
        herding_initialization(grouped_features()[0], n_samples)


def test_herding_docstring_example():
    assert doctest.testmod(initialization).failed == 0

"""Folds: sizes, spread labels, groups; held-out probabilities against a loop that fits each fold by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_text_comal.method.folds import (
    document_folds,
    out_of_fold_probabilities,
    similar_documents,
    stratified_folds,
)


class LabelShares:
    """A head that answers with what it was fitted on: label shares, weighted, and remembers the documents."""

    def __init__(self, features, labels, *, sample_weights):
        self.seen = features
        self.shares = np.average(labels, axis=0, weights=sample_weights)

    def probabilities(self, features):
        return np.tile(self.shares, (len(features), 1))


def random_labels(seed, N, C=5):
    rng = np.random.default_rng(seed)
    return rng.random((N, C)) < [0.5, 0.3, 0.2, 0.1, 0.05][:C]


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(2, 6))
@settings(deadline=None, max_examples=60)
def test_sizes_differ_by_one_at_most_and_every_fold_is_used(seed, N, n_folds):
    folds = stratified_folds(random_labels(seed, N), n_folds)
    sizes = np.bincount(folds)
    assert len(sizes) == min(n_folds, N)
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("seed", range(5))
def test_the_positives_of_each_label_are_spread(seed):
    labels = random_labels(seed, 80)
    folds = stratified_folds(labels, 4, seed=seed)
    counts = np.array([labels[folds == fold].sum(axis=0) for fold in range(4)])
    by_chance = np.random.default_rng(seed).permutation(folds)
    chance = np.array([labels[by_chance == fold].sum(axis=0) for fold in range(4)])
    assert np.ptp(counts, axis=0).max() <= 2
    assert np.ptp(counts, axis=0).sum() < np.ptp(chance, axis=0).sum()


def test_two_positives_of_a_label_lie_in_two_folds():
    labels = np.zeros((10, 1), dtype=int)
    labels[[2, 7]] = 1
    folds = stratified_folds(labels, 2)
    assert folds[2] != folds[7]


def test_folds_are_the_same_each_time_and_differ_by_seed():
    labels = random_labels(0, 30)
    np.testing.assert_array_equal(stratified_folds(labels, 4), stratified_folds(labels, 4))
    assert (stratified_folds(labels, 4) != stratified_folds(labels, 4, seed=1)).any()


@pytest.mark.parametrize("labels, n_folds", [(np.zeros((0, 2)), 4), (np.zeros(3), 4), (np.zeros((3, 2)), 1)])
def test_what_cannot_be_folded_is_refused(labels, n_folds):
    with pytest.raises(ValueError, match="expected"):
        stratified_folds(labels, n_folds)


@given(st.integers(0, 1000), st.lists(st.integers(0, 8), min_size=1, max_size=30), st.integers(2, 5))
@settings(deadline=None, max_examples=60)
def test_a_group_is_in_one_fold(seed, groups, n_folds):
    groups = np.array(groups)
    folds = stratified_folds(random_labels(seed, len(groups)), n_folds, groups=groups)
    assert all(len(np.unique(folds[groups == group])) == 1 for group in np.unique(groups))
    assert set(folds) == set(range(folds.max() + 1))
    assert len(np.unique(groups)) == 1 or folds.max() >= 1


def similar_by_loops(features):
    """Group numbers by flood fill over a matrix of cosines."""
    centred = features - features.mean(axis=0)
    groups = [-1] * len(features)
    for start in range(len(features)):
        waiting = [start] if groups[start] < 0 else []
        label = max(groups) + 1
        while waiting:
            i = waiting.pop()
            groups[i] = label
            for j in range(len(features)):
                cosine = centred[i] @ centred[j] / (np.linalg.norm(centred[i]) * np.linalg.norm(centred[j]))
                if groups[j] < 0 and cosine >= 0.7:
                    waiting.append(j)
    return groups


@pytest.mark.parametrize("seed", range(5))
def test_similar_documents_are_chains_of_close_neighbours(seed, monkeypatch):
    monkeypatch.setattr("small_text_comal.method.folds._BLOCK", 7)
    features = np.random.default_rng(seed).standard_normal((30, 4)) + 3
    groups = similar_documents(features)
    assert groups.tolist() == similar_by_loops(features)
    assert 1 < groups.max() + 1 < 30


def test_a_direction_that_all_features_share_makes_nothing_similar():
    features = np.eye(6) + 100
    assert len(np.unique(similar_documents(features))) == 6


def test_near_duplicates_share_a_fold():
    rng = np.random.default_rng(0)
    features = np.repeat(rng.standard_normal((20, 16)), 3, axis=0) + 0.01 * rng.standard_normal((60, 16))
    folds = document_folds(features, random_labels(0, 60))
    assert (folds.reshape(20, 3) == folds.reshape(20, 3)[:, :1]).all()
    assert np.bincount(folds).min() >= 12


def test_a_group_too_large_for_a_fold_is_spread():
    rng = np.random.default_rng(0)
    features = np.concatenate(
        [np.ones((30, 8)) + 0.01 * rng.standard_normal((30, 8)), rng.standard_normal((30, 8)) - 1]
    )
    folds = document_folds(features, random_labels(0, 60))
    assert set(folds[:30]) == {0, 1, 2, 3}


def test_identical_documents_are_legal():
    folds = document_folds(np.ones((9, 3)), random_labels(0, 9))
    assert np.bincount(folds).tolist() == [3, 2, 2, 2]


def test_no_document_is_scored_by_a_head_that_saw_it():
    features, labels = np.arange(24.0).reshape(12, 2), random_labels(1, 12)
    weights = np.arange(1.0, 13.0)
    folds = stratified_folds(labels, 3)
    heads = []

    def fit(*args, **keywords):
        heads.append(LabelShares(*args, **keywords))
        return heads[-1]

    held_out = out_of_fold_probabilities(features, labels, fit, folds=folds, sample_weights=weights)
    assert held_out.dtype == np.float32 and len(heads) == 3
    for i in range(12):
        others = [k for k in range(12) if folds[k] != folds[i]]
        expected = sum(weights[k] * labels[k] for k in others) / sum(weights[k] for k in others)
        np.testing.assert_allclose(held_out[i], expected, rtol=1e-6)
        assert features[i].tolist() not in heads[folds[i]].seen.tolist()


@pytest.mark.parametrize("N", [1, 2, 3])
def test_fewer_documents_than_folds(N):
    features, labels = np.eye(4)[:N], np.eye(4)[:N]
    held_out = out_of_fold_probabilities(features, labels, LabelShares)
    if N == 1:
        np.testing.assert_array_equal(held_out, labels)
    else:
        assert (held_out[labels == 1] == 0).all() and np.allclose(held_out.sum(axis=1), 1)

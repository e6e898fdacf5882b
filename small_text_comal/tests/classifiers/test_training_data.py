"""Labels and documents for training, and the share that is set aside for validation, against plain loops."""

import doctest
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from tiny_encoders import token_rows

from small_text_comal.classifiers import training_data
from small_text_comal.classifiers.training_data import dataset_labels, split_keeping_labels, training_sets

C = 3


class Dataset(SimpleNamespace):
    """The face of small-text's TransformersDataset."""

    def __len__(self):
        return len(self.data)


def dataset(y, *, seed=0):
    y = np.asarray(y, dtype=float).reshape(-1, C)
    lengths = np.random.default_rng(seed).integers(1, 9, len(y))
    rows = token_rows(lengths.tolist(), padded_to=9, seed=seed) if len(y) else []
    return Dataset(data=rows, y=csr_matrix(y), is_multi_label=True)


def random_labels(n, seed=0):
    y = np.random.default_rng(seed).random((n, C)) < 0.4
    y[0] = True
    return y


def sets(train, valid=None, *, share=0.25, weights=None):
    return training_sets(train, valid, num_classes=C, validation_share=share, weights=weights)


def test_docstring_examples():
    assert doctest.testmod(training_data).failed == 0


def test_labels_are_dense_zeros_and_ones():
    y = np.array([[1, 0, 2], [0, 0, 0]])
    labels = dataset_labels(dataset(y), C, "training set")
    assert labels.tolist() == [[1, 0, 1], [0, 0, 0]]
    assert labels.dtype == np.float32


def test_stored_zeros_and_ignored_labels_are_no_labels():
    train = dataset(np.zeros((2, C)))
    train.y = csr_matrix((np.array([0.0, -np.inf, 1.0]), (np.array([0, 0, 1]), np.array([0, 1, 2]))), shape=(2, C))
    assert dataset_labels(train, C, "training set").tolist() == [[0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("width", [2, 5])
def test_a_dataset_may_know_fewer_or_more_classes(width):
    y = csr_matrix(np.array([[1] + [0] * (width - 1), [0, 1] + [0] * (width - 2)]))
    assert dataset_labels(Dataset(data=[1, 2], y=y, is_multi_label=True), C, "set").tolist() == [[1, 0, 0], [0, 1, 0]]


def test_with_a_validation_set_nothing_is_split_off():
    train, valid = sets(dataset(random_labels(8)), dataset(random_labels(5, 1), seed=1), weights=np.arange(1, 9))
    assert (len(train.documents), len(valid.documents)) == (8, 5)
    assert train.labels.tolist() == random_labels(8).astype(float).tolist()
    assert valid.labels.tolist() == random_labels(5, 1).astype(float).tolist()
    assert train.weights.tolist() == list(range(1, 9))
    assert valid.weights is None


def test_labels_and_weights_follow_their_documents_through_the_split():
    given_set, weights = dataset(random_labels(20)), np.linspace(1, 2, 20)
    whole, _ = sets(given_set, dataset(random_labels(1)), weights=weights)
    train, valid = sets(given_set, weights=weights)
    assert (len(train.documents), len(valid.documents)) == (15, 5)
    assert valid.weights is None
    by_key = {key: i for i, key in enumerate(whole.documents.keys)}
    for part in (train, valid):
        for i, key in enumerate(part.documents.keys):
            assert torch.equal(part.labels[i], whole.labels[by_key[key]])
            if part.weights is not None:
                assert part.weights[i] == whole.weights[by_key[key]]
    assert sorted(train.documents.keys + valid.documents.keys) == sorted(by_key)


@pytest.mark.parametrize("valid", [None, dataset([])])
def test_nothing_to_spare_for_validation(valid):
    train, split_off = sets(dataset(np.eye(C)), valid)
    assert len(train.documents) == C
    assert split_off is None


@pytest.mark.parametrize(
    ("train", "valid", "message"),
    [
        (dataset([]), None, "expected a training set with at least one document, got an empty one"),
        (dataset(np.zeros((4, C))), None, "at least one positive label in the training set, got 4 documents without"),
        (
            Dataset(data=[], y=np.zeros(3), is_multi_label=False),
            None,
            "a multi-label training set .* single-label data",
        ),
        (
            Dataset(data=[1], y=csr_matrix(np.eye(1, 9, k=7)), is_multi_label=True),
            None,
            "label 7 of the training set lies outside the classifier's 3 classes",
        ),
        (
            dataset(np.eye(C)),
            Dataset(data=[1], y=csr_matrix(np.eye(1, 9, k=4)), is_multi_label=True),
            "label 4 of the validation set lies outside the classifier's 3 classes",
        ),
    ],
)
def test_bad_data(train, valid, message):
    with pytest.raises(ValueError, match=message):
        sets(train, valid)


@given(st.integers(0, 2**16), st.integers(1, 30), st.integers(1, 5), st.floats(0.05, 0.9))
def test_a_split_never_takes_a_labels_last_positive(seed, n, labels, share):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, labels)) < 0.3).astype(int)
    train, valid = split_keeping_labels(y, share, rng)
    assert sorted([*train, *valid]) == list(range(n))
    assert len(train) >= 1
    assert ((y[train].sum(axis=0) > 0) == (y.sum(axis=0) > 0)).all()
    assert len(valid) <= n - int(n * (1 - share))


def test_a_split_has_the_wanted_size_where_labels_allow_it():
    y = np.ones((40, 2), dtype=int)
    train, valid = split_keeping_labels(y, 0.25, np.random.default_rng(0))
    assert (len(train), len(valid)) == (30, 10)


def test_splits_differ_and_repeat_with_the_generator():
    y = np.ones((40, 2), dtype=int)
    draws = [split_keeping_labels(y, 0.25, np.random.default_rng(seed))[1].tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_the_default_split_follows_numpys_global_generator_as_the_host_does():
    y = np.ones((40, 2), dtype=int)
    state = np.random.get_state()  # noqa: NPY002
    try:
        draws = []
        for _ in range(2):
            np.random.seed(7)  # noqa: NPY002
            draws.append(split_keeping_labels(y, 0.25)[1].tolist())
    finally:
        np.random.set_state(state)  # noqa: NPY002
    assert draws[0] == draws[1]


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_share_outside_its_range(share):
    with pytest.raises(ValueError, match=r"validation_set_size: expected a number within \(0, 1\), got"):
        split_keeping_labels(np.ones((4, 1)), share)

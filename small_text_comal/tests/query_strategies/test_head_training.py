"""The shared trainer of AUDI's and LearningLoss's heads."""

import doctest
from itertools import chain

import numpy as np
import pytest
import torch

from small_text_comal.query_strategies import head_training
from small_text_comal.query_strategies.head_training import HeadOptions, train_head


def squared_error(outputs, targets):
    return ((outputs - targets) ** 2).mean()


def trained(features, targets, *, seed=0, **options):
    rng = np.random.default_rng(seed)
    return train_head(features, targets, squared_error, targets.shape[1], rng=rng, options=HeadOptions(**options))


def test_docstring_examples():
    assert doctest.testmod(head_training).failed == 0


@pytest.mark.parametrize("hidden_size", [0, 8])
def test_learns_a_linear_map(hidden_size):
    rng = np.random.default_rng(0)
    features = 50 + 7 * rng.normal(size=(100, 3))
    targets = (features - 50) @ rng.normal(size=(3, 2)) / 7
    head = trained(features, targets, hidden_size=hidden_size)
    assert ((head(features) - targets) ** 2).mean() < 0.05 * targets.var()


def test_a_linear_head_reaches_least_squares():
    rng = np.random.default_rng(1)
    features, targets = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))
    head = trained(features, targets, batch_size=40, steps=1500, weight_decay=0.0)
    design = np.hstack([features, np.ones((40, 1))])
    expected = design @ np.linalg.lstsq(design, targets, rcond=None)[0]
    np.testing.assert_allclose(head(features), expected, atol=1e-3)


@pytest.mark.parametrize("hidden_size", [0, 8])
def test_the_seed_decides_and_the_global_generator_does_not(hidden_size):
    features, targets = np.random.default_rng(0).normal(size=(20, 3)), np.ones((20, 1))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = trained(features, targets, hidden_size=hidden_size, steps=30)(features)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    np.testing.assert_array_equal(trained(features, targets, hidden_size=hidden_size, steps=30)(features), first)


def test_one_document_and_features_without_variance_are_finite():
    for features in (np.full((1, 4), 3.3), np.full((9, 4), 0.1, dtype=np.float32)):
        head = trained(features, np.ones((len(features), 1)), hidden_size=4, steps=20)
        assert head.scale == 1.0
        assert np.isfinite(head(features)).all()
        assert len(np.unique(head(features))) == 1


def test_a_component_that_hardly_varies_is_not_blown_up():
    features = np.random.default_rng(0).normal(size=(30, 2))
    features[:, 1] = 1e-9 * features[:, 1]
    head = trained(features, features[:, :1], steps=100)
    assert np.abs(head(np.array([[0.0, 1.0]]))).max() < 1


def test_every_epoch_takes_each_document_once_in_a_new_order():
    seen = []

    def recording_loss(outputs, targets):
        seen.append(targets[:, 0].int().tolist())
        return outputs.sum()

    documents = np.arange(7.0)[:, None]
    options = HeadOptions(batch_size=3, steps=6)
    train_head(documents, documents, recording_loss, 1, rng=np.random.default_rng(0), options=options)
    assert [len(batch) for batch in seen] == [3, 3, 1, 3, 3, 1]
    first, second = (list(chain.from_iterable(epoch)) for epoch in (seen[:3], seen[3:]))
    assert sorted(first) == sorted(second) == list(range(7))
    assert first not in (second, sorted(first))

"""Embeddings of small-text's own classifier stand in for feature vectors."""

import numpy as np
import pytest
from tiny_host import ONLY_1, copied_weights, same_weights

from small_text_comal.host import feature_vectors
from small_text_comal.query_strategies.registry import make_strategy

labeled, unlabeled = np.arange(20), np.arange(20, 60)


def test_they_are_what_embed_gives(world, host_clf):
    features = feature_vectors(host_clf, world.dataset)
    assert (features.shape, features.dtype) == ((60, 16), np.float32)
    np.testing.assert_allclose(features, host_clf.embed(world.dataset), rtol=1e-6)
    np.testing.assert_allclose(feature_vectors(host_clf, world.dataset[np.array([7])]), features[[7]], atol=1e-6)


@ONLY_1  # a setting of the model on 2.x
def test_they_come_without_a_progress_bar(world, host_clf, capsys):
    feature_vectors(host_clf, world.dataset)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["CoreSet", "MultiLabelBADGE", "MaxHerding", "UncertaintyHerding"])
def test_strategies_query_with_them(name, world, host_clf):
    weights = copied_weights(host_clf.model)
    queries = [
        make_strategy(name, seed=0).query(host_clf, world.dataset, unlabeled, labeled, world.y[labeled], n=6).tolist()
        for _ in range(2)
    ]
    assert queries[0] == queries[1]
    assert len(set(queries[0])) == 6
    assert set(queries[0]) <= set(unlabeled.tolist())
    assert same_weights(copied_weights(host_clf.model), weights)


def test_our_classifier_is_asked_for_its_own_features(world, fitted):
    assert not np.allclose(feature_vectors(fitted, world.dataset), fitted.features(world.dataset), atol=1e-3)
    queried = make_strategy("MaxHerding", seed=0).query(
        fitted, world.dataset, unlabeled, labeled, world.y[labeled], n=4
    )
    assert len(set(queried.tolist())) == 4

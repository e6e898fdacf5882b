"""small-text's own strategies see dense multi-label probabilities through WithDenseProbabilities."""

import numpy as np
import pytest
import small_text
from scipy.sparse import csr_matrix
from small_text import TransformerBasedClassification
from tiny_host import HOST_RESIZES, ONLY_2

from small_text_comal import CoMAL, WithDenseProbabilities
from small_text_comal.host import (
    IS_HOST_2,
    ScoringMixin,
    dense_probabilities,
    initialize_learner,
    model_arguments,
)

NEEDS_DENSE = ["LeastConfidence", "PredictionEntropy", "BreakingTies", "ContrastiveActiveLearning"]
NEEDS_DENSE += ["CategoryVectorInconsistencyAndRanking", "AdaptiveActiveLearning"]
WORKS_ANYWAY = ["RandomSampling", "BALD", "GreedyCoreset", "LightweightCoreset", "EmbeddingKMeans"]
WORKS_ANYWAY += ["LabelCardinalityInconsistency"]
HERE = [name for name in NEEDS_DENSE + WORKS_ANYWAY if hasattr(small_text, name)]
labeled, unlabeled = np.arange(20), np.arange(20, 60)


def hosts_strategy(name):
    options = {"pbar": None} if name == "CategoryVectorInconsistencyAndRanking" else {}
    return getattr(small_text, name)(**options)


def test_the_strategies_of_the_host_are_there():
    missing = set(NEEDS_DENSE + WORKS_ANYWAY) - set(HERE)
    assert missing == (set() if IS_HOST_2 else {"AdaptiveActiveLearning", "LabelCardinalityInconsistency"})


@HOST_RESIZES
@pytest.mark.filterwarnings("ignore:Default distance metric has changed")  # GreedyCoreset of 1.x
@pytest.mark.parametrize("of_the_host", [False, True], ids=["our classifier", "the host's classifier"])
@pytest.mark.parametrize("name", HERE)
def test_with_dense_probabilities_every_strategy_of_the_host_queries(name, of_the_host, world, fitted, host_clf):
    strategy = WithDenseProbabilities(hosts_strategy(name))
    clf = host_clf if of_the_host else fitted
    queried = strategy.query(clf, world.dataset, unlabeled, labeled, world.y[labeled], n=5)
    assert len(set(np.asarray(queried).tolist())) == 5
    assert set(np.asarray(queried).tolist()) <= set(unlabeled.tolist())


@ONLY_2
@pytest.mark.parametrize("name", NEEDS_DENSE)
def test_without_it_they_fail_on_2x(name, world, fitted):
    """When this fails, small-text has fixed it, and the docs should say so."""
    with pytest.raises((ValueError, TypeError, IndexError, AttributeError)):
        hosts_strategy(name).query(fitted, world.dataset, unlabeled, labeled, world.y[labeled], n=5)


def test_least_confidence_sees_the_sigmoid_probabilities(world, fitted):
    strategy = WithDenseProbabilities(hosts_strategy("LeastConfidence"))
    queried = strategy.query(fitted, world.dataset, unlabeled, labeled, world.y[labeled], n=5)
    confidence = fitted.label_probabilities(world.dataset).max(axis=1)
    assert set(queried.tolist()) == set(unlabeled[np.argsort(confidence[unlabeled], kind="stable")[:5]].tolist())


def test_contrastive_sees_sigmoid_and_not_softmax_in_embed(world, fitted):
    seen = []

    class Spy(type(hosts_strategy("ContrastiveActiveLearning"))):
        def sample(self, *args, embeddings_proba=None, **kwargs):
            seen.append(embeddings_proba)
            return super().sample(*args, embeddings_proba=embeddings_proba, **kwargs)

    WithDenseProbabilities(Spy(k=3)).query(fitted, world.dataset, unlabeled, labeled, world.y[labeled], n=5)
    expected = fitted.label_probabilities(world.dataset)[np.concatenate([unlabeled, labeled])]
    np.testing.assert_allclose(seen[0], expected, atol=1e-6)


def test_in_a_learner_with_its_own_scores_and_attributes(world):
    learner = world.learner(WithDenseProbabilities(hosts_strategy("LeastConfidence")))
    for _ in range(2):
        assert len(world.answer(learner)) == 5
    strategy = learner.query_strategy
    assert strategy.lower_is_better == hosts_strategy("LeastConfidence").lower_is_better
    assert len(strategy.scores_) in (43, 60)  # of the last query: 1.x scores the labeled documents as well
    assert str(strategy) == "WithDenseProbabilities(LeastConfidence())"


@pytest.mark.filterwarnings("ignore:non-inplace resize")
def test_dense_probabilities_of_any_multi_label_classifier(world, fitted, host_clf):
    for clf in (fitted, host_clf):
        dense = dense_probabilities(clf, world.dataset)
        assert dense.dtype == float
        np.testing.assert_allclose(dense, fitted.label_probabilities(world.dataset), atol=1e-5)
    arguments, keywords = model_arguments(str(world.folder))
    single = TransformerBasedClassification(arguments, 4, **keywords)
    with pytest.raises(ValueError, match=r"expected a multi-label classifier, got TransformerBased.*multi_label=False"):
        dense_probabilities(single, world.dataset)


def test_thresholded_probabilities_are_never_taken_for_dense(world):
    class Thresholded:
        multi_label = True

        def predict_proba(self, dataset, **_):
            return csr_matrix(np.array([[0.9, 0.0], [0.0, 0.6]]))

    with pytest.raises(ValueError, match="Thresholded gives out thresholded probabilities only"):
        dense_probabilities(Thresholded(), world.dataset)


def test_scoring_mixin_is_the_hosts_where_it_has_one():
    assert isinstance(CoMAL(), ScoringMixin)
    if IS_HOST_2:
        from small_text.query_strategies import base

        assert ScoringMixin is base.ScoringMixin


@ONLY_2
def test_initial_labels_that_differ_from_the_dataset(world):
    learner = world.learner()
    with pytest.raises(ValueError, match=r"takes the initial labels from dataset\.y, which differ"):
        initialize_learner(learner, np.arange(5), csr_matrix(1 - world.y[:5].toarray()))

"""Every bad input of the design: the right type of error, and a message that says what to do; then what is legal."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from small_text import (
    EmptyPoolException,
    LearnerNotInitializedException,
    PoolBasedActiveLearner,
    PoolExhaustedException,
    TransformerBasedClassification,
    TransformersDataset,
)
from tiny_host import World, copied_weights, same_weights
from transformers import AutoTokenizer

from small_text_comal import CoMAL, CoMALClassification, CoMALClassificationFactory, FeatureCacheArguments
from small_text_comal.host import IS_HOST_2, model_arguments
from small_text_comal.method.criteria import CRITERIA
from small_text_comal.query_strategies.registry import make_strategy, strategy_names

FIRST = np.arange(30)


def refused(message, error=ValueError):
    return pytest.raises(error, match=message)


@pytest.fixture
def arguments(world):
    return model_arguments(str(world.folder))[0]


def test_single_label_classifiers(arguments):
    message = "multi_label: expected True, got False: CoMAL is a multi-label method; use small-text's Transformer"
    with refused(message):
        CoMALClassification(arguments, 4, multi_label=False)
    with refused(message):
        CoMALClassificationFactory(arguments, 4, {"multi_label": False})
    assert CoMALClassificationFactory(arguments, 4, {"multi_label": True}).new().multi_label


def test_single_label_data(world):
    tokenizer = AutoTokenizer.from_pretrained(world.folder)
    y = np.arange(60) % 4
    dataset = TransformersDataset.from_arrays(world.texts, y, tokenizer, target_labels=np.arange(4), max_length=16)
    with refused(r"expected a multi-label training set \(labels as a CSR matrix\), got single-label data"):
        world.factory().new().fit(dataset)
    with refused("expected a multi-label validation set"):
        world.factory().new().fit(world.dataset[FIRST].clone(), validation_set=dataset)


@pytest.mark.parametrize("num_classes", [0, -1, 2.5, "four", None])
def test_numbers_of_classes(arguments, num_classes):
    with refused("num_classes: expected an integer >= 1, got"):
        CoMALClassification(arguments, num_classes)


def test_branches_that_are_none(arguments):
    for branch in (True, {"latent_size": 3}, "small"):
        with refused(f"branch: expected ContrastiveBranchArguments or None, got {type(branch).__name__}"):
            CoMALClassificationFactory(arguments, 4, {"branch": branch})


def test_keywords_that_the_host_does_not_know_fail_before_any_document_is_labeled(arguments):
    with pytest.raises(TypeError, match="num_epoch"):
        CoMALClassificationFactory(arguments, 4, {"num_epoch": 3})
    with refused("expected classification_kwargs or kwargs .*, got both"):
        CoMALClassificationFactory(arguments, 4, {"num_epochs": 3}, kwargs={"lr": 1.0})
    assert CoMALClassificationFactory(arguments, 4, kwargs={"num_epochs": 3}).new().num_epochs == 3
    with refused("dtype: expected one of .*float16.*, got 'int8'"):
        CoMALClassificationFactory(arguments, 4, feature_cache=FeatureCacheArguments(dtype="int8"))


def test_frozen_layers_outside_the_model(world):
    for frozen_layers in (4, -1):
        with refused(rf"frozen_layers: expected a number within \[0, 3\] \(layers\), got {frozen_layers}"):
            world.classifier(frozen_layers=frozen_layers)


def test_a_classifier_without_a_branch(world):
    clf = world.classifier(branch=None)
    message = (
        "CoMAL needs a classifier with a contrastive branch, got CoMALClassification: create it with CoMALEmbeddingClas"
    )
    with refused(message):
        CoMAL().query(clf, world.dataset, np.arange(40, 60), FIRST, world.y[FIRST], n=3)
    with refused("CoMALClassification has no contrastive branch: create it with a branch"):
        clf.label_space(world.dataset, world.dataset[FIRST], world.y[FIRST].toarray())
    with refused("create it with a branch"):
        next(iter(clf.label_embeddings(world.dataset)))


def test_a_classifier_of_the_host(world):
    arguments, keywords = model_arguments(str(world.folder))
    clf = TransformerBasedClassification(arguments, 4, multi_label=True, **keywords)
    clf.initialize() if IS_HOST_2 else clf.initialize_transformer(clf.cache_dir)
    with refused("CoMAL needs a classifier with a contrastive branch, got TransformerBasedClassification"):
        CoMAL().query(clf, world.dataset, np.arange(40, 60), FIRST, world.y[FIRST], n=3)


@pytest.mark.parametrize("gamma", [-0.1, 1.1, float("nan"), "half"])
def test_gamma_outside_its_range(gamma):
    with refused(r"gamma: expected a number within \[0, 1\], got"):
        CoMAL(gamma)


@pytest.mark.parametrize("criterion", ["Paper", "", 3])
def test_unknown_criterion(criterion):
    with refused(r"criterion: expected one of \('reference', 'paper', 'soft', 'entropy'\), got"):
        CoMAL(criterion=criterion)


@pytest.mark.parametrize("batch", ["Herding", "", None])
def test_unknown_batch(batch):
    with refused(r"batch: expected one of \('herding', 'top'\), got"):
        CoMAL(batch=batch)


def test_gamma_of_a_criterion_that_has_none():
    with refused("gamma: criterion 'entropy' has none, got 0.5: leave it out"):
        CoMAL(gamma=0.5, criterion="entropy")


def test_sizes_of_a_query_in_a_learner(world):
    learner = world.learner()
    with refused("expected n >= 1 documents to query, got n=0"):
        learner.query(num_samples=0)
    with refused("48 available / 49 requested", PoolExhaustedException):
        learner.query(num_samples=49)
    assert len(learner.query(num_samples=48)) == 48
    learner.update(world.y[learner.indices_queried])
    with refused("empty pool", EmptyPoolException):
        learner.query(num_samples=1)


def test_rows_of_y_and_labeled_documents(world, fitted):
    with refused("expected one row of y for each of the 30 indices_labeled, got 29 rows"):
        CoMAL().query(fitted, world.dataset, np.arange(40, 60), FIRST, world.y[:29], n=3)
    with refused("initialize the active learner with labeled documents first"):
        CoMAL().query(fitted, world.dataset, np.arange(60), FIRST[:0], world.y[:0], n=3)


def test_labels_outside_the_classes(world, tiny_bert_folder, fitted):
    six = World(tiny_bert_folder, num_labels=6, y=np.eye(60, 6) + np.eye(60, 6, k=-5))
    with refused("label 5 of the training set lies outside the classifier's 4 classes"):
        world.factory().new().fit(six.dataset)
    with refused("label 5 of the validation set lies outside the classifier's 4 classes"):
        world.factory().new().fit(world.dataset[FIRST].clone(), validation_set=six.dataset)
    with refused(
        "label 5 lies outside the classifier's 4 classes: create the classifier factory with the number of col"
    ):
        CoMAL().query(fitted, world.dataset, np.arange(40, 60), FIRST, six.y[FIRST], n=3)


def test_a_dataset_that_knows_fewer_classes_than_the_classifier_is_fine(tiny_bert_folder):
    two = World(tiny_bert_folder, num_labels=2)
    two.num_labels = 4
    assert two.classifier().label_probabilities(two.dataset).shape == (60, 4)


def test_an_empty_training_set(world):
    empty = world.dataset[np.array([], dtype=int)]
    with refused("expected a training set with at least one document, got an empty one"):
        world.factory().new().fit(empty)


def test_a_training_set_without_any_positive_label(world):
    negative = world.dataset_of(world.texts[:10], csr_matrix((10, 4), dtype=np.int64))
    message = "at least one positive label in the training set, got 10 documents without any: start from label_covering"
    with refused(message):
        world.factory().new().fit(negative)


def test_sample_weights_that_do_not_fit(world):
    train = world.dataset[FIRST].clone()
    with refused("(?i)weights must have the same size"):
        world.factory().new().fit(train, weights=np.ones(29))
    with refused("Weights must be greater zero"):
        world.factory().new().fit(train, weights=np.zeros(30))


def test_optimizers_and_schedulers_that_do_not_fit(world):
    scheduler = torch.optim.lr_scheduler.ConstantLR(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0))
    with refused("You must also pass an optimizer if you pass a scheduler"):
        world.factory().new().fit(world.dataset[FIRST].clone(), scheduler=scheduler)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_validation_share_outside_its_range(world, share):
    with refused(r"validation_set_size: expected a number within \(0, 1\), got"):
        world.classifier(validation_set_size=share)


def test_features_of_another_size_than_the_branch(world, fitted):
    with refused(r"expected features \(N, 16\), got \(2, 5\): was the branch fitted on another encoder\?"):
        fitted.branch.latent(torch.zeros(2, 5))
    with refused(r"expected features \(N, 16\), got \(2, 5\)"):
        fitted.branch.folded().latent(torch.zeros(2, 5))
    for shape in ((30, 5), (3, 4)):
        with refused(rf"expected labels \(L, C\) = \(30, 4\), got \({shape[0]}, {shape[1]}\)"):
            fitted.label_space(world.dataset, world.dataset[FIRST], np.zeros(shape))


def test_a_loss_that_is_not_finite_names_epoch_and_batch(world):
    with refused("classifier loss in epoch 1, batch 2: expected a finite number, got nan; lower", FloatingPointError):
        world.classifier(lr=float("inf"), num_epochs=3)


def test_a_failed_round_loses_nothing(world):
    """The labels stay with the learner, which goes on as soon as the cause is fixed."""
    learner = world.learner()
    queried = learner.query(num_samples=5)
    learner._clf_factory.classification_kwargs["lr"] = float("inf")
    with refused("classifier loss in epoch 1", FloatingPointError):
        learner.update(world.y[queried])
    assert len(learner.indices_labeled) == learner.y.shape[0] == 17
    learner._clf_factory.classification_kwargs["lr"] = 1e-3
    learner._retrain()
    assert len(learner.query(num_samples=5)) == 5


def test_bad_data_leave_a_fitted_classifier_as_it_was(world):
    clf = world.classifier()
    model, branch = copied_weights(clf.model), copied_weights(clf.branch)
    expected = clf.label_probabilities(world.dataset)
    with refused("at least one document"):
        clf.fit(world.dataset[np.array([], dtype=int)])
    assert same_weights(copied_weights(clf.model), model)
    assert same_weights(copied_weights(clf.branch), branch)
    np.testing.assert_array_equal(clf.label_probabilities(world.dataset), expected)


@pytest.mark.parametrize("name", strategy_names())
def test_a_query_before_fit(world, name):
    learner = PoolBasedActiveLearner(world.factory(), make_strategy(name, seed=0), world.dataset)
    with pytest.raises(LearnerNotInitializedException):
        learner.query(num_samples=3)


@pytest.mark.parametrize(
    "method", ["label_probabilities", "features", "sampled_probabilities", "predict", "predict_proba"]
)
def test_a_classifier_before_fit(world, method):
    with refused("the classifier has no model yet: call fit"):
        getattr(world.factory().new(), method)(world.dataset)


def test_the_branch_before_fit(world):
    clf = world.factory().new()
    for call in (
        lambda: clf.label_space(world.dataset, world.dataset, world.y.toarray()),
        lambda: next(iter(clf.label_embeddings(world.dataset))),
    ):
        with refused("has no contrastive branch: call fit"):
            call()


def test_dropout_passes(world, fitted):
    with refused("samples: expected an integer >= 1, got 0"):
        fitted.sampled_probabilities(world.dataset, samples=0)


# What is legal: one and two labels, no labels, labels without positives, small pools, copies.


def run_two_rounds(world, **keywords):
    learner = world.learner(initial=10, **keywords)
    for _ in range(2):
        assert len(set(world.answer(learner, 4).tolist())) == 4
    probabilities = learner.classifier.label_probabilities(world.dataset)
    assert probabilities.shape == (len(world.dataset), world.num_labels)
    assert np.isfinite(probabilities).all()
    return learner


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("num_labels", [1, 2])
def test_one_and_two_labels(tiny_bert_folder, num_labels, criterion):
    world = World(tiny_bert_folder, 40, num_labels=num_labels)
    run_two_rounds(world, strategy=CoMAL(criterion=criterion, seed=0))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_documents_without_labels_and_labels_without_positives(tiny_bert_folder, criterion):
    world = World(tiny_bert_folder, 40)
    y = world.y.toarray()
    y[::2], y[:, 3] = 0, 0
    run_two_rounds(World(tiny_bert_folder, 40, texts=world.texts, y=y), strategy=CoMAL(criterion=criterion, seed=0))


def test_a_pool_smaller_than_a_batch(tiny_bert_folder):
    run_two_rounds(World(tiny_bert_folder, 20), batch_size=64)


def test_duplicated_documents(tiny_bert_folder):
    world = World(tiny_bert_folder, 20)
    doubled = World(tiny_bert_folder, texts=world.texts * 2, y=np.tile(world.y.toarray(), (2, 1)))
    learner = run_two_rounds(doubled)
    probabilities = learner.classifier.label_probabilities(doubled.dataset)
    np.testing.assert_allclose(probabilities[:20], probabilities[20:], atol=1e-6)


def test_empty_texts(tiny_bert_folder):
    world = World(tiny_bert_folder, 30)
    texts = ["" if i % 5 == 0 else text for i, text in enumerate(world.texts)]
    run_two_rounds(World(tiny_bert_folder, texts=texts, y=world.y))


def test_one_labeled_document(tiny_bert_folder):
    world = World(tiny_bert_folder, 20, y=np.ones((20, 4)))
    learner = world.learner(initial=1)
    assert len(world.answer(learner, 3)) == 3

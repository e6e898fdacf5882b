"""What each small-text release promises of a classifier, its own strategies on dense probabilities, its versions."""

import inspect
import os
import re
import subprocess
import sys
from importlib import metadata
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import small_text
import torch
from packaging.version import Version
from scipy.sparse import csr_matrix, issparse
from small_text import TransformerBasedClassification, TransformersDataset
from small_text.training.early_stopping import EarlyStopping
from small_text.training.metrics import Metric
from small_text.training.model_selection import ModelSelection
from tiny_host import World, copied_weights, same_weights
from transformers import AutoTokenizer

import small_text_comal
from small_text_comal import CoMAL, WithDenseProbabilities, host
from small_text_comal.host import (
    IS_HOST_2,
    TRANSFORMERS_VERSION,
    ScoringMixin,
    dense_probabilities,
    initialize_learner,
    model_arguments,
)

ONLY_1 = pytest.mark.skipif(IS_HOST_2, reason="small-text 1.x only")
ONLY_2 = pytest.mark.skipif(not IS_HOST_2, reason="small-text 2.x only")
# small-text's own dropout sampling resizes tensors
HOST_RESIZES = pytest.mark.filterwarnings("ignore:non-inplace resize")
NO_DOCUMENTS = np.array([], dtype=int)


@pytest.fixture(scope="module")
def host_clf(fitted, world):
    """The host's own classifier with the weights of the fitted one."""
    arguments, keywords = model_arguments(str(world.folder), train_batch_size=8, predict_batch_size=8)
    clf = TransformerBasedClassification(arguments, world.num_labels, multi_label=True, **keywords)
    clf.initialize() if IS_HOST_2 else clf.initialize_transformer(clf.cache_dir)
    clf.model.load_state_dict(fitted.model.state_dict())
    return clf


def assert_same_result(got, expected):
    if isinstance(expected, tuple):
        assert len(got) == len(expected)
        for g, e in zip(got, expected, strict=True):
            assert_same_result(g, e)
        return
    assert type(got) is type(expected)
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    if issparse(got):
        assert (got.indptr == expected.indptr).all()
        assert (got.indices == expected.indices).all()
        got, expected = got.data, expected.data
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("rows", [np.arange(60), np.array([7]), NO_DOCUMENTS], ids=["all", "one", "none"])
@pytest.mark.parametrize(
    "call",
    [
        lambda clf, data: clf.predict(data),
        lambda clf, data: clf.predict(data, return_proba=True),
        lambda clf, data: clf.predict_proba(data),
        lambda clf, data: clf.embed(data) if len(data) else np.zeros(0),
        lambda clf, data: clf.embed(data, return_proba=True)[0] if len(data) else np.zeros(0),
        lambda clf, data: clf.embed(data, embedding_method="cls") if len(data) else np.zeros(0),
    ],
    ids=["predict", "predict with proba", "predict_proba", "embed", "embed with proba", "embed cls"],
)
def test_results_are_those_of_the_host(call, rows, world, fitted, host_clf):
    data = world.dataset[rows]
    assert_same_result(call(fitted, data), call(host_clf, data))


def test_predictions_are_where_probabilities_exceed_one_half(world, fitted):
    probabilities = fitted.label_probabilities(world.dataset)
    assert probabilities.shape == (60, 4)
    assert probabilities.dtype == np.float32
    expected = probabilities > 0.5
    assert 0 < expected.sum() < expected.size
    assert (fitted.predict(world.dataset).toarray() == expected).all()


@ONLY_2
@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.9])
def test_the_threshold_of_2x_is_honoured(world, fitted, threshold):
    probabilities = fitted.label_probabilities(world.dataset).astype(float)
    labels, proba = fitted.predict(world.dataset, return_proba=True, multi_label_threshold=threshold)
    assert (labels.toarray() == (probabilities > threshold)).all()
    np.testing.assert_allclose(proba.toarray(), np.where(probabilities > threshold, probabilities, 0))
    again = fitted.predict_proba(world.dataset, multi_label_threshold=threshold)
    assert (again != proba).nnz == 0


@ONLY_1
def test_probabilities_of_1x_are_dense(world, fitted):
    proba = fitted.predict_proba(world.dataset)
    np.testing.assert_allclose(proba, fitted.label_probabilities(world.dataset))


@HOST_RESIZES
def test_dropout_sampling(world, fitted):
    proba = fitted.predict_proba(world.dataset[np.arange(10)], dropout_sampling=3)
    assert proba.shape == (10, 3, 4)
    assert not np.allclose(proba[:, 0], proba[:, 1])
    np.testing.assert_array_equal(fitted.predict_proba(world.dataset[NO_DOCUMENTS]).shape, (0, 4))


@HOST_RESIZES
def test_dropout_sampling_leaves_later_predictions_alone(world, fitted):
    before = fitted.label_probabilities(world.dataset)
    fitted.predict_proba(world.dataset[np.arange(10)], dropout_sampling=3)
    np.testing.assert_array_equal(fitted.label_probabilities(world.dataset), before)


def test_dropout_probabilities_of_our_own(world, fitted):
    passes = fitted.dropout_probabilities(world.dataset, samples=3, seed=0)
    assert passes.shape == (3, 60, 4)
    assert not np.allclose(passes[0], passes[1])
    np.testing.assert_array_equal(fitted.dropout_probabilities(world.dataset, samples=3, seed=0), passes)
    assert not np.allclose(fitted.dropout_probabilities(world.dataset, samples=3, seed=1), passes)
    assert np.abs(passes.mean(axis=0) - fitted.label_probabilities(world.dataset)).mean() < 0.3


def test_features_feed_the_head(world, fitted):
    features = fitted.features(world.dataset)
    assert features.shape == (60, 16)
    with torch.no_grad():
        probabilities = torch.sigmoid(fitted.model.classifier(torch.from_numpy(features))).numpy()
    np.testing.assert_allclose(probabilities, fitted.label_probabilities(world.dataset), atol=1e-6)


def test_the_methods_take_what_the_hosts_methods_take(fitted):
    for method in ("predict", "predict_proba", "embed", "fit"):
        ours = inspect.signature(getattr(type(fitted), method)).parameters
        theirs = inspect.signature(getattr(TransformerBasedClassification, method)).parameters
        assert list(ours) == list(theirs), method
        defaults = {name: parameter.default for name, parameter in theirs.items()}
        assert {name: parameter.default for name, parameter in ours.items()} == defaults, method


def test_both_batch_sizes_reach_the_classifier(world):
    clf = world.factory(batch_size=5).new()
    assert (clf.train_batch, clf.predict_batch) == (5, 5)


# Training: what the user passes to fit means what the host documents.


class Recorder(EarlyStopping):
    def __init__(self, stop_at):
        super().__init__(Metric("val_loss"), patience=10)
        self.calls, self.stop_at = 0, stop_at

    def check_early_stop(self, epoch, measured_values):
        super().check_early_stop(epoch, measured_values)
        self.calls += 1
        return self.calls == self.stop_at


def epochs_of(clf):
    return len(clf.history["classifier"])


def test_a_handler_of_the_user_stops_every_round_anew(world):
    handler = Recorder(stop_at=2)
    for _ in range(2):
        assert epochs_of(world.classifier(num_epochs=5, fit={"early_stopping": handler})) == 2
    assert handler.calls == 0


def test_early_stopping_none_trains_all_epochs(world):
    assert epochs_of(world.classifier(num_epochs=9, lr=1e-7, fit={"early_stopping": "none"})) == 9


def test_the_default_patience_watches_the_validation_loss(world):
    clf = world.classifier(num_epochs=30, lr=0.05, patience=1)
    losses = [record["val_loss"] for record in clf.history["classifier"]]
    assert len(losses) < 30
    assert min(losses) < losses[-1]


@ONLY_2
def test_training_accuracy_does_not_stop_sparse_labels(tiny_bert_folder):
    """All-zero predictions reach small-text 2.x's own threshold of 0.99 here."""
    y = np.eye(60, 120, dtype=int)
    clf = World(tiny_bert_folder, num_labels=120, y=y).classifier(num_epochs=5, lr=0.05, branch=None)
    records = clf.history["classifier"]
    assert records[1]["train_acc"] > 0.99
    assert len(records) == 5


@ONLY_1
def test_the_constructors_stopping_of_1x_is_honoured(world):
    with pytest.warns(DeprecationWarning):
        clf = world.factory(num_epochs=30, lr=0.05, early_stopping_acc=0.3).new()
    clf.fit(world.dataset[np.arange(40)].clone())
    assert epochs_of(clf) < 5


def best_epoch(clf):
    return 1 + int(np.argmin([record["val_loss"] for record in clf.history["classifier"]]))


@pytest.mark.parametrize("handler", [None, "handler"])
def test_the_best_weights_are_restored(world, handler):
    options = {"num_epochs": 8, "lr": 0.05, "branch": None}
    selection = ModelSelection() if handler else None
    clf = world.classifier(**options, fit={"early_stopping": "none", "model_selection": selection})
    best = best_epoch(clf)
    assert best < 8
    shorter = world.classifier(
        **{**options, "num_epochs": best}, fit={"early_stopping": "none", "model_selection": "none"}
    )
    assert same_weights(copied_weights(clf.model), copied_weights(shorter.model))
    assert not handler or len(selection.models) == 0  # a copy was used: the handler remembers nothing


def test_model_selection_none_keeps_the_last_weights(world):
    options = {"num_epochs": 8, "lr": 0.05, "branch": None}
    last = world.classifier(**options, fit={"early_stopping": "none", "model_selection": "none"})
    best = world.classifier(**options, fit={"early_stopping": "none"})
    assert not same_weights(copied_weights(last.model), copied_weights(best.model))


@ONLY_1
def test_model_selection_false_of_1x_keeps_the_last_weights(world):
    options = {"num_epochs": 8, "lr": 0.05, "branch": None}
    last = world.classifier(**options, fit={"early_stopping": "none", "model_selection": "none"})
    with pytest.warns(DeprecationWarning):
        off = world.classifier(**options, model_selection=False, fit={"early_stopping": "none"})
    assert same_weights(copied_weights(last.model), copied_weights(off.model))


def test_sample_weights_reach_the_loss(world):
    even = world.classifier(fit={"weights": np.ones(40, dtype=np.float32)})
    plain = world.classifier()
    assert same_weights(copied_weights(even.model), copied_weights(plain.model))
    skewed = world.classifier(fit={"weights": np.linspace(0.1, 5, 40).astype(np.float32)})
    assert not same_weights(copied_weights(skewed.model), copied_weights(plain.model))


LAST = {"early_stopping": "none", "model_selection": "none"}


@pytest.mark.filterwarnings("ignore:Setting class_weight to 'balanced' is intended for the single-label")
def test_class_weights_reach_the_loss(world):
    plain, balanced = world.classifier(), world.classifier(class_weight="balanced")
    assert not same_weights(copied_weights(plain.model), copied_weights(balanced.model))
    with pytest.raises(ValueError, match="Invalid value for class_weight"):
        world.classifier(class_weight="heavy")


def test_validations_within_an_epoch(world):
    seen = []

    class Watching(Recorder):
        def check_early_stop(self, epoch, measured_values):
            seen.append((epoch, measured_values["train_loss"] is None))
            return False

    world.classifier(validations_per_epoch=2, batch_size=9, fit={"early_stopping": Watching(0)})
    assert [epoch for epoch, _ in seen] == sorted(epoch for epoch, _ in seen)
    assert {within for _, within in seen} == {True, False}


def test_an_optimizer_and_a_scheduler_of_the_user(world):
    clf = world.factory(branch=None).new()
    clf.load_model()
    before = copied_weights(clf.model)
    optimizer = torch.optim.SGD([clf.model.classifier.bias], lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    clf.fit(world.dataset[np.arange(40)].clone(), optimizer=optimizer, scheduler=scheduler)
    after = copied_weights(clf.model)
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"classifier.bias"}
    assert optimizer.param_groups[0]["lr"] < 0.01


def test_the_linear_schedule_of_the_host(world):
    constant, linear = world.classifier(fit=LAST), world.classifier(fit={**LAST, "scheduler": "linear"})
    assert not same_weights(copied_weights(constant.model), copied_weights(linear.model))


@ONLY_1
def test_fine_tuning_arguments_of_1x(world):
    from small_text import FineTuningArguments

    clf = world.classifier(fine_tuning_arguments=FineTuningArguments(1e-3, 0.9))
    assert epochs_of(clf) == 2


@ONLY_2
def test_amp_arguments_do_nothing_on_the_cpu(world):
    from small_text.integrations.pytorch.classifiers.base import AMPArguments

    plain = world.classifier()
    amp = world.classifier(amp_args=AMPArguments(use_amp=True, device_type="cpu"))
    assert same_weights(copied_weights(plain.model), copied_weights(amp.model))


@ONLY_2
def test_compile_model_compiles_the_trainable_layers(world, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module, **options: compiled.append(module) or module)
    arguments, _ = model_arguments(str(world.folder))
    arguments.compile_model = True
    factory = world.factory()
    factory.transformer_model_args = arguments
    clf = factory.new().fit(world.dataset[np.arange(40)].clone())
    assert compiled
    assert clf.label_probabilities(world.dataset).shape == (60, 4)


def test_progress_switches(world, monkeypatch):
    clf = world.factory().new()
    assert clf.wants_progress
    if IS_HOST_2:
        clf.transformer_model_args.show_progress_bar = False
        assert not clf.wants_progress
        clf.transformer_model_args.show_progress_bar = True
    else:
        monkeypatch.setenv("SMALL_TEXT_PROGRESS_BARS", "0")
        assert not clf.wants_progress


def test_no_progress_bar_in_a_pipe(world, capfd):
    world.classifier().label_probabilities(world.dataset)
    assert "epoch" not in capfd.readouterr().err


# small-text's own strategies on dense probabilities.

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
    """When this fails, small-text has mended it, and the docs should say so."""
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


# The one method of small-text 1.x that transformers 5 breaks, and versions that do not work at all.


def test_only_the_pair_that_needs_it_is_mended():
    is_ours = TransformersDataset.from_arrays.__func__.__code__.co_filename.endswith("host.py")
    assert is_ours == (not IS_HOST_2 and Version("5.dev0") <= TRANSFORMERS_VERSION)


def test_from_arrays_makes_what_the_tokenizer_gives(world):
    tokenizer = AutoTokenizer.from_pretrained(world.folder)
    expected = tokenizer(world.texts[:5], padding="max_length", truncation=True, max_length=16, return_tensors="pt")
    dataset = TransformersDataset.from_arrays(
        world.texts[:5], world.y[:5], tokenizer, target_labels=np.arange(4), max_length=16
    )
    for row, ids, mask in zip(dataset.data, expected["input_ids"], expected["attention_mask"], strict=True):
        assert torch.equal(row[0][0], ids)
        assert torch.equal(row[1][0], mask)
    assert (dataset.y != world.y[:5]).nnz == 0
    single = TransformersDataset.from_arrays(world.texts[:2], np.array([1, 0]), tokenizer, np.arange(2), 16)
    assert single.y.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({"small-text": "1.4.0"}, "found 1.4.0: pip install small-text==1.4.1 (or small-text==2.0.0.dev4)"),
        ({"small-text": "2.0.0.dev3"}, "runs on small-text 1.4.1 and on 2.0.0.dev4 or newer 2.x, found 2.0.0.dev3"),
        ({"small-text": "3.0.0"}, "found 3.0.0: pip install small-text==1.4.1"),
        ({"transformers": "4.56.2"}, "transformers 4.57 or newer, found 4.56.2: pip install 'transformers>=4.57'"),
        ({"datasets": None}, "small-text-comal needs the package datasets: pip install datasets"),
        ({"transformers": None}, "small-text-comal needs the package transformers: pip install transformers"),
    ],
)
def test_versions_that_do_not_work_say_which_to_install(monkeypatch, versions, message):
    monkeypatch.setattr(host, "version", reporting(versions))
    with pytest.raises(ImportError, match=re.escape(message)):
        host._check_versions()


@pytest.mark.parametrize("installed", ["1.4.1", "1.4.2", "2.0.0.dev4", "2.0.0", "2.9"])
def test_versions_that_work(monkeypatch, installed):
    monkeypatch.setattr(host, "version", reporting({"small-text": installed}))
    assert host._check_versions()[0] == Version(installed)


def reporting(versions):
    def version(name):
        if versions.get(name, "") is None:
            raise PackageNotFoundError(name)
        return versions.get(name) or metadata.version(name)

    return version


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("metadata.version = lambda name: '1.4.0'", "found 1.4.0: pip install small-text==1.4.1"),
        ("metadata.version = missing; sys.modules['small_text'] = None", "pip install small-text"),
    ],
    ids=["another release", "not installed"],
)
def test_the_versions_are_checked_before_anything_of_small_text_is_imported(line, message):
    script = f"""
import sys, importlib.metadata as metadata
def missing(name):
    raise metadata.PackageNotFoundError(name)
import torch, scipy.sparse  # what else is needed may ask for versions as well
{line}
import small_text_comal
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(small_text_comal.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: small-text-comal")
    assert message in last

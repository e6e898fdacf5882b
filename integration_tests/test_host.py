"""What each small-text release promises of a classifier, and the versions that work."""

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
import torch
from packaging.version import Version
from scipy.sparse import issparse
from small_text import TransformerBasedClassification, TransformersDataset
from tiny_host import HOST_RESIZES, ONLY_1, ONLY_2
from transformers import AutoTokenizer

import small_text_comal
from small_text_comal.host import IS_HOST_2
from small_text_comal.host import versions as host_versions
from small_text_comal.host.versions import TRANSFORMERS_VERSION

NO_DOCUMENTS = np.array([], dtype=int)


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


def test_sampled_probabilities_of_our_own(world, fitted):
    passes = fitted.sampled_probabilities(world.dataset, samples=3, seed=0)
    assert passes.shape == (3, 60, 4)
    assert not np.allclose(passes[0], passes[1])
    np.testing.assert_array_equal(fitted.sampled_probabilities(world.dataset, samples=3, seed=0), passes)
    assert not np.allclose(fitted.sampled_probabilities(world.dataset, samples=3, seed=1), passes)
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
        if method == "predict":  # the classifier's own cuts, unless a threshold is given
            defaults |= {name: None for name in defaults if name == "multi_label_threshold"}
        assert {name: parameter.default for name, parameter in ours.items()} == defaults, method


def test_both_batch_sizes_reach_the_classifier(world):
    clf = world.factory(batch_size=5).new()
    assert (clf.train_batch, clf.predict_batch) == (5, 5)


# The one method of small-text 1.x that transformers 5 breaks, and versions that do not work at all.


def test_only_the_pair_that_needs_it_is_repaired():
    is_ours = TransformersDataset.from_arrays.__func__.__code__.co_filename.endswith("repairs.py")
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
    monkeypatch.setattr(host_versions, "version", reporting(versions))
    with pytest.raises(ImportError, match=re.escape(message)):
        host_versions._check_versions()


@pytest.mark.parametrize("installed", ["1.4.1", "1.4.2", "2.0.0.dev4", "2.0.0", "2.9"])
def test_versions_that_work(monkeypatch, installed):
    monkeypatch.setattr(host_versions, "version", reporting({"small-text": installed}))
    assert host_versions._check_versions()[0] == Version(installed)


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

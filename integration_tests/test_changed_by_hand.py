"""What users change on a fitted classifier, or around it, is noticed, and their own code is left alone."""

import copy
import pickle

import numpy as np
import pytest
import torch
from tiny_host import EXACT

from small_text_comal import CoMALClassificationFactory, FeatureCacheArguments
from small_text_comal.encoder.frozen.precision import Precision
from small_text_comal.host import model_arguments


def plain_probabilities(clf, dataset):
    """The oracle: the model itself on each document as the dataset pads it."""
    clf.model.eval()
    with torch.no_grad():
        rows = [clf.model(input_ids=row[0], attention_mask=row[1]).logits for row in dataset.data]
    return torch.sigmoid(torch.cat(rows)).numpy()


def scale_a_trainable_weight(clf):
    with torch.no_grad():
        clf.model.bert.encoder.layer[2].output.dense.weight.mul_(3)


def load_other_weights(clf):
    clf.model.load_state_dict({name: 1.5 * value for name, value in clf.model.state_dict().items()})


def exchange_the_model(clf):
    clf.model = copy.deepcopy(clf.model)
    load_other_weights(clf)


@pytest.mark.parametrize("change", [scale_a_trainable_weight, load_other_weights, exchange_the_model])
def test_probabilities_are_those_of_the_weights_that_are_there(world, change):
    clf = world.classifier()
    before = clf.label_probabilities(world.dataset)  # of documents that were trained on, and of others
    change(clf)
    after = clf.label_probabilities(world.dataset)
    assert np.abs(after - before).max(axis=1).min() > 1e-4
    np.testing.assert_allclose(after, plain_probabilities(clf, world.dataset), atol=1e-5)
    clf.fit(world.dataset[np.arange(30)].clone())
    np.testing.assert_allclose(
        clf.label_probabilities(world.dataset), plain_probabilities(clf, world.dataset), atol=1e-5
    )


def test_another_number_format_makes_another_encoder(world, monkeypatch):
    """As when the host turns its mixed precision on, because the model is on a GPU now."""
    clf = world.classifier()
    before, options = clf.document_encoder(), {"device_type": "cpu", "dtype": torch.bfloat16, "enabled": True}
    assert clf.document_encoder() is before
    monkeypatch.setattr(type(clf), "autocast_options", options)
    assert clf.document_encoder() is not before
    assert clf.document_encoder() is clf.document_encoder()
    assert clf.document_encoder().precision == Precision(**options)


def embeddings(clf, dataset):
    return torch.cat(list(clf.label_embeddings(dataset)))


def test_embeddings_are_those_of_the_branch_that_is_there(world):
    clf = world.classifier()
    before = embeddings(clf, world.dataset)
    with torch.no_grad():
        clf.branch.encode.weight.neg_()
        clf.branch.encode.bias.neg_()
    torch.testing.assert_close(embeddings(clf, world.dataset), -before)


def test_iterating_over_embeddings_leaves_the_callers_mode_alone(world):
    clf = world.classifier()
    pairs = zip(clf.label_embeddings(world.dataset), clf.label_embeddings(world.dataset), strict=False)
    for latent, _ in pairs:
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        (latent * torch.ones(1, requires_grad=True)).sum().backward()  # a tensor that autograd can use
    assert not torch.is_inference_mode_enabled()
    clf.fit(world.dataset[np.arange(20)].clone())


def test_another_default_dtype(world):
    torch.set_default_dtype(torch.float64)
    try:
        clf = world.classifier()
        probabilities = clf.label_probabilities(world.dataset)
        assert (clf.features(world.dataset).dtype, probabilities.dtype) == (np.float32, np.float32)
        assert embeddings(clf, world.dataset).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_cache_among_the_classifiers_keywords_is_shared_by_all_rounds(world):
    arguments, sizes = model_arguments(str(world.folder))
    cache = FeatureCacheArguments(dtype="float32")
    factory = CoMALClassificationFactory(arguments, world.num_labels, {**sizes, "feature_cache": cache})
    assert factory.feature_cache.arguments is cache
    assert factory.new().feature_cache is factory.new().feature_cache is factory.feature_cache
    assert factory.new().feature_cache.arguments is cache
    with pytest.raises(ValueError, match="expected feature_cache once"):
        CoMALClassificationFactory(arguments, world.num_labels, {"feature_cache": cache}, feature_cache=EXACT)


def test_two_factories_may_share_a_cache(world):
    shared = world.factory().feature_cache
    first, second = (world.factory(feature_cache=shared).new() for _ in range(2))
    assert first.feature_cache is second.feature_cache is shared


def test_features_of_the_last_fit_are_not_saved(world):
    clf = world.classifier(20)
    loaded = pickle.loads(pickle.dumps(clf))
    assert loaded._fitted is None
    train = world.dataset[np.arange(20)]
    np.testing.assert_allclose(loaded.features(train), clf.features(train), atol=1e-6)

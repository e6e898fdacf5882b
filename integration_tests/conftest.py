"""Fixtures of the integration tests."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch is imported: the workers of pytest-xdist share the cores

import pytest
from small_text import TransformerBasedClassification
from tiny_host import World, save_tiny_bert

from small_text_comal.host import IS_HOST_2, model_arguments


@pytest.fixture(scope="session")
def tiny_bert_folder(tmp_path_factory):
    """A tiny random BERT and its tokenizer on disk."""
    return save_tiny_bert(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="session")
def world(tiny_bert_folder):
    """60 documents with 4 labels; tests must not change its dataset."""
    return World(tiny_bert_folder)


@pytest.fixture(scope="session")
def fitted(world):
    """A classifier fitted on the first 40 documents; tests must not change it."""
    return world.classifier()


@pytest.fixture(scope="session")
def host_clf(fitted, world):
    """small-text's own classifier with the weights of `fitted`."""
    arguments, keywords = model_arguments(str(world.folder), train_batch_size=8, predict_batch_size=8)
    clf = TransformerBasedClassification(arguments, world.num_labels, multi_label=True, **keywords)
    clf.initialize() if IS_HOST_2 else clf.initialize_transformer(clf.cache_dir)
    clf.model.load_state_dict(fitted.model.state_dict())
    return clf

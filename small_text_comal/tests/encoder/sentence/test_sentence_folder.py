"""What a folder declares is read or refused, never guessed; names of sentence encoders are known without a download."""

import doctest
import json

import pytest
from tiny_sentence_encoders import declare, declare_prompt

from small_text_comal.encoder.sentence import folder as sentence_folder
from small_text_comal.encoder.sentence.folder import is_sentence_encoder, read_declaration
from small_text_comal.encoder.sentence.model_files import ModelSource

MEAN = {"pooling_mode_mean_tokens": True}


def test_docstring_examples():
    assert doctest.testmod(sentence_folder).failed == 0


def declared(folder):
    return read_declaration(ModelSource.of(folder).read, str(folder))


def test_nothing_declared(tmp_path):
    assert declared(tmp_path) == (("mean",), None, False, "", "")


def test_everything_declared(tmp_path):
    declare(tmp_path, {"pooling_mode": ["cls", "max"]}, max_length=77, do_lower_case=True)
    declare_prompt(tmp_path, "query: ")
    assert declared(tmp_path) == (("cls", "max"), 77, True, "query: ", "")


def test_a_pooling_without_any_mode_is_the_mean(tmp_path):
    assert declared(declare(tmp_path, {"word_embedding_dimension": 8})).pooling == ("mean",)


def test_module_names_of_newer_releases_and_modules_without_effect(tmp_path):
    modules = (
        "sentence_transformers.base.modules.transformer.Transformer",
        "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
        "Dropout",
        "Normalize",
    )
    declare(tmp_path, MEAN, modules=modules)
    listed = json.loads((tmp_path / "modules.json").read_text())
    listed[1]["path"] = "1_Pooling"
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    assert declared(tmp_path).pooling == ("mean",)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (("Transformer", "Pooling", "Dense", "Normalize"), "got Transformer, Pooling, Dense, Normalize"),
        (("Transformer", "WeightedLayerPooling", "Pooling"), "got Transformer, WeightedLayerPooling"),
        (("Transformer",), "Normalize, got Transformer"),
        (("WordEmbeddings", "Pooling"), "got WordEmbeddings, Pooling"),
        (("custom_st.Transformer", "Pooling"), r"got code of its own \(custom_st\.Transformer\)"),
    ],
)
def test_modules_that_are_not_supported(tmp_path, modules, message):
    declare(tmp_path, MEAN, modules=modules)
    with pytest.raises(
        ValueError, match=rf"{tmp_path.name}: expected modules .*{message}.*SentenceTransformer\(.*encode"
    ):
        declared(tmp_path)


@pytest.mark.parametrize(
    ("pooling", "options", "message"),
    [
        ({"pooling_mode": "attention"}, {}, "expected a pooling among cls, .*got 'attention'"),
        (MEAN, {"transformer_task": "fill-mask"}, "got the task 'fill-mask'"),
        ({**MEAN, "include_prompt": False}, {}, "pooling that includes the prompt"),
    ],
)
def test_options_that_are_not_supported(tmp_path, pooling, options, message):
    declare(tmp_path, pooling, **options)
    declare_prompt(tmp_path, "query: ")
    with pytest.raises(ValueError, match=message):
        declared(tmp_path)


@pytest.mark.parametrize("path", ["../other", "/etc", "1/../../x"])
def test_modules_outside_the_folder(tmp_path, path):
    declare(tmp_path, MEAN)
    listed = json.loads((tmp_path / "modules.json").read_text())
    listed[1]["path"] = path
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(ValueError, match="modules inside the folder, got"):
        declared(tmp_path)


def test_a_folder_says_so_by_its_modules(tmp_path):
    folder = tmp_path / "all-MiniLM-L6-v2"
    folder.mkdir()
    assert not is_sentence_encoder(folder)
    declare(folder, MEAN)
    assert is_sentence_encoder(folder)
    assert is_sentence_encoder(str(folder))


SENTENCE_ENCODERS = [
    "sentence-transformers/all-MiniLM-L6-v2",
    "sentence-transformers/anything",
    "all-mpnet-base-v2",
    "all-distilroberta-v1",
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
    "intfloat/e5-small-v2",
    "intfloat/multilingual-e5-large",
    "BAAI/bge-m3",
    "BAAI/bge-small-en-v1.5",
    "thenlper/gte-base",
    "Alibaba-NLP/gte-modernbert-base",
    "nomic-ai/nomic-embed-text-v1",
    "jinaai/jina-embeddings-v2-small-en",
    "mixedbread-ai/mxbai-embed-large-v1",
    "Snowflake/snowflake-arctic-embed-m",
    "princeton-nlp/sup-simcse-bert-base-uncased",
    "multi-qa-MiniLM-L6-cos-v1",
    "Qwen/Qwen3-Embedding-0.6B",
    "hkunlp/instructor-base",
]
OTHERS = [
    "google-bert/bert-base-uncased",
    "FacebookAI/roberta-base",
    "microsoft/deberta-v3-base",
    "answerdotai/ModernBERT-base",
    "distilbert-base-uncased",
    "BAAI/bge-reranker-base",
    "cross-encoder/ms-marco-MiniLM-L6-v2",
    "Alibaba-NLP/gte-reranker-modernbert-base",
    "nreimers/MiniLM-L6-H384-uncased",
    "microsoft/MiniLM-L12-H384-uncased",
    "google/electra-small-discriminator",
    "allenai/scibert",
    "albert/albert-base-v2",
    "google-t5/t5-base",
]


@pytest.mark.parametrize(("name", "expected"), [(n, True) for n in SENTENCE_ENCODERS] + [(n, False) for n in OTHERS])
def test_names_on_the_hub(name, expected):
    assert is_sentence_encoder(name) is expected

"""A tokenizer that is not the model's, and a length that the model has no positions for, are refused."""

import doctest

import pytest
import transformers
from tiny_sentence_encoders import TEXTS, save_tiny_encoder
from transformers import (
    AlbertConfig,
    AutoConfig,
    AutoTokenizer,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    GPT2Config,
    ModernBertConfig,
    MPNetConfig,
    RobertaConfig,
    T5Config,
    XLMRobertaConfig,
    XLNetConfig,
)

from small_text_comal.encoder.sentence import tokenizer_check
from small_text_comal.encoder.sentence.tokenizer_check import checked_max_length, checked_tokenizer, position_limit
from small_text_comal.encoder.sentence_encoder import SentenceEncoder

TRANSFORMERS_5 = int(transformers.__version__.split(".")[0]) >= 5
WITHOUT_TOKENIZER = [
    AlbertConfig, BertConfig, DebertaV2Config, DistilBertConfig, ElectraConfig, GPT2Config, ModernBertConfig,
    MPNetConfig, RobertaConfig, XLMRobertaConfig,
]  # fmt: skip


def test_docstring_examples():
    assert doctest.testmod(tokenizer_check).failed == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def test_a_small_vocabulary_of_a_small_model_passes(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert len(tokenizer) == 25
    assert checked_tokenizer(folder, tokenizer, TEXTS) is tokenizer
    assert checked_tokenizer(str(folder), tokenizer, []) is tokenizer


@pytest.mark.parametrize(("words", "passes"), [(49, True), (50, True), (51, False), (30522, False)])
def test_half_the_models_vocabulary_is_enough(folder, words, passes):
    tokenizer, config = AutoTokenizer.from_pretrained(folder), BertConfig(vocab_size=words)
    if passes:
        assert checked_tokenizer(folder, tokenizer, TEXTS, config=config) is tokenizer
    else:
        with pytest.raises(ValueError, match=f"the model's vocabulary of {words}, got one of 25 words"):
            checked_tokenizer(folder, tokenizer, config=config)


@pytest.mark.skipif(not TRANSFORMERS_5, reason="transformers 4 refuses a folder without tokenizer by itself")
def test_the_tokenizer_that_transformers_invents_is_refused_and_the_missing_file_named(tmp_path):
    BertConfig().save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == 5
    with pytest.raises(
        ValueError, match=r"vocabulary of 30522, got one of 5 words: .* has no tokenizer\.json or vocab\.txt"
    ):
        checked_tokenizer(tmp_path, tokenizer)


@pytest.mark.parametrize("config", WITHOUT_TOKENIZER, ids=lambda config: config.__name__)
def test_no_architecture_gets_by_without_its_tokenizer(tmp_path, config):
    """Whatever the installed transformers does about it: nothing is embedded, and the message names the folder."""
    config().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=rf"tokenizer.*{tmp_path.name}"):
        SentenceEncoder(tmp_path).encode_texts(["a text"])


@pytest.mark.parametrize(
    "texts", [["never seen", "these words"], ["\u200b", "\u200b\u200b"]], ids=["all unknown", "nothing left"]
)
def test_documents_of_which_nothing_is_known(folder, texts):
    with pytest.raises(ValueError, match=r"makes 100% of the first 2 documents unknown.*language or script"):
        checked_tokenizer(folder, AutoTokenizer.from_pretrained(folder), texts)


def test_how_many_unknown_words_are_too_many(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    checked_tokenizer(folder, tokenizer, ["word1 word2 strange", "word3", ""])
    with pytest.raises(ValueError, match="50%"):
        checked_tokenizer(folder, tokenizer, ["word1 strange"])
    checked_tokenizer(folder, tokenizer, ["", "  "])


def test_a_tokenizer_that_cannot_run(folder):
    class Broken:
        unk_token_id = 0

        def __len__(self):
            return 25

        def __call__(self, *_, **__):
            raise Exception("WordPiece error: Missing [UNK] token from the vocabulary")

    with pytest.raises(ValueError, match=r"cannot read the documents \(WordPiece error.*files missing"):
        checked_tokenizer(folder, Broken(), ["a"])


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        (BertConfig(), 512),
        (DistilBertConfig(max_position_embeddings=40), 40),
        (RobertaConfig(max_position_embeddings=514), 512),
        (XLMRobertaConfig(max_position_embeddings=514), 512),
        (MPNetConfig(max_position_embeddings=514), 512),
        (ModernBertConfig(), 8192),
        (DebertaV2Config(), 512),
        (DebertaV2Config(position_biased_input=False, relative_attention=True), None),
        (T5Config(), None),
        (XLNetConfig(), None),
    ],
    ids=lambda value: getattr(value, "model_type", None),
)
def test_positions(config, limit):
    assert position_limit(config) == limit
    longest = limit or 100_000
    assert checked_max_length(longest, config) == longest
    if limit is not None:
        with pytest.raises(ValueError, match=f"at most {limit}, .*{config.model_type}.*got {limit + 1}"):
            checked_max_length(limit + 1, config)


@pytest.mark.parametrize("config", ["bert", "roberta", "mpnet", "distilbert", "electra", "deberta-v2"])
def test_the_limit_is_where_the_model_itself_breaks(config):
    """The oracle is the model: the longest document runs, one more token does not."""
    import torch
    from tiny_encoders import tiny_model

    model = tiny_model(config)
    limit = position_limit(model.config)
    model(input_ids=torch.full((1, limit), 11))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, limit + 1), 11))


@pytest.mark.parametrize("value", [2, 0, -5, 3.5, True, "64", None])
def test_no_length(value):
    with pytest.raises(ValueError, match="max_length: expected an integer >= 3, got"):
        checked_max_length(value, AutoConfig.for_model("bert"))

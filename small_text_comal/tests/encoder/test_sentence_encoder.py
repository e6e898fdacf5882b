"""Texts and tokenised documents become the unit vectors that an oracle computes one by one, and only once."""

import doctest
import json
import pickle
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_encoders import tiny_model, token_rows
from tiny_sentence_encoders import (
    HIDDEN,
    POSITIONS,
    TEXTS,
    declare,
    declare_prompt,
    hidden_states,
    save_random_model,
    save_tiny_encoder,
    tokenised_rows,
    unit,
)
from transformers import AutoModel, RobertaConfig, RobertaModel

from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder import sentence_encoder
from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.sentence import model as sentence_model
from small_text_comal.encoder.sentence import model_files, pooling
from small_text_comal.encoder.sentence.vector_cache import VectorCache
from small_text_comal.encoder.sentence_encoder import SentenceEncoder

EXACT = {"atol": 1e-6, "rtol": 0}


def weighted(states):
    weights = np.arange(1, len(states) + 1)
    return sum(w * row for w, row in zip(weights, states, strict=True)) / weights.sum()


ORACLES = {
    "cls": lambda states: states[0],
    "max": lambda states: np.array([max(column) for column in states.T]),
    "mean": lambda states: sum(states) / len(states),
    "mean_sqrt_len_tokens": lambda states: sum(states) / np.sqrt(len(states)),
    "weightedmean": weighted,
    "lasttoken": lambda states: states[len(states) - 1],
}
FLAGS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A folder that declares nothing; tests must not change it."""
    return save_tiny_encoder(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def folder(plain, tmp_path):
    """A copy of `plain` that tests may change."""
    return shutil.copytree(plain, tmp_path / "encoder")


@pytest.fixture
def calls(monkeypatch):
    """Sizes (b, longest) of the batches that models compute from now on."""
    sizes = []
    original = sentence_model.pooled
    monkeypatch.setattr(sentence_model, "pooled", lambda h, m, p: sizes.append(tuple(m.shape)) or original(h, m, p))
    return sizes


@pytest.mark.parametrize("module", [pooling, sentence_encoder])
def test_docstring_examples(module):
    assert doctest.testmod(module).failed == 0


def expected_vectors(folder, texts, name="mean", **options):
    return np.array([unit(ORACLES[name](states)) for states in hidden_states(folder, texts, **options)])


@pytest.mark.parametrize("name", ORACLES)
def test_every_declared_pooling(folder, name):
    declare(folder, {"word_embedding_dimension": HIDDEN, **{flag: flag == FLAGS[name] for flag in FLAGS.values()}})
    vectors = SentenceEncoder(folder).encode_texts(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected_vectors(folder, TEXTS, name), **EXACT)


@pytest.mark.parametrize("name", ORACLES)
def test_every_pooling_by_option_and_in_the_newer_spelling(plain, folder, name):
    declare(folder, {"embedding_dimension": HIDDEN, "pooling_mode": name})
    expected = expected_vectors(plain, TEXTS, name)
    np.testing.assert_allclose(SentenceEncoder(folder).encode_texts(TEXTS), expected, **EXACT)
    np.testing.assert_allclose(SentenceEncoder(plain, pooling=name).encode_texts(TEXTS), expected, **EXACT)


def test_several_poolings_side_by_side(folder):
    declare(folder, {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True})
    states = hidden_states(folder, TEXTS)
    expected = [unit(np.concatenate([ORACLES["cls"](s), ORACLES["mean"](s)])) for s in states]
    encoder = SentenceEncoder(folder)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), expected, **EXACT)
    assert encoder.encode_texts([]).shape == (0, 2 * HIDDEN)


def test_pooling_ignores_padding_on_both_sides_and_a_document_without_tokens_is_zero():
    hidden = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[0, 0, 1, 1, 1, 0], [0] * 6])
    for name, oracle in ORACLES.items():
        vectors = pooling.pooled(hidden, mask, [name]).numpy()
        np.testing.assert_allclose(vectors[0], oracle(hidden[0, 2:5].numpy()), atol=1e-6)
        assert (vectors[1] == 0).all()


def test_scaling_to_length_one_keeps_zero_and_stays_in_range():
    vectors = np.array([[0, 0], [3e30, 4e30], [3e-38, 4e-38], [-5, 0]], dtype=np.float32)
    np.testing.assert_allclose(pooling.unit_length(vectors), [[0, 0], [0.6, 0.8], [0.6, 0.8], [-1, 0]], atol=1e-6)


def test_tokens_give_the_vectors_of_the_texts_they_came_from(plain):
    encoder = SentenceEncoder(plain)
    documents = Documents(tokenised_rows(plain, TEXTS))
    np.testing.assert_allclose(encoder.encode_documents(documents), encoder.encode_texts(TEXTS), **EXACT)


def test_left_padded_tokens(plain):
    """Positions of a left-padded document are the caller's; the oracle is the model on the same row."""
    ids, mask, _ = token_rows([4], padded_to=7, pad_left=True)[0]
    ids[mask == 0] = 0
    ids %= 20
    with torch.no_grad():
        states = AutoModel.from_pretrained(plain).eval()(input_ids=ids, attention_mask=mask).last_hidden_state[0, 3:]
    vector = SentenceEncoder(plain).encode_documents(Documents([(ids, mask)]))[0]
    np.testing.assert_allclose(vector, unit(states.numpy().mean(axis=0)), **EXACT)


def test_roberta_counts_positions_behind_its_own_padding_id(tmp_path):
    folder = save_tiny_encoder(tmp_path / "encoder")
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = RobertaConfig(vocab_size=25, max_position_embeddings=14, initializer_range=0.2, **sizes)
    save_random_model(RobertaModel, config, folder)
    model = AutoModel.from_pretrained(folder).eval()
    rows = [(torch.randint(3, 25, (1, n), generator=torch.Generator().manual_seed(n)), n) for n in (12, 3, 7)]
    padded = [
        (torch.nn.functional.pad(ids, (0, 12 - n), value=1), (torch.arange(12) < n)[None].long()) for ids, n in rows
    ]
    with torch.no_grad():
        expected = [unit(model(input_ids=ids).last_hidden_state[0].numpy().mean(axis=0)) for ids, _ in rows]
    vectors = SentenceEncoder(folder).encode_documents(Documents(padded))
    np.testing.assert_allclose(vectors, expected, **EXACT)
    with pytest.raises(ValueError, match=r"at most the 12 tokens.*got one of 13: tokenise with max_length=12"):
        SentenceEncoder(folder).encode_documents(Documents(token_rows([13])))


def test_a_text_is_cut_at_the_declared_length_or_the_given_one(folder):
    declare(folder, {"pooling_mode_mean_tokens": True}, max_length=6)
    for encoder, length in [(SentenceEncoder(folder), 6), (SentenceEncoder(folder, max_length=9), 9)]:
        expected = expected_vectors(folder, TEXTS, max_length=length)
        np.testing.assert_allclose(encoder.encode_texts(TEXTS), expected, **EXACT)


def test_a_declared_length_beyond_the_positions_is_lowered_and_a_given_one_refused(folder, monkeypatch):
    declare(folder, {"pooling_mode_mean_tokens": True}, max_length=500)
    np.testing.assert_allclose(SentenceEncoder(folder).encode_texts(TEXTS), expected_vectors(folder, TEXTS), **EXACT)
    monkeypatch.setattr(model_files, "_loaded", None)  # refused before any weights are loaded
    with pytest.raises(ValueError, match=f"max_length: expected at most {POSITIONS}.*got 25"):
        SentenceEncoder(folder, max_length=25).encode_texts(["word1"])


def test_declared_lower_case(tmp_path):
    folder = save_tiny_encoder(tmp_path / "encoder", lower_case=False)
    upper, lower = SentenceEncoder(folder).encode_texts(["WORD1", "word1"])
    assert np.abs(upper - lower).max() > 1e-3
    declare(folder, {"pooling_mode_mean_tokens": True}, do_lower_case=True)
    np.testing.assert_allclose(SentenceEncoder(folder).encode_texts(["WORD1"])[0], lower, **EXACT)


def test_a_declared_prompt_begins_every_text_and_cannot_be_put_before_tokens(folder):
    declare(folder, {"pooling_mode_mean_tokens": True})
    declare_prompt(folder, "word9 ")
    encoder = SentenceEncoder(folder)
    expected = expected_vectors(folder, ["word9 word1", "word9 word2"])
    np.testing.assert_allclose(encoder.encode_texts(["word1", "word2"]), expected, **EXACT)
    with pytest.raises(ValueError, match=r"begins every text with 'word9 '.*give texts"):
        encoder.encode_documents(Documents(tokenised_rows(folder, ["word1"])))


def test_a_transformer_in_a_subfolder(plain, tmp_path):
    folder = tmp_path / "encoder"
    shutil.copytree(plain, folder / "0_Transformer")
    declare(folder, {"pooling_mode_mean_tokens": True})
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    np.testing.assert_allclose(SentenceEncoder(folder).encode_texts(TEXTS), expected_vectors(plain, TEXTS), **EXACT)


def test_small_texts_arguments(plain, tmp_path):
    arguments = SimpleNamespace(model=str(plain), tokenizer=str(plain), config=str(plain))
    expected = SentenceEncoder(str(plain)).encode_texts(TEXTS)
    assert np.array_equal(SentenceEncoder(arguments).encode_texts(TEXTS), expected)
    arguments.model_kwargs = {"revision": "abc"}
    with pytest.raises(ValueError, match=r"model_kwargs: expected none .*got {'revision': 'abc'}"):
        SentenceEncoder(arguments).encode_texts(TEXTS)


def test_empty_input_one_document_and_duplicates(plain, calls):
    encoder = SentenceEncoder(plain)
    for none in (encoder.encode_texts([]), encoder.encode_documents(Documents([])), encoder.encode_names([])):
        assert none.shape == (0, HIDDEN)
        assert none.dtype == np.float32
    one = encoder.encode_texts(["word1 word2"])
    assert one.shape == (1, HIDDEN)
    assert calls == [(1, 4)]
    many = encoder.encode_texts(["word3", "word1 word2", "word3", "word3"])
    assert calls == [(1, 4), (1, 3)]
    assert np.array_equal(many[1], one[0])
    assert np.array_equal(many[0], many[2])


def test_a_text_without_any_token_is_zero():
    assert sentence_model._row([])[1].tolist() == [[0]]
    documents = Documents([sentence_model._row([]), sentence_model._row([7, 8])])
    assert documents.lengths.tolist() == [1, 2]


def test_label_names_are_read_as_words(plain):
    encoder = SentenceEncoder(plain)
    expected = encoder.encode_texts(["word1 word2", "word3"])
    assert np.array_equal(encoder.encode_names(["word1_word2", "word3"]), expected)
    with pytest.raises(ValueError, match="expected a list of str, got one str"):
        encoder.encode_names("word1")


def test_batches_are_of_similar_length_and_trimmed(plain, calls):
    SentenceEncoder(plain, batch_size=1, max_length=8).encode_texts(
        ["word1 word2 word3 word4", *["word1"] * 3, "word2"]
    )
    assert calls == [(1, 6), (2, 3)]


def test_the_order_of_the_documents_changes_no_bit(plain, monkeypatch):
    texts = [f"word{i} word{j}" for i in range(20) for j in range(i % 3 + 1)]
    batches, original = [], sentence_model.pooled
    monkeypatch.setattr(
        sentence_model, "pooled", lambda h, m, p: batches.append(h.numpy().tobytes()) or original(h, m, p)
    )
    first = SentenceEncoder(plain, batch_size=2).encode_texts(texts)
    again = SentenceEncoder(plain, batch_size=2).encode_texts(texts[::-1])[::-1]
    assert np.array_equal(first, again)
    assert batches[: len(batches) // 2] == batches[len(batches) // 2 :]


def test_a_vector_does_not_depend_on_the_other_documents(plain):
    alone = np.concatenate([SentenceEncoder(plain).encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(SentenceEncoder(plain).encode_texts(TEXTS), alone, **EXACT)


def test_what_is_known_is_not_computed_again_even_by_a_new_encoder(plain, calls, tmp_path):
    cache = VectorCache(FeatureCacheArguments(dtype="float32", folder=tmp_path))
    documents = Documents(tokenised_rows(plain, TEXTS))
    first = SentenceEncoder(plain, cache=cache)
    vectors, from_tokens = first.encode_texts(TEXTS), first.encode_documents(documents)
    del calls[:]
    later = VectorCache(FeatureCacheArguments(dtype="float32", folder=tmp_path))
    for encoder in (first, SentenceEncoder(plain, cache=cache), SentenceEncoder(plain, cache=later)):
        assert np.array_equal(encoder.encode_texts(TEXTS[::-1])[::-1], vectors)
        assert np.array_equal(encoder.encode_documents(documents), from_tokens)
    assert calls == []


def test_without_a_cache_everything_is_computed_again(plain, calls):
    encoder = SentenceEncoder(plain, cache=VectorCache(FeatureCacheArguments(enabled=False)))
    assert np.array_equal(encoder.encode_texts(TEXTS), encoder.encode_texts(TEXTS))
    assert len(calls) == 2


def test_equal_encoders_share_one_model_and_changed_files_do_not(folder, monkeypatch):
    cache = VectorCache()
    first = SentenceEncoder(folder, cache=cache)
    before = first.encode_texts(TEXTS)
    second = SentenceEncoder(folder, pooling="cls", max_length=9, cache=cache)
    second.encode_texts(TEXTS)
    assert second._embedder._loaded.model is first._embedder._loaded.model
    save_tiny_encoder(folder, seed=1)
    after = SentenceEncoder(folder, cache=cache).encode_texts(TEXTS)
    np.testing.assert_allclose(after, expected_vectors(folder, TEXTS), **EXACT)
    assert np.abs(after - before).max() > 0.1
    assert np.array_equal(first.encode_texts(TEXTS), before)
    model_files.forget_models()
    assert SentenceEncoder(folder)._embedder._loaded.model is not second._embedder._loaded.model


def test_options_that_change_vectors_have_vectors_of_their_own(plain):
    cache, documents = VectorCache(), Documents(tokenised_rows(plain, TEXTS))
    for options in ({}, {"pooling": "cls"}, {"max_length": 4}):
        shared, alone = SentenceEncoder(plain, cache=cache, **options), SentenceEncoder(plain, **options)
        assert np.array_equal(shared.encode_texts(TEXTS), alone.encode_texts(TEXTS))
        # max_length cuts texts, not tokens: the third shares the vectors of the first, which came in other batches
        np.testing.assert_allclose(shared.encode_documents(documents), alone.encode_documents(documents), **EXACT)


def test_declarations_that_change_vectors_have_fingerprints_of_their_own(folder):
    fingerprints = {SentenceEncoder(folder)._embedder.text_fingerprint}
    declare(folder, {"pooling_mode_mean_tokens": True}, do_lower_case=True)
    fingerprints.add(SentenceEncoder(folder)._embedder.text_fingerprint)
    for prompt in ("a ", "b "):
        declare_prompt(folder, prompt)
        fingerprints.add(SentenceEncoder(folder)._embedder.text_fingerprint)
    assert len(fingerprints) == 4


def test_the_vocabulary_belongs_to_the_fingerprint_of_texts_and_not_of_tokens(plain, folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["word1"], vocabulary["word2"] = vocabulary["word2"], vocabulary["word1"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    first, second = SentenceEncoder(plain)._embedder, SentenceEncoder(folder)._embedder
    assert first.token_fingerprint == second.token_fingerprint
    assert first.text_fingerprint != second.text_fingerprint


def test_fingerprints_are_those_of_another_load_and_calls_do_not_change_them(plain):
    encoder = SentenceEncoder(plain)
    before = encoder._embedder.text_fingerprint, encoder._embedder.token_fingerprint
    encoder.encode_texts(TEXTS)
    model_files.forget_models()
    again = SentenceEncoder(plain)._embedder
    assert (again.text_fingerprint, again.token_fingerprint) == before


def test_a_checkpoint_without_pooler_loads_draws_nothing_and_has_one_fingerprint(plain, folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if "pooler" not in name}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    state = torch.random.get_rng_state()
    assert SentenceEncoder(folder)._embedder.text_fingerprint == SentenceEncoder(plain)._embedder.text_fingerprint
    assert torch.equal(torch.random.get_rng_state(), state)
    del kept["encoder.layer.1.output.dense.weight"]
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"expected all weights.*layer\.1\.output\.dense\.weight"):
        SentenceEncoder(folder).encode_texts(["word1"])


def test_ids_outside_the_vocabulary(plain):
    rows = [*tokenised_rows(plain, ["word1"]), (torch.tensor([[2, 25, 3]]), torch.ones(1, 3, dtype=torch.long))]
    with pytest.raises(ValueError, match=r"ids from 0 to 24, .*got 2 to 25 in document.*tokenised for another model"):
        SentenceEncoder(plain).encode_documents(Documents(rows))


def test_weights_that_are_not_finite(folder):
    model = AutoModel.from_pretrained(folder)
    with torch.no_grad():
        model.encoder.layer[0].output.dense.weight.fill_(float("nan"))
    model.save_pretrained(folder)
    with pytest.raises(ValueError, match="computes NaN or infinity"):
        SentenceEncoder(folder).encode_texts(TEXTS)


def test_a_folder_without_tokenizer_is_refused_before_any_document(folder):
    save_tiny_encoder(folder, vocabulary=100)
    with pytest.raises(ValueError, match="expected a tokenizer for the model's vocabulary of 100, got one of 25"):
        SentenceEncoder(folder).encode_texts(["word1"])


def test_documents_that_the_tokenizer_does_not_know(plain):
    strange = [f"strange{i} unheard{i}" for i in range(20)]
    with pytest.raises(ValueError, match="makes 100% of the first 16 documents unknown"):
        SentenceEncoder(plain).encode_texts(strange)
    assert SentenceEncoder(plain).encode_texts(strange[:2]).shape == (2, HIDDEN)  # two odd documents are no sign


def test_pickling_drops_weights_and_vectors(plain):
    encoder = SentenceEncoder(plain, max_length=9)
    vectors = encoder.encode_texts(TEXTS)
    content = pickle.dumps(encoder)
    assert len(content) < 2000
    loaded = pickle.loads(content)
    assert np.array_equal(loaded.encode_texts(TEXTS), vectors)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": 5}, r"encoder: expected a model's name or folder.*got int"),
        ({"encoder": tiny_model("bert")}, r"got the module BertFor.*encode"),
        ({"pooling": "best"}, r"pooling: expected None or one of cls.*got 'best'"),
        ({"batch_size": 0}, r"batch_size: expected an integer >= 1 or None, got 0"),
        ({"name": "mine"}, r"name: expected None where the encoder is a model"),
        ({"encoder": len, "max_length": 5}, r"pooling, max_length: expected None where the encoder is a callable"),
    ],
)
def test_options_without_meaning(options, message):
    with pytest.raises(ValueError, match=message):
        SentenceEncoder(**{"encoder": "a name", **options})


def test_a_name_that_cannot_be_looked_up(monkeypatch, tmp_path):
    monkeypatch.setattr(model_files, "hf_hub_download", _offline)
    with pytest.raises(ValueError, match=r"'nobody/nothing'.*pooling is unknown. Connect once"):
        SentenceEncoder("nobody/nothing").encode_texts(["a"])


def _offline(*_, **__):
    raise model_files.LocalEntryNotFoundError("offline")


@pytest.mark.parametrize("progress", [False, True])
def test_the_progress_bar_counts_the_documents_that_are_computed(plain, monkeypatch, progress):
    bars, original = [], sentence_encoder.tqdm

    def bar(**options):
        bars.append((original(**{**options, "disable": True}), options))
        return bars[-1][0]

    monkeypatch.setattr(sentence_encoder, "tqdm", bar)
    encoder = SentenceEncoder(plain, progress=progress)
    encoder.encode_texts(["word1", "word1", "word2"])
    encoder.encode_texts(["word1"])
    assert [(options["total"], options["disable"]) for _, options in bars] == [(2, None if progress else True)]

"""Feature vectors through every shortcut, against the whole model on one document at a time."""

import doctest
import itertools
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from tiny_encoders import (
    ARCHITECTURES,
    DEPTH,
    EXACT,
    FIRST_TOKEN_HEADS,
    LABELS,
    ROWS,
    count_calls,
    logits_one_by_one,
    small_cache,
    streamed_logits,
    tiny_model,
    token_rows,
)

from small_text_comal.encoder import document_encoder as encoder_module
from small_text_comal.encoder.document_encoder import DocumentEncoder
from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen.precision import Precision


def layer(encoder, model, i):
    return model.get_submodule(encoder.layered.stack.layers)[i]


def test_docstring_examples():
    assert doctest.testmod(encoder_module).failed == 0


@pytest.mark.parametrize("with_cache", [False, True])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_fastest_route_is_chosen_and_right(name, with_cache):
    model = tiny_model(name)
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache() if with_cache else None)
    torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS), **EXACT)
    assert encoder.route.prefix is not None
    if name in FIRST_TOKEN_HEADS:
        widths = []
        hook = layer(encoder, model, DEPTH - 1).intermediate
        hook.register_forward_hook(lambda _, inputs, __: widths.append(inputs[0].shape[1]))
        streamed_logits(encoder, ROWS)
        assert set(widths) == {1}


@pytest.mark.parametrize(("name", "frozen"), [("bert", 0), ("bert", DEPTH), ("roberta", 0), ("modernbert", DEPTH)])
def test_the_ends_of_the_depth(name, frozen):
    model = tiny_model(name)
    encoder = DocumentEncoder(model, LABELS, frozen_layers=frozen, cache=small_cache())
    torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS), **EXACT)
    assert (encoder.route.prefix is None) == (frozen == 0)
    assert len(encoder.frozen_output.cache or []) == (0 if frozen == 0 else len(ROWS))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 0.02), ("bfloat16", 0.2)])
def test_16_bit_storage_is_near(dtype, tolerance):
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache(dtype))
    logits, expected = streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS)
    assert 0 < float((logits - expected).abs().max()) < tolerance


@pytest.mark.parametrize("pad_left", [False, True])
def test_padding_on_either_side(pad_left):
    rows = token_rows([9, 3, 12, 6], padded_to=15, pad_left=pad_left)
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=1, cache=small_cache())
    torch.testing.assert_close(streamed_logits(encoder, rows), logits_one_by_one(model, rows), **EXACT)


def test_mixed_padding_in_one_dataset():
    rows = token_rows([5, 7], padded_to=9, pad_left=True) + token_rows([9, 2], padded_to=11, seed=1)
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=1, cache=small_cache())
    torch.testing.assert_close(streamed_logits(encoder, rows), logits_one_by_one(model, rows), **EXACT)


def test_no_documents_and_one_document():
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache())
    assert list(encoder.stream(Documents([]), 4)) == []
    torch.testing.assert_close(streamed_logits(encoder, ROWS[:1]), logits_one_by_one(model, ROWS[:1]), **EXACT)
    torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS), **EXACT)


def test_batches_are_trimmed_to_their_longest_document():
    encoder = DocumentEncoder(tiny_model("bert"), LABELS, frozen_layers=0)
    documents = Documents(ROWS)
    sizes = []
    encoder.prepare(documents, 2)
    encoder.layered.plain.bert.embeddings.register_forward_hook(lambda *a: sizes.append(tuple(a[2].shape[:2])))
    list(encoder.stream(documents, 2))
    assert [width for _, width in sizes] == sorted((width for _, width in sizes), reverse=True)
    assert sum(batch * width for batch, width in sizes) < len(ROWS) * 12
    assert all(batch * width <= 2 * 15 for batch, width in sizes)


def test_frozen_layers_run_once_for_each_document():
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache())
    first = streamed_logits(encoder, ROWS)
    frozen, trainable = count_calls(layer(encoder, model, 0)), count_calls(layer(encoder, model, DEPTH - 1).output)
    assert torch.equal(streamed_logits(encoder, ROWS), first)
    assert not frozen
    assert trainable


def test_duplicated_documents_are_cached_once():
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache())
    rows = [ROWS[0], ROWS[1], ROWS[0], ROWS[0]]
    torch.testing.assert_close(streamed_logits(encoder, rows), logits_one_by_one(model, rows), **EXACT)
    assert len(encoder.frozen_output.cache) == 2


def test_one_cache_serves_the_next_classifier_of_the_same_frozen_layers():
    shared = small_cache()
    model = tiny_model("bert")
    streamed_logits(DocumentEncoder(model, LABELS, frozen_layers=2, cache=shared), ROWS)
    trained = tiny_model("bert")
    with torch.no_grad():
        for parameter in trained.bert.encoder.layer[2].parameters():
            parameter.mul_(1.5)
        trained.classifier.weight.neg_()
    encoder = DocumentEncoder(trained, LABELS, frozen_layers=2, cache=shared)
    frozen = count_calls(trained.bert.encoder.layer[0].attention.output.dense)
    encoder.prepare(Documents(ROWS), 4)
    logits = streamed_logits(encoder, ROWS)
    assert len(frozen) <= 6  # only the comparison of the routes, on four documents at once or one
    torch.testing.assert_close(logits, logits_one_by_one(trained, ROWS), **EXACT)


@pytest.mark.parametrize("change", ["a frozen weight", "the depth", "an option that the frozen layers use"])
def test_a_cache_never_serves_other_frozen_layers(change):
    shared = small_cache()
    streamed_logits(DocumentEncoder(tiny_model("bert"), LABELS, frozen_layers=2, cache=shared), ROWS)
    other = tiny_model("bert", hidden_act="relu") if change.startswith("an option") else tiny_model("bert")
    if change == "a frozen weight":
        with torch.no_grad():
            other.bert.encoder.layer[1].output.dense.bias[3] += 0.5
    depth = 1 if change == "the depth" else 2
    encoder = DocumentEncoder(other, LABELS, frozen_layers=depth, cache=shared)
    torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(other, ROWS), **EXACT)


def test_training_mode_drops_out_in_the_trainable_layers_only():
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2)
    documents, rows = Documents(ROWS), np.arange(len(ROWS))
    encoder.prepare(documents, 4)
    model.train()  # whatever mode the model was left in
    encoder.set_training(True)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        below = [encoder.frozen_output.states(encoder.route.prefix, documents, rows) for _ in range(2)]
        assert torch.equal(*below)
        assert not torch.equal(encoder.features(documents, rows), encoder.features(documents, rows))
    encoder.set_training(False)
    with torch.no_grad():
        assert torch.equal(encoder.features(documents, rows), encoder.features(documents, rows))


@pytest.mark.parametrize("frozen_layers", [0, 2])
def test_dropout_modules_are_those_of_the_trainable_part(frozen_layers):
    model = tiny_model("bert")
    found = set(DocumentEncoder(model, LABELS, frozen_layers=frozen_layers, cache=small_cache()).dropout_modules())
    frozen = {m for part in [model.bert.embeddings, *model.bert.encoder.layer[:frozen_layers]] for m in part.modules()}
    everywhere = {m for m in model.modules() if isinstance(m, torch.nn.Dropout)}
    assert found == (everywhere - frozen if frozen_layers else everywhere)
    assert model.dropout in found


def test_gradients_reach_trainable_parameters_only():
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache())
    encoder.freeze()
    documents = Documents(ROWS)
    encoder.prepare(documents, 4)
    encoder.head(encoder.features(documents, np.arange(3))).sum().backward()
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None}
    assert "bert.encoder.layer.2.attention.self.query.weight" in with_gradient
    assert "classifier.weight" in with_gradient
    assert not with_gradient & set(encoder.layered.frozen_weights)


@pytest.mark.parametrize("name", ["bert", "convbert"])
def test_before_prepare_the_whole_model_runs_on_what_the_dataset_holds(name):
    model = tiny_model(name)
    encoder = DocumentEncoder(model, LABELS, cache=small_cache())
    with torch.no_grad():
        logits = encoder.logits(encoder.features(Documents(ROWS), np.arange(3)))
        expected = model(*(torch.cat(part) for part in zip(*[row[:2] for row in ROWS[:3]], strict=True))).logits
    torch.testing.assert_close(logits, expected, **EXACT)


def test_a_stream_leaves_the_callers_mode_alone():
    encoder = DocumentEncoder(tiny_model("bert"), LABELS, frozen_layers=2, cache=small_cache())
    stream = encoder.stream(Documents(ROWS), 2)
    batch = next(stream)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    encoder.head(batch.features).sum().backward()  # a tensor that autograd can use
    next(stream)


def write_a_frozen_weight(model):
    with torch.no_grad():
        model.bert.encoder.layer[1].output.dense.weight.mul_(2)


def load_weights(model):
    model.load_state_dict({name: 1.5 * value for name, value in model.state_dict().items()})


@pytest.mark.parametrize("change", [write_a_frozen_weight, load_weights], ids=lambda change: change.__name__)
def test_frozen_weights_that_someone_changes_are_noticed(change):
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache())
    before = streamed_logits(encoder, ROWS)
    change(model)
    after = streamed_logits(encoder, ROWS)
    assert float((after - before).abs().max()) > 0.01
    torch.testing.assert_close(after, logits_one_by_one(model, ROWS), **EXACT)


def test_models_that_take_turns_with_one_cache_keep_their_own_numbers():
    shared, documents, rows = small_cache(), Documents(ROWS), np.arange(len(ROWS))
    models = [tiny_model("bert", seed=seed) for seed in (0, 1)]
    encoders = [DocumentEncoder(model, LABELS, frozen_layers=2, cache=shared) for model in models]
    encoders[0].prepare(documents, 4)
    streamed_logits(encoders[1], ROWS[:3])  # as when it predicts between two batches of the first one's training
    logits = encoders[0].logits(encoders[0].features(documents, rows)).detach()
    torch.testing.assert_close(logits, logits_one_by_one(models[0], ROWS), **EXACT)
    torch.testing.assert_close(streamed_logits(encoders[1], ROWS), logits_one_by_one(models[1], ROWS), **EXACT)


def test_mixed_precision_and_full_precision_do_not_share_states():
    model, shared = tiny_model("bert"), small_cache()
    mixed = Precision("cpu", torch.bfloat16, enabled=True)
    streamed_logits(DocumentEncoder(model, LABELS, frozen_layers=2, cache=shared, precision=mixed), ROWS)
    exact = DocumentEncoder(model, LABELS, frozen_layers=2, cache=shared)
    torch.testing.assert_close(streamed_logits(exact, ROWS), logits_one_by_one(model, ROWS), **EXACT)


@pytest.mark.parametrize("frozen", [0, 2])
def test_a_model_in_16_bits_takes_the_shortcuts_and_gives_float32_logits(frozen):
    model = tiny_model("bert").to(torch.bfloat16)
    encoder = DocumentEncoder(model, LABELS, frozen_layers=frozen, cache=small_cache())
    logits = streamed_logits(encoder, ROWS)
    assert (encoder.route.prefix is None) == (frozen == 0)
    assert encoder.route.trims
    batch = next(encoder.stream(Documents(ROWS), 100))
    assert batch.features.dtype == encoder.logits(batch.features).dtype == torch.float32
    torch.testing.assert_close(logits, logits_one_by_one(model, ROWS).float(), atol=0.1, rtol=0)


@pytest.mark.parametrize("lengths", [[7, 7, 7], [7]])
def test_a_causal_last_layer_stays_whole_where_nothing_is_padded(lengths):
    model = tiny_model("bert", is_decoder=True)
    rows = token_rows(lengths)
    encoder = DocumentEncoder(model, LABELS, frozen_layers=0)
    torch.testing.assert_close(streamed_logits(encoder, rows), logits_one_by_one(model, rows), **EXACT)


class SmallMemory:
    """Hooks a module that has no memory for more than `limit` documents; `sizes` are the batches that came."""

    def __init__(self, module, limit):
        self.limit, self.sizes = limit, []
        module.register_forward_pre_hook(self)

    def __call__(self, module, inputs):
        self.sizes.append(len(inputs[0]))
        if len(inputs[0]) > self.limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory (a test)")


@pytest.mark.parametrize("where", [0, DEPTH - 1])
def test_out_of_memory_below_or_above_the_split_halves_the_batch(where):
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache())
    encoder.prepare(Documents(ROWS[:1]), 1)
    memory = SmallMemory(layer(encoder, model, where).output.dense, limit=2)
    with pytest.warns(UserWarning, match="out of CUDA memory"):
        logits = streamed_logits(encoder, ROWS, batch_size=7)
    assert {size > 2 for size in memory.sizes} == {True, False}
    torch.testing.assert_close(logits, logits_one_by_one(tiny_model("bert"), ROWS), **EXACT)


def beyond_float16(model):
    """Hidden states of some documents, those with token 59, exceed what float16 can hold."""
    with torch.no_grad():
        model.bert.encoder.layer[1].output.LayerNorm.weight[0] = 3e5
    return model


def test_states_beyond_float16_go_on_in_bfloat16():
    model = beyond_float16(tiny_model("bert"))
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache("float16"))
    exact = DocumentEncoder(model, LABELS, frozen_layers=2)
    with pytest.warns(UserWarning, match="exceed float16: the feature cache stores bfloat16 from now on"):
        logits = streamed_logits(encoder, ROWS)
    assert encoder.frozen_output.cache.dtype == torch.bfloat16
    assert len(encoder.frozen_output.cache) == len(ROWS)
    torch.testing.assert_close(logits, streamed_logits(exact, ROWS), atol=0.2, rtol=0)


def test_documents_prepared_before_the_cache_changed_its_type_are_still_served():
    """As when the validation set, which comes later, is the first that float16 cannot hold."""
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache("float16"))
    training, validation = Documents(ROWS), Documents(token_rows([4, 8], seed=5))
    encoder.prepare(training, 4)
    expected = encoder.features(training, np.arange(3)).detach()
    model.bert.encoder.layer[1].register_forward_hook(lambda _, inputs, output: 1e6 * inputs[0])
    with pytest.warns(UserWarning, match="stores bfloat16"):
        encoder.prepare(validation, 4)
    torch.testing.assert_close(encoder.features(training, np.arange(3)).detach(), expected, atol=0.05, rtol=0)


def test_progress_bars_only_on_a_terminal(capfd):
    encoder = DocumentEncoder(tiny_model("bert"), LABELS)
    list(encoder.stream(Documents(ROWS), 4, progress=True))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("name", "frozen"), list(itertools.product(("bert", "distilbert"), (0, 2))))
def test_compiled_layers_give_the_same_numbers(name, frozen, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module, **options: compiled.append(options) or module)
    model = tiny_model(name)
    encoder = DocumentEncoder(model, LABELS, frozen_layers=frozen, cache=small_cache(), compile_model=True)
    torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS), **EXACT)
    assert compiled == [{"dynamic": True}]


class CountedPrecision(Precision):
    """Counts the contexts that are entered."""

    entered: list = []  # noqa: RUF012 (shared on purpose)

    @contextmanager
    def autocast(self):
        self.entered.append(1)
        yield


def test_autocast_surrounds_prefix_and_suffix():
    precision = CountedPrecision()
    encoder = DocumentEncoder(tiny_model("bert"), LABELS, frozen_layers=2, cache=small_cache(), precision=precision)
    encoder.prepare(Documents(ROWS), 100)
    prepared = len(precision.entered)
    assert prepared == 2  # the prefix, and the fingerprint
    streamed_logits(encoder, ROWS, batch_size=100)
    assert len(precision.entered) == prepared + 1


def test_the_route_is_chosen_once_on_the_first_documents(monkeypatch):
    tried, choose = [], encoder_module.choose_route
    monkeypatch.setattr(encoder_module, "choose_route", lambda *a, **k: tried.append(a[1]) or choose(*a, **k))
    encoder = DocumentEncoder(tiny_model("bert"), LABELS, cache=small_cache())
    first = Documents(ROWS)
    for documents in (Documents([]), first, Documents(token_rows([2])), first):
        encoder.prepare(documents, 4)
    assert tried == [first]


def test_making_an_encoder_changes_nothing_and_freezing_is_a_step():
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS)
    assert all(parameter.requires_grad for parameter in model.parameters())
    encoder.freeze()
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == set(encoder.layered.frozen_weights) != set()


def test_before_prepare_frozen_layers_are_in_evaluation_mode():
    model = tiny_model("bert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2)
    encoder.set_training(True)
    modes = [layer.output.dropout.training for layer in model.bert.encoder.layer]
    assert (model.bert.embeddings.dropout.training, modes) == (False, [False, False, True])

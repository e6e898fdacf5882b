"""The choice of a route is a decision and nothing else: which shortcuts hold, on which documents that is tried."""

import pytest
import torch
from tiny_encoders import DEPTH, FIRST_TOKEN_HEADS, LABELS, ROWS, count_calls, tiny_model, token_rows

from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen.layered_model import LayeredModel
from small_text_comal.encoder.frozen.routes import choose_route, whole_model


def chosen(name, frozen, rows=ROWS):
    layered = LayeredModel(tiny_model(name), LABELS, frozen)
    return layered, choose_route(layered, Documents(rows))


def state_of(model):
    modes = [module.training for module in model.modules()]
    parameters = [(name, id(p), p.requires_grad, p._version, p.grad) for name, p in model.named_parameters()]
    return modes, parameters, [id(module) for module in model.modules()]


@pytest.mark.parametrize("frozen", [0, 2, DEPTH])
@pytest.mark.parametrize("name", ["bert", "modernbert", "distilbert"])
def test_choosing_changes_nothing_of_the_model(name, frozen):
    layered = LayeredModel(tiny_model(name), LABELS, frozen)
    before = state_of(layered.model), state_of(layered.plain)
    choose_route(layered, Documents(ROWS))
    assert (state_of(layered.model), state_of(layered.plain)) == before


def test_until_documents_are_tried_the_route_is_the_whole_model():
    layered = LayeredModel(tiny_model("bert"), LABELS, 2)
    assert whole_model(layered) == (None, layered.plain, False)


@pytest.mark.parametrize("name", ["distilbert", *FIRST_TOKEN_HEADS])
def test_without_frozen_layers_there_is_no_prefix(name):
    layered, route = chosen(name, 0)
    assert route.prefix is None
    assert route.trims
    last, whole = (view.get_submodule(layered.stack.layers)[-1] for view in (route.trainable, layered.plain))
    assert (last is whole) == (name == "distilbert")  # has no layer that can be cut down to the first token


@pytest.mark.parametrize(("frozen", "first_token_only"), [(1, False), (2, False), (DEPTH, True)])
def test_the_head_alone_needs_the_first_token_only(frozen, first_token_only):
    _, route = chosen("bert", frozen)
    assert route.prefix.first_token_only == first_token_only


@pytest.mark.parametrize(
    "rows", [token_rows([1], padded_to=4), token_rows([7] * 3), ROWS], ids=["short", "equal", "any"]
)
def test_padding_is_tried_whatever_the_documents_are(rows):
    with pytest.warns(UserWarning, match="depend on how far a document is padded"):
        assert chosen("convbert", 2, rows)[1].trims is False
    assert chosen("bert", 2, rows)[1].trims is True


def test_the_longest_and_the_shortest_document_are_tried():
    layered, seen = LayeredModel(tiny_model("bert"), LABELS, 0), []
    layered.model.bert.embeddings.register_forward_hook(lambda *call: seen.append(tuple(call[2].shape[:2])))
    choose_route(layered, Documents(token_rows(list(range(1, 13)) * 3, padded_to=20)))
    assert seen[0] == (4, 12)
    assert set(seen) == {(4, 12), (1, 1), (1, 20)}


def test_features_that_are_not_finite_give_the_whole_model_without_a_note():
    model = tiny_model("bert")
    with torch.no_grad():
        model.bert.embeddings.LayerNorm.bias.fill_(torch.nan)
    layered = LayeredModel(model, LABELS, 2)
    assert choose_route(layered, Documents(ROWS)) == whole_model(layered)


def test_a_shortcut_is_tried_before_it_is_used():
    """Break the prefix alone: what it gives is not what the whole model gives."""
    layered = LayeredModel(tiny_model("bert"), LABELS, 2)
    calls = count_calls(layered.model.bert.encoder.layer[1])
    layer = layered.model.bert.encoder.layer[1]
    layer.register_forward_hook(lambda _, inputs, output: None if len(calls) <= 4 else output + 1)  # 4: the whole model
    with pytest.warns(UserWarning, match="cannot be computed apart from the rest"):
        assert choose_route(layered, Documents(ROWS)).prefix is None

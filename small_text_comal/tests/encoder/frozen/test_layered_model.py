"""What of a model is frozen, against what moves the output of its frozen layers."""

import doctest
import itertools

import pytest
import torch
from tiny_encoders import (
    ARCHITECTURES,
    DEPTH,
    HIDDEN,
    LABELS,
    ROWS,
    tiny_decoder,
    tiny_model,
    without_layers,
)

from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen import layered_model as layered_model_module
from small_text_comal.encoder.frozen.layer_split import find_layers, split_at
from small_text_comal.encoder.frozen.layered_model import LayeredModel, default_frozen_layers

ids, mask = Documents(ROWS).padded([0, 1, 2, 3], "cpu")
EXTRA_TABLES = {
    "deberta-v2": {"deberta.encoder.rel_embeddings.weight", "deberta.encoder.LayerNorm.weight"},
    "mpnet": {"mpnet.encoder.relative_attention_bias.weight"},
    "electra-narrow": {"electra.embeddings_project.weight", "electra.embeddings_project.bias"},
}


def frozen_names(model):
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def test_docstring_examples():
    assert doctest.testmod(layered_model_module).failed == 0


@pytest.mark.parametrize(("depth", "frozen"), [(12, 9), (6, 4), (3, 2), (2, 1), (1, 0)])
def test_three_quarters_are_frozen(depth, frozen):
    assert default_frozen_layers(depth) == frozen


def test_the_parts_of_a_model():
    model = tiny_model("bert")
    layered = LayeredModel(model, LABELS)
    assert layered.model is model
    assert layered.head is model.classifier
    assert layered.head.in_features == HIDDEN
    assert layered.stack == find_layers(model)
    assert layered.frozen_layers == 2
    assert layered.device == torch.device("cpu")
    assert layered.frozen_modules == [model.bert.embeddings, *model.bert.encoder.layer[:2]]
    assert LayeredModel(model, LABELS, 0).frozen_modules == []


@pytest.mark.parametrize(("pad_token_id", "pad_id"), [(None, 0), (0, 0), (5, 5)])
def test_the_padding_of_the_config(pad_token_id, pad_id):
    assert LayeredModel(tiny_model("bert", pad_token_id=pad_token_id), LABELS).pad_id == pad_id


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_finding_the_parts_changes_nothing(name):
    model = tiny_model(name)
    layered = LayeredModel(model, LABELS, 2)
    assert frozen_names(model) == set()
    assert all(parameter.grad is None for parameter in model.parameters())
    layered.freeze()
    assert frozen_names(model) == set(layered.frozen_weights)
    parameters = dict(model.named_parameters())
    assert all(weight is parameters[key] for key, weight in layered.frozen_weights.items())


@pytest.mark.parametrize(("name", "depth"), list(itertools.product(ARCHITECTURES, (1, DEPTH))))
def test_frozen_is_what_the_frozen_layers_compute_with(name, depth):
    """The oracle: change one parameter after the other, and see whether the prefix's output moves."""
    model = tiny_model(name)
    layered = LayeredModel(model, LABELS, depth)
    frozen, stack = set(layered.frozen_weights), layered.stack
    prefix = split_at(layered.plain, stack, depth).prefix
    moves = set()
    with torch.no_grad():
        before = prefix(ids, mask)
        for key, parameter in model.named_parameters():
            kept = parameter.clone()
            parameter += torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
            if float((prefix(ids, mask) - before).abs().max()) > 1e-3:
                moves.add(key)
            parameter.copy_(kept)
    inside = (f"{stack.embeddings}.", *(f"{stack.layers}.{i}." for i in range(depth)))
    assert moves <= frozen
    assert all(key.startswith(inside) for key in frozen - moves)  # a bias of the keys, say, moves nothing
    assert EXTRA_TABLES.get(name, set()) <= frozen


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_nothing_is_frozen_at_depth_0(name):
    layered = LayeredModel(tiny_model(name), LABELS, 0)
    layered.freeze()
    assert layered.frozen_weights == {}
    assert frozen_names(layered.model) == set()


def test_what_the_user_froze_stays_frozen():
    model = tiny_model("bert")
    model.bert.pooler.dense.weight.requires_grad_(False)
    layered = LayeredModel(model, LABELS, 1)
    layered.freeze()
    assert frozen_names(model) == {*layered.frozen_weights, "bert.pooler.dense.weight"}
    assert "bert.pooler.dense.weight" not in layered.frozen_weights


def test_an_encoder_that_cannot_be_stopped_is_frozen_by_names():
    model = tiny_model("bert")
    model.bert.encoder.forward = without_layers
    layered = LayeredModel(model, LABELS, 1)
    inside = ("bert.embeddings.", "bert.encoder.layer.0.")
    assert list(layered.frozen_weights) == [key for key, _ in model.named_parameters() if key.startswith(inside)]
    assert frozen_names(model) == set()


@pytest.mark.parametrize("frozen", [-1, DEPTH + 1])
def test_a_depth_outside_the_model(frozen):
    with pytest.raises(ValueError, match=rf"frozen_layers: expected a number within \[0, {DEPTH}\] \(layers\), got"):
        LayeredModel(tiny_model("bert"), LABELS, frozen)


def test_an_unknown_architecture_is_trained_as_a_whole_with_a_note():
    with pytest.warns(UserWarning, match="layers of LlamaForSequenceClassification cannot be found: all of"):
        layered = LayeredModel(tiny_decoder(), LABELS)
    layered.freeze()
    assert frozen_names(layered.model) == set()
    assert layered.frozen_layers == LayeredModel(tiny_decoder(), LABELS, 0).frozen_layers == 0


def test_layers_of_an_unknown_architecture_cannot_be_frozen_by_number():
    with pytest.raises(ValueError, match=r"frozen_layers=2: the layers of Llama.* pass frozen_layers=0"):
        LayeredModel(tiny_decoder(), LABELS, 2)

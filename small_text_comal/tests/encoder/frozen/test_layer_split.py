"""Views of tiny random models of every known architecture, against the whole model on one document at a time."""

import copy
import doctest

import pytest
import torch
import transformers
from tiny_encoders import (
    ARCHITECTURES,
    DEPTH,
    FIRST_TOKEN_HEADS,
    HIDDEN,
    LABELS,
    logits_one_by_one,
    tiny_decoder,
    tiny_model,
    token_rows,
    without_layers,
)
from torch import nn

from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen import layer_split
from small_text_comal.encoder.frozen.layer_split import (
    feature_view,
    find_head,
    find_layers,
    first_token_last,
    first_token_view,
    split_at,
    with_modules,
)
from small_text_comal.encoder.frozen.layered_model import LayeredModel

ROWS = token_rows([9, 3, 12, 6], padded_to=15)
ids, mask = Documents(ROWS).padded([0, 1, 2, 3], "cpu")


def views(name):
    model = tiny_model(name)
    return model, feature_view(model, LABELS), find_layers(model)


def head_of(model):
    return find_head(model, LABELS)[1]


def test_docstring_examples():
    assert doctest.testmod(layer_split).failed == 0


def test_a_view_shares_parameters_and_leaves_the_model_alone():
    model = tiny_model("bert")
    before = {name: id(module) for name, module in model.named_modules()}
    view = with_modules(model, {"bert.encoder.layer": nn.ModuleList(), "classifier": nn.Identity()})
    assert {name: id(module) for name, module in model.named_modules()} == before
    assert view.bert.embeddings is model.bert.embeddings
    assert len(view.bert.encoder.layer) == 0
    assert isinstance(view.classifier, nn.Identity)
    assert {id(p) for p in view.parameters()} < {id(p) for p in model.parameters()}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_head_reads_the_feature_vector(name):
    model, view, _ = views(name)
    head = head_of(model)
    seen = []
    with torch.no_grad(), head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
        logits = model(input_ids=ids, attention_mask=mask).logits
        features = view(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(features, seen[0])
    torch.testing.assert_close(head(features), logits)
    assert features.shape == (4, HIDDEN)


def test_a_head_of_another_size_is_an_error():
    with pytest.raises(ValueError, match="linear layer with 5 outputs, got BertForSequenceClassification"):
        find_head(tiny_model("bert"), 5)


def test_the_head_is_not_a_layer_inside_the_encoder():
    model = tiny_model("bert", num_labels=HIDDEN)
    assert find_head(model, HIDDEN)[0] == "classifier"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_layers_are_found(name):
    model, _, stack = views(name)
    assert stack.depth == DEPTH
    assert isinstance(model.get_submodule(stack.layers), nn.ModuleList)
    assert any("word_emb" in key or "tok_emb" in key for key in model.get_submodule(stack.embeddings).state_dict())


def test_layers_of_other_architectures_are_not_found():
    assert find_layers(tiny_decoder()) is None
    assert find_layers(nn.Sequential(nn.Linear(2, 2))) is None


# These encoders cannot run without any layer: with all layers frozen the whole model is used.
NEED_A_LAYER = {"deberta-v2"} | ({"electra", "electra-narrow"} if transformers.__version__ < "5" else set())
SPLITS = [
    (name, depth) for name in ARCHITECTURES for depth in range(DEPTH + 1) if depth < DEPTH or name not in NEED_A_LAYER
]


@pytest.mark.parametrize(("name", "depth"), SPLITS)
def test_suffix_of_prefix_is_the_whole_model(name, depth):
    model, view, stack = views(name)
    prefix, suffix = split_at(view, stack, depth)
    with torch.no_grad():
        hidden = prefix(ids, mask)
        logits = head_of(model)(suffix(inputs_embeds=hidden, attention_mask=mask).logits)
    assert hidden.shape == (4, 12, HIDDEN)
    torch.testing.assert_close(logits, logits_one_by_one(model, ROWS), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_prefix_stops_before_the_trainable_layers(name):
    _, view, stack = views(name)
    prefix = split_at(view, stack, 1).prefix
    ran = []
    for i, layer in enumerate(view.get_submodule(stack.layers)):
        layer.register_forward_hook(lambda *_, i=i: ran.append(i))
    with torch.no_grad():
        prefix(ids, mask)
    assert ran == [0]


def test_a_prefix_that_never_reaches_a_layer_says_so():
    _, view, stack = views("bert")
    view.bert.encoder.forward = without_layers
    with pytest.raises(RuntimeError, match="ended before its trainable layers were reached"):
        split_at(view, stack, 1).prefix(ids, mask)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gradients_of_the_trainable_layers_are_those_of_the_whole_model(name):
    model = tiny_model(name)
    twin = copy.deepcopy(model)
    for m in (model, twin):
        LayeredModel(m, LABELS, 2).freeze()
    target = torch.ones(4, LABELS)
    nn.functional.mse_loss(model(input_ids=ids, attention_mask=mask).logits, target).backward()
    prefix, suffix = split_at(feature_view(twin, LABELS), find_layers(twin), 2)
    with torch.no_grad():
        hidden = prefix(ids, mask)
    logits = head_of(twin)(suffix(inputs_embeds=hidden, attention_mask=mask).logits)
    nn.functional.mse_loss(logits, target).backward()
    wanted = {key: p.grad for key, p in model.named_parameters() if p.grad is not None}
    got = {key: p.grad for key, p in twin.named_parameters() if p.grad is not None}
    assert wanted.keys() == got.keys()
    for key, gradient in wanted.items():
        torch.testing.assert_close(got[key], gradient, atol=1e-5, rtol=1e-3, msg=key)


@pytest.mark.parametrize("name", FIRST_TOKEN_HEADS)
def test_the_last_layer_for_the_first_token_only_is_the_whole_model(name):
    model, view, stack = views(name)
    shortened = first_token_last(view, stack)
    tokens_through = []
    last = view.get_submodule(stack.layers)[-1]
    with torch.no_grad(), last.intermediate.register_forward_hook(lambda *a: tokens_through.append(a[1][0].shape[1])):
        logits = head_of(model)(shortened(input_ids=ids, attention_mask=mask).logits)
    assert tokens_through == [1]
    torch.testing.assert_close(logits, logits_one_by_one(model, ROWS), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", FIRST_TOKEN_HEADS)
def test_the_first_token_view_has_the_gradients_of_the_layer(name):
    model = tiny_model(name)
    twin = copy.deepcopy(model)
    model(input_ids=ids, attention_mask=mask).logits.sum().backward()
    view = first_token_last(feature_view(twin, LABELS), find_layers(twin))
    head_of(twin)(view(input_ids=ids, attention_mask=mask).logits).sum().backward()
    for (key, wanted), (_, got) in zip(model.named_parameters(), twin.named_parameters(), strict=True):
        if wanted.grad is not None:
            torch.testing.assert_close(got.grad, wanted.grad, atol=1e-4, rtol=1e-3, msg=key)


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - set(FIRST_TOKEN_HEADS)))
def test_other_layers_stay_as_they_are(name):
    model, _, stack = views(name)
    layer = model.get_submodule(stack.layers)[-1]
    assert first_token_view(layer) is layer


def test_first_token_attention_drops_out_in_training_only():
    model, _, stack = views("bert")
    layer = first_token_view(model.get_submodule(stack.layers)[-1])
    for output in (layer.attention.output.output, layer.output):
        output.dropout.p = 0.0  # so that only the attention's own is left
    layer.attention.self.dropout.p = 0.5
    hidden = torch.randn(2, 5, HIDDEN, generator=torch.Generator().manual_seed(0))

    def runs():
        outputs = [layer(hidden) for _ in range(3)]
        return [output[0] if isinstance(output, tuple) else output for output in outputs]  # transformers 4.57

    first, *others = runs()
    assert all(torch.equal(first, other) for other in others)
    layer.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, *others = runs()
    assert not any(torch.equal(first, other) for other in others)

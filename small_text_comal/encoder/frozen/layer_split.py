"""Views of a sequence classifier: its feature vector, its frozen lower layers, its trainable rest.

A view is a shallow copy in which some submodules are replaced. It shares every parameter with the model, leaves the
model as it is, and runs the architecture's own code: attention masks, position biases and heads are never rewritten
here. Whether a view computes what the model computes is checked on real input before it is used (`routes.py`).
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LayerStack", "Prefix", "feature_view", "find_head", "find_layers", "first_token_last", "split_at"]

_LAYER_LISTS = ("encoder.layer", "transformer.layer", "layers", "encoder.layers")


class LayerStack(NamedTuple):
    """Where a model keeps its embeddings and its list of layers, as paths from the model, and how many layers."""

    embeddings: str
    layers: str
    depth: int


class FrozenSplit(NamedTuple):
    """`prefix`: ids -> hidden states after the frozen layers; `suffix`: those -> feature vectors (as its logits)."""

    prefix: Prefix
    suffix: nn.Module


def with_modules(model: nn.Module, replacements: dict[str, nn.Module]) -> nn.Module:
    """Return a shallow copy of `model` with the submodules at the given dotted paths replaced.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> view = with_modules(model, {"1": nn.Identity()})
    >>> view[0] is model[0], view[1], model[1]
    (True, Identity(), ReLU())
    """
    view = copy.copy(model)
    view.__dict__["_modules"] = dict(model._modules)
    for path, replacement in replacements.items():
        name, _, rest = path.partition(".")
        view._modules[name] = with_modules(view.get_submodule(name), {rest: replacement}) if rest else replacement
    return view


def find_head(model: nn.Module, num_classes: int) -> tuple[str, nn.Linear]:
    """Return path and module of the last linear layer of the classification head.

    Raises
    ------
    ValueError
        When the model has none with `num_classes` outputs.
    """
    base = getattr(model, "base_model_prefix", "")
    for path, module in reversed(list(model.named_modules())):
        if isinstance(module, nn.Linear) and module.out_features == num_classes and not path.startswith(f"{base}."):
            return path, module
    raise ValueError(
        f"expected a sequence classifier that ends in a linear layer with {num_classes} outputs, "
        f"got {type(model).__name__}: use a model that AutoModelForSequenceClassification can load"
    )


def find_layers(model: nn.Module) -> LayerStack | None:
    """Return where the encoder keeps embeddings and layers, or None when the architecture is not known."""
    base = getattr(model, "base_model_prefix", "")
    encoder = getattr(model, base, None) if base else None
    if not isinstance(getattr(encoder, "embeddings", None), nn.Module):
        return None
    modules = dict(encoder.named_modules(remove_duplicate=False))  # type: ignore[union-attr]
    for path in _LAYER_LISTS:
        if isinstance(layers := modules.get(path), nn.ModuleList):
            return LayerStack(f"{base}.embeddings", f"{base}.{path}", len(layers))
    return None


def feature_view(model: nn.Module, num_classes: int) -> nn.Module:
    """Return a view whose "logits" (B, D) are what enters the final linear layer."""
    return with_modules(model, {find_head(model, num_classes)[0]: nn.Identity()})


def first_token_last(features: nn.Module, stack: LayerStack) -> nn.Module:
    """Return a view of a feature view whose last layer computes the first token only (see `first_token_view`)."""
    layers = list(features.get_submodule(stack.layers))  # type: ignore[call-overload]
    return with_modules(features, {stack.layers: nn.ModuleList([*layers[:-1], first_token_view(layers[-1])])})


def split_at(features: nn.Module, stack: LayerStack, depth: int) -> FrozenSplit:
    """Cut a feature view after its first `depth` layers, 0 to stack.depth."""
    layers = list(features.get_submodule(stack.layers))  # type: ignore[call-overload]
    # one more layer than the model has would be one too many for encoders that number them (transformers 4.57)
    lower = [*layers[:depth], _Stop(layers[depth])] if depth < len(layers) else [*layers[:-1], _StopAfter(layers[-1])]
    prefix = with_modules(features, {stack.layers: nn.ModuleList(lower)})
    like = next(features.parameters()).new_empty(0)
    below: dict[str, nn.Module] = {path: _PassThrough(like) for path in _below_the_layers(features, stack)}
    suffix = with_modules(features, {**below, stack.layers: nn.ModuleList(layers[depth:])})
    return FrozenSplit(Prefix(prefix), suffix)


def _below_the_layers(features: nn.Module, stack: LayerStack) -> list[str]:
    """Paths of what runs before the first layer: the embeddings, and in ELECTRA-small their map to the hidden size."""
    base = stack.embeddings.rpartition(".")[0]
    has_map = hasattr(features.get_submodule(base), "embeddings_project")
    return [stack.embeddings, f"{base}.embeddings_project"] if has_map else [stack.embeddings]


class Prefix:
    """Hidden states (B, S, H) that enter the first trainable layer: the model's own forward, stopped there.

    With `first_token_only` those of the first token (B, 1, H), for a head without layers below it that reads no other.
    """

    def __init__(self, model: nn.Module, *, first_token_only: bool = False) -> None:
        self.model = model
        self.first_token_only = first_token_only

    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the hidden states for ids and mask (B, S)."""
        try:
            self.model(input_ids=ids, attention_mask=mask)
        except _ReachedError as reached:
            (hidden,) = reached.args
            return hidden[:, :1] if self.first_token_only else hidden
        raise RuntimeError("the encoder ended before its trainable layers were reached")


class _ReachedError(Exception):
    """Carries the hidden states out of the forward pass."""


class _Stop(nn.Module):
    """Takes a layer's place, has its attributes (encoders ask layers for their kind), ends the forward pass."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.__dict__["_layer"] = layer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_layer"], name)

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        raise _ReachedError(hidden_states)


class _StopAfter(_Stop):
    """Runs the layer in its place, and ends the forward pass with its output."""

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        output = self.__dict__["_layer"](*args, **kwargs)
        raise _ReachedError(output[0] if isinstance(output, tuple) else output)


class _PassThrough(nn.Module):
    """Takes the embeddings' place and returns the hidden states that were given as `inputs_embeds`."""

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.like = like  # where an encoder without layers and pooler finds its dtype (ELECTRA, transformers 4.57)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        for value in (*args, *kwargs.values()):
            if isinstance(value, Tensor) and value.ndim == 3 and value.is_floating_point():
                return value
        raise RuntimeError("the encoder did not hand its inputs_embeds to the embeddings module")


def first_token_view(layer: nn.Module) -> nn.Module:
    """Return a view of a BERT-like layer that computes its first token only: (B, S, H) -> (B, 1, H).

    Keys and values come from all tokens, query and feed-forward from the first. BERT, RoBERTa, ELECTRA and similar
    models have such layers; any other layer, for example a causal one, is returned as it is.
    """
    attention = getattr(layer, "attention", None)
    inner, output = getattr(attention, "self", None), getattr(attention, "output", None)
    wanted = ("query", "key", "value", "dropout", "num_attention_heads")
    if output is None or not all(hasattr(inner, name) for name in wanted) or hasattr(inner, "distance_embedding"):
        return layer
    if getattr(inner, "is_decoder", False) or getattr(inner, "is_causal", False):
        return layer
    return with_modules(
        layer, {"attention.self": _FirstTokenAttention(inner), "attention.output": _FirstTokenResidual(output)}
    )


class _FirstTokenAttention(nn.Module):
    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.query, self.key, self.value = attention.query, attention.key, attention.value
        self.dropout = attention.dropout
        self.heads = attention.num_attention_heads

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, *_: Any, **__: Any) -> Any:
        query = self._by_head(self.query(hidden_states[:, :1]))
        key, value = self._by_head(self.key(hidden_states)), self._by_head(self.value(hidden_states))
        mask = None if attention_mask is None else attention_mask[:, :, :1]
        dropout = self.dropout.p if self.dropout.training else 0.0
        context = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        return context.transpose(1, 2).flatten(2), None

    def _by_head(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class _FirstTokenResidual(nn.Module):
    def __init__(self, output: nn.Module) -> None:
        super().__init__()
        self.output = output

    def forward(self, context: Tensor, hidden_states: Tensor) -> Tensor:
        return self.output(context, hidden_states[:, :1])

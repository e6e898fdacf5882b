"""A sequence classifier by its layers: which of them are frozen, and which are trained."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from small_text_comal.encoder.frozen.layer_split import LayerStack, feature_view, find_head, find_layers, split_at
from small_text_comal.encoder.notes import note_once

__all__ = ["LayeredModel", "default_frozen_layers", "weights_state"]

_NOTHING_FROZEN = (
    "the layers of {} cannot be found: all of it is trained, every pass runs the whole model, and nothing is cached "
    "(freeze what you like with requires_grad_(False))"
)


def default_frozen_layers(depth: int) -> int:
    """Return how many of `depth` layers the paper freezes: three quarters, 9 of BERT-base's 12."""
    return depth * 3 // 4


class LayeredModel:
    """A sequence classifier and its parts; nothing of the model is changed before `freeze`.

    Parameters
    ----------
    model : as AutoModelForSequenceClassification makes it
    num_classes : C
    frozen_layers : layers to freeze with the embeddings; None: three quarters; 0: nothing

    Attributes
    ----------
    head : the model's last linear layer, D -> C
    plain : a view of the model whose "logits" are the feature vectors (B, D)
    stack : where its embeddings and layers are, or None when the architecture is not known
    frozen_layers : how many layers are frozen
    frozen_weights : all parameters that the frozen layers compute with, by name
    pad_id : the token id of padding, by which decoders find a document's last token

    Raises
    ------
    ValueError
        When the model has no head of C outputs, or not that many layers, or its layers cannot be found.
    """

    def __init__(self, model: nn.Module, num_classes: int, frozen_layers: int | None = None) -> None:
        self.model = model
        self.head = find_head(model, num_classes)[1]
        self.plain = feature_view(model, num_classes)
        self.stack = find_layers(model)
        self.frozen_layers = _checked_depth(frozen_layers, self.stack, type(model).__name__)
        self.frozen_weights = _weights_below(model, self.stack, self.frozen_layers)
        self.pad_id: int = getattr(getattr(model, "config", None), "pad_token_id", None) or 0

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.head.weight.device

    @property
    def frozen_modules(self) -> list[nn.Module]:
        """The embeddings and the frozen layers."""
        if self.stack is None or not self.frozen_layers:
            return []
        layers = list(self.plain.get_submodule(self.stack.layers))  # type: ignore[call-overload]
        return [self.plain.get_submodule(self.stack.embeddings), *layers[: self.frozen_layers]]

    def freeze(self) -> None:
        """Take the frozen layers' parameters out of training; to be called before an optimizer is made."""
        for weight in self.frozen_weights.values():
            weight.requires_grad_(False)


def weights_state(weights: Iterable[Tensor]) -> tuple[tuple[int, int], ...]:
    """Return what changes when one of `weights` is written to (except through ``.data``), moved or replaced."""
    return tuple((weight.data_ptr(), weight._version) for weight in weights)


def _checked_depth(frozen_layers: int | None, stack: LayerStack | None, name: str) -> int:
    if stack is None:
        if frozen_layers:
            raise ValueError(
                f"frozen_layers={frozen_layers}: the layers of {name} cannot be found; "
                "pass frozen_layers=0, or freeze them yourself with requires_grad_(False)"
            )
        if frozen_layers is None:
            note_once(_NOTHING_FROZEN.format(name))
        return 0
    depth = default_frozen_layers(stack.depth) if frozen_layers is None else frozen_layers
    if not 0 <= depth <= stack.depth:
        raise ValueError(f"frozen_layers: expected a number within [0, {stack.depth}] (layers), got {depth}")
    return depth


def _weights_below(model: nn.Module, stack: LayerStack | None, depth: int) -> dict[str, nn.Parameter]:
    """All parameters that the first `depth` layers compute with.

    Besides those of the embeddings and of the layers themselves these are relative position tables, which some
    encoders keep next to the layers: backpropagation through the layers finds them.
    """
    if stack is None or not depth:
        return {}
    inside = (f"{stack.embeddings}.", *(f"{stack.layers}.{i}." for i in range(depth)))
    parameters = dict(model.named_parameters())
    # the gradients of those inside would take as much memory again
    others = {name: weight for name, weight in parameters.items() if not name.startswith(inside)}
    used = _used_below(model, stack, depth, others)
    return {name: weight for name, weight in parameters.items() if name in used or name.startswith(inside)}


def _used_below(model: nn.Module, stack: LayerStack, depth: int, others: dict[str, nn.Parameter]) -> set[str]:
    ids = torch.ones((1, 4), dtype=torch.long, device=next(model.parameters()).device)
    trainable = [(weight, weight.requires_grad) for weight in model.parameters()]
    try:
        for weight, _ in trainable:
            weight.requires_grad_(True)
        with torch.enable_grad():
            hidden = split_at(model, stack, depth).prefix(ids, torch.ones_like(ids))
        gradients = torch.autograd.grad(hidden.sum(), list(others.values()), allow_unused=True)
    except Exception:  # for an architecture that cannot be split the names of its modules must do
        return set()
    finally:
        for weight, before in trainable:
            weight.requires_grad_(before)
    return {name for name, gradient in zip(others, gradients, strict=True) if gradient is not None}

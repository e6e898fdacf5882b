"""A sequence classifier by its layers: which of them are frozen, and which are trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from small_text_comal.encoder.layer_split import LayerStack, feature_view, find_head, find_layers, split_at
from small_text_comal.encoder.notes import note_once

__all__ = ["LayeredModel", "default_frozen_layers", "layered_model"]

_NOTHING_FROZEN = (
    "the layers of {} cannot be found: all of it is trained, every pass runs the whole model, and nothing is cached "
    "(freeze what you like with requires_grad_(False))"
)


def default_frozen_layers(depth: int) -> int:
    """Return how many of `depth` layers the paper freezes: three quarters, 9 of BERT-base's 12."""
    return depth * 3 // 4


@dataclass(frozen=True, eq=False)
class LayeredModel:
    """A sequence classifier and its parts.

    Attributes
    ----------
    model : as AutoModelForSequenceClassification makes it
    head : its last linear layer, D -> C
    plain : a view of the model whose "logits" are the feature vectors (B, D)
    stack : where its embeddings and layers are, or None when the architecture is not known
    frozen_layers : how many layers are frozen, with the embeddings; 0: nothing is frozen
    frozen_weights : all parameters that the frozen layers compute with, by name
    """

    model: nn.Module
    head: nn.Linear
    plain: nn.Module
    stack: LayerStack | None
    frozen_layers: int
    frozen_weights: dict[str, nn.Parameter]

    @property
    def name(self) -> str:
        """The class of the model, for messages."""
        return type(self.model).__name__

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.head.weight.device

    @property
    def pad_id(self) -> int:
        """The token id of padding, by which decoders find a document's last token."""
        return getattr(getattr(self.model, "config", None), "pad_token_id", None) or 0

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

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits (B, C) float32 of `features` (B, D)."""
        return self.head(features.to(self.head.weight.dtype)).float()


def layered_model(model: nn.Module, num_classes: int, frozen_layers: int | None = None) -> LayeredModel:
    """Find the parts of a sequence classifier; nothing of it is changed.

    Parameters
    ----------
    model : as AutoModelForSequenceClassification makes it
    num_classes : C
    frozen_layers : layers to freeze with the embeddings; None: three quarters; 0: nothing

    Raises
    ------
    ValueError
        When the model has no head of C outputs, or not that many layers, or its layers cannot be found.
    """
    head, stack = find_head(model, num_classes)[1], find_layers(model)
    depth = _checked_depth(frozen_layers, stack, type(model).__name__)
    weights = _weights_below(model, stack, depth) if stack is not None and depth else {}
    return LayeredModel(model, head, feature_view(model, num_classes), stack, depth, weights)


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
    if frozen_layers is None:
        return default_frozen_layers(stack.depth)
    if not 0 <= frozen_layers <= stack.depth:
        raise ValueError(f"frozen_layers: expected a number within [0, {stack.depth}] (layers), got {frozen_layers}")
    return frozen_layers


def _weights_below(model: nn.Module, stack: LayerStack, depth: int) -> dict[str, nn.Parameter]:
    """All parameters that the first `depth` layers compute with.

    Besides those of the embeddings and of the layers themselves these are relative position tables, which some
    encoders keep beside the layers: backpropagation through the layers shows them.
    """
    inside = (f"{stack.embeddings}.", *(f"{stack.layers}.{i}." for i in range(depth)))
    parameters = dict(model.named_parameters())
    # the gradients of those inside would take as much memory again
    others = {name: weight for name, weight in parameters.items() if not name.startswith(inside)}
    used = _used_by_prefix(model, stack, depth, others)
    return {name: weight for name, weight in parameters.items() if name in used or name.startswith(inside)}


def _used_by_prefix(model: nn.Module, stack: LayerStack, depth: int, candidates: dict[str, nn.Parameter]) -> set[str]:
    ids = torch.ones((1, 4), dtype=torch.long, device=next(model.parameters()).device)
    trainable = [(weight, weight.requires_grad) for weight in model.parameters()]
    try:
        for weight, _ in trainable:
            weight.requires_grad_(True)
        with torch.enable_grad():
            hidden = split_at(model, stack, depth).prefix(ids, torch.ones_like(ids))
        gradients = torch.autograd.grad(hidden.sum(), list(candidates.values()), allow_unused=True)
    except Exception:  # for an architecture that cannot be split the names of its modules must do
        return set()
    finally:
        for weight, before in trainable:
            weight.requires_grad_(before)
    return {name for name, gradient in zip(candidates, gradients, strict=True) if gradient is not None}

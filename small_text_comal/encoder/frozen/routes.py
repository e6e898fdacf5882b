"""The fastest way through a model that gives its own features: each shortcut is compared with the whole model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen.layer_split import Prefix, first_token_last, split_at
from small_text_comal.encoder.frozen.layered_model import LayeredModel
from small_text_comal.encoder.notes import note_once

__all__ = ["Route", "choose_route", "whole_model"]

_TOLERANCE = 1e-4  # of a shortcut against the whole model, relative to the largest feature; measured errors are ~1e-6
_ROUNDINGS = 8  # rounding errors of a product by which two correct ways through a model may differ
_NO_SPLIT = (
    "the frozen layers of {} cannot be computed apart from the rest: every pass runs the whole model, and nothing "
    "is cached"
)
_PADDING_MATTERS = (
    "the features of {} depend on how far a document is padded: all keep the padding of their dataset, every pass runs "
    "the whole model, and nothing is cached"
)


class Route(NamedTuple):
    """A way from token ids to feature vectors.

    Attributes
    ----------
    prefix : the frozen layers, which run apart; None: `trainable` is the whole model
    trainable : hidden states, or without a prefix token ids, -> feature vectors (B, D) as its "logits"
    trims : whether padding can be cut off without an effect on the features
    """

    prefix: Prefix | None
    trainable: nn.Module
    trims: bool


_Probe = tuple[Tensor, Tensor]  # ids and mask (B, S)
_Comparison = Callable[[Tensor, Tensor], bool]


def whole_model(layered: LayeredModel) -> Route:
    """Return the route that is right for every model: all of it, on documents padded as their dataset pads them."""
    return Route(None, layered.plain, trims=False)


def choose_route(layered: LayeredModel, documents: Documents, *, compile_model: bool = False) -> Route:
    """Return the fastest route that gives the whole model's features on some of `documents`, at least one.

    Parameters
    ----------
    layered : the model, on its device and in evaluation mode
    documents : the longest, the shortest and two between them are tried
    compile_model : run the trainable layers through `torch.compile`

    Raises
    ------
    ValueError
        When the model does something to the output of its last linear layer.
    """
    batch, alone, padded_in_full = _probes(layered, documents)
    route = whole_model(layered)
    with torch.no_grad():
        close = _comparison(layered.head.weight)
        expected = [(probe, _run(route, probe)) for probe in (batch, alone)]
        features = expected[0][1]
        _check_head(layered, batch, features, close)
        if close(_run(route, padded_in_full), expected[1][1]):
            # else the frozen layers' output would depend on the batch in which a document happened to be
            right = (shortcut for shortcut in _shortcuts(layered) if _gives(shortcut, expected, close))
            route = next(right, route._replace(trims=True))
    if torch.isfinite(features).all():  # else nothing is close to anything, and fit reports the reason
        if not route.trims:
            note_once(_PADDING_MATTERS.format(type(layered.model).__name__))
        elif layered.frozen_layers and route.prefix is None:
            note_once(_NO_SPLIT.format(type(layered.model).__name__))
    compiled: Any = torch.compile(route.trainable, dynamic=True) if compile_model else route.trainable
    return route._replace(trainable=compiled)


def _shortcuts(layered: LayeredModel) -> Iterator[Route]:
    """What may be faster than the whole model, fastest first."""
    stack, depth = layered.stack, layered.frozen_layers
    if stack is None:
        return
    first_token = first_token_last(layered.plain, stack)
    for trunk in (first_token, layered.plain) if depth else ():
        prefix, suffix = split_at(trunk, stack, depth)
        if depth == stack.depth:  # only the head is left, and most heads read the first token
            yield Route(Prefix(prefix.model, first_token_only=True), suffix, trims=True)
        yield Route(prefix, suffix, trims=True)
    yield Route(None, first_token, trims=True)


def _probes(layered: LayeredModel, documents: Documents) -> tuple[_Probe, _Probe, _Probe]:
    """A padded batch, and one of its documents alone: without padding, and padded in full."""
    spread = np.argsort(documents.lengths, kind="stable")[np.linspace(0, len(documents) - 1, 4).astype(int)]
    ids, mask = documents.padded(np.unique(spread), layered.device, layered.pad_id)
    if ids.shape[1] < 3:  # one token, or two of which one is masked below, would not show which the head reads
        ids = torch.arange(3, device=layered.device)[None]
        mask = torch.ones_like(ids)
    mask[0, -1] = 0  # documents of one length would not show how padding is treated
    length = int(mask[0].nonzero().max()) + 1
    padding = (0, max(documents.padded_length, ids.shape[1]) - length)
    alone = ids[:1, :length], mask[:1, :length]
    in_full = functional.pad(alone[0], padding, value=layered.pad_id), functional.pad(alone[1], padding)
    return (ids, mask), alone, in_full


def _check_head(layered: LayeredModel, probe: _Probe, features: Tensor, close: _Comparison) -> None:
    logits = layered.model(input_ids=probe[0], attention_mask=probe[1]).logits
    if torch.isfinite(logits).all() and not close(layered.head(features).float(), logits.float()):
        raise ValueError(
            f"expected a classifier that ends in its last linear layer, but {type(layered.model).__name__} does "
            "something to that layer's output: choose a model, or a configuration of it, without that"
        )


def _gives(route: Route, expected: list[tuple[_Probe, Tensor]], close: _Comparison) -> bool:
    try:
        return all(close(_run(route, probe), features) for probe, features in expected)
    except Exception:  # whatever an unknown architecture raises, the whole model still works
        return False


def _run(route: Route, probe: _Probe) -> Tensor:
    """The features by way of `route`; hidden states are cut after the last token and padded with 0, as when cached."""
    ids, mask = probe
    if route.prefix is None:
        return route.trainable(input_ids=ids, attention_mask=mask).logits
    hidden = route.prefix(ids, mask)
    after_last = mask.flip(1).cumsum(dim=1).flip(1) == 0
    hidden = hidden.masked_fill(after_last[:, : hidden.shape[1], None], 0)
    return route.trainable(inputs_embeds=hidden, attention_mask=mask).logits


def _comparison(like: Tensor) -> _Comparison:
    """Says whether features lie within `_TOLERANCE`.

    Or more, where products of weights such as `like` are rounded to fewer bits: TF32, weights in 16 bits.
    """
    values = torch.linspace(0, 1, 64 * 64).reshape(64, 64).to(like)
    exact = values.cpu().double() @ values.cpu().double()
    rounding = float(((values @ values).cpu().double() - exact).abs().max() / exact.abs().max())
    tolerance = max(_TOLERANCE, _ROUNDINGS * rounding)

    def close(got: Tensor, expected: Tensor) -> bool:
        difference = float((got - expected).abs().max()) if got.shape == expected.shape else torch.inf
        return difference <= tolerance * float(expected.abs().max())

    return close

"""Dropout whose mask is one draw for all documents: each pass is one sampled network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["one_sampled_network"]


@contextmanager
def one_sampled_network(modules: Iterable[nn.Module], generator: torch.Generator) -> Iterator[None]:
    """Let dropout modules in evaluation mode drop the same units for every document and token.

    Ordinary dropout draws other units for each document, so that two documents pass through different networks;
    Bayesian strategies compare documents under the same network (Gal and Ghahramani 2016).

    Parameters
    ----------
    modules : nn.Dropout modules, in evaluation mode; one that drops attention weights (B, heads, S, S) does nothing,
        since those are no units of the network: their number changes with the document
    generator : CPU generator of the masks

    Examples
    --------
    >>> dropout = nn.Dropout(0.5).eval()
    >>> with one_sampled_network([dropout], torch.Generator().manual_seed(0)):
    ...     first, second = dropout(torch.ones(2, 4))
    >>> first.tolist() == second.tolist(), sorted(set(first.tolist()))
    (True, [0.0, 2.0])
    """
    masks: dict[tuple[nn.Module, int], Tensor] = {}

    def drop(module: nn.Module, _: Any, output: Tensor) -> Tensor:
        if output.ndim == 4:
            return output
        key, keep = (module, output.shape[-1]), 1 - float(module.p)  # type: ignore[arg-type]
        if key not in masks:
            drawn = torch.rand(output.shape[-1], generator=generator) < keep
            masks[key] = (drawn / max(keep, 1e-12)).to(output)
        return output * masks[key]

    with ExitStack() as hooks:
        for module in modules:
            hooks.callback(module.register_forward_hook(drop).remove)
        yield

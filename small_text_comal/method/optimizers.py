"""The AdamW of this package: PyTorch's, in one fused kernel a step where the installed PyTorch has it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import torch
from torch import Tensor

__all__ = ["adamw"]


def adamw(parameters: Iterable[Tensor], learning_rate: float) -> torch.optim.Optimizer:
    """Return AdamW with PyTorch's defaults, at a constant rate unless a scheduler changes it.

    Examples
    --------
    >>> adamw([torch.zeros(2, requires_grad=True)], 1e-4).param_groups[0]["lr"]
    0.0001
    """
    return torch.optim.AdamW(parameters, lr=learning_rate, fused=_fused_works() or None)


@cache
def _fused_works() -> bool:
    """PyTorch before 2.4 has no fused AdamW for the CPU, and says so only when asked."""
    probe = torch.zeros(1, requires_grad=True)
    probe.grad = torch.zeros(1)
    try:
        torch.optim.AdamW([probe], lr=1e-4, fused=True).step()
    except RuntimeError:
        return False
    return True

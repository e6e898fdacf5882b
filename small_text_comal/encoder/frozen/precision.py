"""The number format in which a model computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

__all__ = ["Precision"]


@dataclass(frozen=True)
class Precision:
    """Mixed precision: PyTorch's autocast in `dtype` on devices of `device_type`, if `enabled`.

    Examples
    --------
    >>> with Precision("cpu", torch.bfloat16, enabled=True).autocast():
    ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
    torch.bfloat16
    """

    device_type: str = "cpu"
    dtype: torch.dtype = torch.bfloat16
    enabled: bool = False

    def autocast(self) -> AbstractContextManager:
        """Return a new context in which the model is to run; it changes nothing when not `enabled`."""
        return torch.autocast(self.device_type, dtype=self.dtype) if self.enabled else nullcontext()

"""From one vector a token to one vector a document: the poolings that sentence encoders declare.

Every function takes hidden states (b, L, H) and a mask (b, L) of bool that is True at real tokens, and returns
(b, H). The formulas are those that the sentence-transformers library documents for its models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["POOLINGS", "pooled", "unit_length"]


def _first(mask: Tensor) -> Tensor:
    """Position (b,) of the first real token."""
    return mask.int().argmax(dim=1)


def _at(hidden: Tensor, positions: Tensor) -> Tensor:
    return hidden[torch.arange(len(hidden), device=hidden.device), positions]


def _weighted_mean(hidden: Tensor, weights: Tensor) -> Tensor:
    return (hidden * weights[:, :, None]).sum(dim=1) / weights.sum(dim=1, keepdim=True).clamp(min=1e-9)


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    return _weighted_mean(hidden, mask.to(hidden.dtype))


def _first_token(hidden: Tensor, mask: Tensor) -> Tensor:
    return _at(hidden, _first(mask))


def _last_token(hidden: Tensor, mask: Tensor) -> Tensor:
    return _at(hidden, mask.shape[1] - 1 - _first(mask.flip(1)))


def _max(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden.masked_fill(~mask[:, :, None], float("-inf")).amax(dim=1)


def _mean_sqrt_length(hidden: Tensor, mask: Tensor) -> Tensor:
    return _mean(hidden, mask) * mask.sum(dim=1, keepdim=True).to(hidden.dtype).sqrt()


def _mean_weighted_by_position(hidden: Tensor, mask: Tensor) -> Tensor:
    """The first real token counts once, the second twice, and so on."""
    positions = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return _weighted_mean(hidden, ((positions - _first(mask)[:, None]) * mask).to(hidden.dtype))


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cls": _first_token,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt_length,
    "weightedmean": _mean_weighted_by_position,
    "lasttoken": _last_token,
}


def pooled(hidden: Tensor, mask: Tensor, poolings: Sequence[str]) -> Tensor:
    """Return the pooled vectors of documents, several poolings side by side.

    Parameters
    ----------
    hidden : (b, L, H)
    mask : (b, L), not 0 at real tokens; a document without any gets a vector of zeros
    poolings : names in `POOLINGS`

    Returns
    -------
    vectors : (b, H * len(poolings)) float32

    Examples
    --------
    >>> pooled(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]]), ["mean", "max"])
    tensor([[2., 3.]])
    """
    hidden, mask = hidden.float(), mask.bool()
    vectors = torch.cat([POOLINGS[name](hidden, mask) for name in poolings], dim=1)
    return torch.where(mask.any(dim=1, keepdim=True), vectors, 0.0)


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Return `vectors` (n, D) scaled to length 1, float32; a vector of zeros stays one.

    Examples
    --------
    >>> unit_length(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    vectors = vectors.astype(np.float64)  # the squares of large float32 numbers leave the range of float32
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)

"""Denominators of a contrastive loss: weighted sums over all pairs, in blocks of rows.

Memory grows with n * block and never with n^2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["ColumnWeights", "log_denominators"]

_BLOCK_BYTES = {"cpu": 4 * 2**20, "cuda": 256 * 2**20}  # of one block of pairs: about the CPU's cache; GPUs want more
_KEEP_BYTES = 128 * 2**20  # pairs up to this size are kept for backward


class ColumnWeights(NamedTuple):
    """How often row i counts column k: 1 + excess_i where `marked` (n,) of 0 and 1 is 1 at k, else once."""

    excess: Tensor
    marked: Tensor


def log_denominators(
    z: Tensor, temperature: float, *, weights: ColumnWeights | None = None, block_size: int | None = None
) -> Tensor:
    """Return log sum_{k != i} w_ik exp((z_i . z_k - 1) / temperature) for unit rows z.

    Each unordered pair is computed once, a block at a time. Few pairs are kept for backward; many are dropped and
    computed again.

    Parameters
    ----------
    z : (n, Z) unit vectors
    temperature : of the exponent, which lies within [-2 / temperature, 0]
    weights : w_ik of the pairs; None: 1
    block_size : rows of pairs held at a time; None picks what suits the device

    Returns
    -------
    log_denominator : (n,), -inf for a single row; gradients of first order only

    Examples
    --------
    >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    >>> log_denominators(z, 0.1).exp()
    tensor([2., 2., 2.])
    >>> log_denominators(z, 0.1, weights=ColumnWeights(torch.ones(3), torch.tensor([0.0, 0.0, 1.0]))).exp()
    tensor([3., 3., 2.])
    """
    keep = False
    if block_size is None:
        n, bytes_each = len(z), z.element_size()
        block_size = max(64, _BLOCK_BYTES["cpu" if z.device.type == "cpu" else "cuda"] // (bytes_each * max(n, 1)))
        keep = n * (n + min(n, block_size)) // 2 * bytes_each <= _KEEP_BYTES
    return _LogDenominator.apply(z, temperature, weights, block_size, keep)


class _LogDenominator(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z: Tensor, temperature: float, weights: ColumnWeights | None, block_size: int, keep: bool
    ) -> Tensor:
        sums = z.new_zeros(len(z))
        kept = []
        for rows, later in _blocks(len(z), block_size):
            pairs = _exponentials(z, rows, temperature)
            sums[rows] += pairs.sum(dim=1)
            sums[later] += pairs[:, len(pairs) :].sum(dim=0)
            if weights is not None:
                sums[rows] += weights.excess[rows] * (pairs @ weights.marked[rows.start :])
                sums[later] += weights.excess[later] * (weights.marked[rows] @ pairs[:, len(pairs) :])
            if keep and ctx.needs_input_grad[0]:
                kept.append(pairs)
        ctx.save_for_backward(z, sums, *kept)
        ctx.temperature, ctx.weights, ctx.block_size = temperature, weights, block_size
        return sums.log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        z, sums, *kept = ctx.saved_tensors
        coefficient = torch.where(sums > 0, grad / sums, torch.zeros_like(sums))
        grad_z = torch.zeros_like(z)
        for number, (rows, later) in enumerate(_blocks(len(z), ctx.block_size)):
            pairs = kept[number] if kept else _exponentials(z, rows, ctx.temperature)
            pairs = pairs * _in_both(coefficient, ctx.weights, rows)
            grad_z[rows].addmm_(pairs, z[rows.start :])
            grad_z[later].addmm_(pairs[:, len(pairs) :].T, z[rows])
        return grad_z.div_(ctx.temperature), None, None, None, None


def _blocks(n: int, block_size: int) -> Iterator[tuple[slice, slice]]:
    """Blocks of rows, each with the slice of all later rows."""
    for start in range(0, n, block_size):
        stop = min(start + block_size, n)
        yield slice(start, stop), slice(stop, n)


def _exponentials(z: Tensor, rows: slice, temperature: float) -> Tensor:
    """exp((z_i . z_k - 1) / temperature) for i in `rows` and k from the first of them on, 0 where i = k."""
    pairs = torch.mm(z[rows], z[rows.start :].T).sub_(1).mul_(1 / temperature).exp_()
    pairs[:, : len(pairs)].fill_diagonal_(0)
    return pairs


def _in_both(coefficient: Tensor, weights: ColumnWeights | None, rows: slice) -> Tensor:
    """c_i w_ik + c_k w_ki: pair (i, k) stands in the denominators of both."""
    onward = slice(rows.start, None)
    both = coefficient[rows, None] + coefficient[None, onward]
    if weights is not None:
        extra = coefficient * weights.excess
        both.addr_(extra[rows], weights.marked[onward])
        both.addr_(weights.marked[rows], extra[onward])
    return both

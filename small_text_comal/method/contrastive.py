"""The multi-label supervised contrastive loss (paper eq. 3), exact in blocks.

The positive term needs class sums only, O(B C Z). The denominators need all pairs; they are taken in blocks of rows,
so memory grows with B * C * block and never with (B * C)^2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from small_text_comal.config import MIN_TEMPERATURE, NEGATIVES

__all__ = ["document_supcon_loss", "multi_label_supcon_loss"]

_BLOCK_BYTES = {"cpu": 4 * 2**20, "cuda": 256 * 2**20}  # of one block of pairs: about the CPU's cache; GPUs want more
_KEEP_BYTES = 128 * 2**20  # pairs up to this size are kept for backward


class _LogDenominator(torch.autograd.Function):
    """log sum_{j != i} exp((z_i . z_j - 1) / temperature) for unit rows z (n, Z); -inf for a single row.

    Each unordered pair is computed once, a block at a time. Few pairs are kept for backward; many are dropped and
    computed again, so that memory never grows with n^2.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, temperature: float, block_size: int, keep: bool) -> Tensor:
        sums = z.new_zeros(len(z))
        kept = []
        for rows, later in _blocks(len(z), block_size):
            weights = _pair_weights(z, rows, temperature)
            sums[rows] += weights.sum(dim=1)
            sums[later] += weights[:, len(weights) :].sum(dim=0)
            if keep and ctx.needs_input_grad[0]:
                kept.append(weights)
        ctx.save_for_backward(z, sums, *kept)
        ctx.temperature, ctx.block_size = temperature, block_size
        return sums.log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        z, sums, *kept = ctx.saved_tensors
        coefficient = torch.where(sums > 0, grad / sums, torch.zeros_like(sums))
        grad_z = torch.zeros_like(z)
        for number, (rows, later) in enumerate(_blocks(len(z), ctx.block_size)):
            weights = kept[number] if kept else _pair_weights(z, rows, ctx.temperature)
            # pair (i, j) stands in the denominators of both
            weights = weights * (coefficient[rows, None] + coefficient[None, rows.start :])
            grad_z[rows].addmm_(weights, z[rows.start :])
            grad_z[later].addmm_(weights[:, len(weights) :].T, z[rows])
        return grad_z.div_(ctx.temperature), None, None, None


def _blocks(n: int, block_size: int) -> Iterator[tuple[slice, slice]]:
    """Blocks of rows, each with the slice of all later rows."""
    for start in range(0, n, block_size):
        stop = min(start + block_size, n)
        yield slice(start, stop), slice(stop, n)


def _pair_weights(z: Tensor, rows: slice, temperature: float) -> Tensor:
    """exp((z_i . z_j - 1) / temperature) for i in `rows` and j from the first of them on, 0 where i = j."""
    weights = torch.mm(z[rows], z[rows.start :].T).sub_(1).mul_(1 / temperature).exp_()
    weights[:, : len(weights)].fill_diagonal_(0)
    return weights


def _log_denominators(z: Tensor, temperature: float, block_size: int | None) -> Tensor:
    n, bytes_each = len(z), z.element_size()
    if block_size is not None:
        return _LogDenominator.apply(z, temperature, block_size, False)
    block_size = max(64, _BLOCK_BYTES["cpu" if z.device.type == "cpu" else "cuda"] // (bytes_each * max(n, 1)))
    keep = n * (n + min(n, block_size)) // 2 * bytes_each <= _KEEP_BYTES
    return _LogDenominator.apply(z, temperature, block_size, keep)


def _normalized(latent: Tensor, temperature: float) -> Tensor:
    # The exponents span 2 / temperature; float32 underflows beyond about 87. Half precision is never enough.
    precise = torch.float64 if 2 / temperature > 80 else torch.float32
    return functional.normalize(latent.to(torch.promote_types(latent.dtype, precise)), dim=-1)


def _classes(labels: Tensor, negatives: str) -> Tensor:
    """Class of each pair (i, j): j if positive, else C ("shared") or C + j ("per-label"). (B, C) int64."""
    num_labels = labels.shape[1]
    positive_class = torch.arange(num_labels, device=labels.device)
    negative_class = torch.full_like(positive_class, num_labels)
    if negatives == "per-label":
        negative_class = positive_class + num_labels
    return torch.where(labels, positive_class, negative_class)


def multi_label_supcon_loss(
    latent: Tensor,
    labels: Tensor,
    *,
    temperature: float = 0.07,
    negatives: str = "shared",
    block_size: int | None = None,
) -> Tensor:
    """Return the multi-label supervised contrastive loss of a batch (paper eq. 3).

    Each pair of a document and a label is an anchor. Its positives are the other pairs of its class: class j for the
    documents that have label j, one shared class for all negative pairs. The denominator runs over all other pairs.
    The loss is the mean over ALL B * C anchors, where an anchor without a positive counts 0, as in the authors' code;
    other supervised contrastive losses average over the anchors that have one.

    Parameters
    ----------
    latent : (B, C, Z) raw latent vectors, normalised here
    labels : (B, C) of 0 and 1
    temperature : tau, at least 0.003
    negatives : "shared" (paper), "per-label" (a negative class for each label) or "none" (negatives are neither
        anchors nor in denominators; the mean stays over B * C)
    block_size : rows of pairs held at a time; None picks what suits the device, and keeps up to 128 MiB of pairs for
        backward. It changes memory, not the value.

    Returns
    -------
    loss : scalar, float32 or float64; gradients of first order only

    Raises
    ------
    ValueError
        On other shapes, an unknown `negatives`, a temperature below 0.003.

    Examples
    --------
    >>> latent = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]])
    >>> multi_label_supcon_loss(latent, torch.tensor([[1], [1]])).item()
    0.0
    """
    if latent.ndim != 3 or latent.shape[:2] != labels.shape:
        raise ValueError(
            f"expected latent (B, C, Z) and labels (B, C), got {tuple(latent.shape)} and {tuple(labels.shape)}"
        )
    if negatives not in NEGATIVES:
        raise ValueError(f"negatives: expected one of {NEGATIVES}, got {negatives!r}")
    _check(temperature, block_size)
    labels = labels.bool()
    with torch.autocast(latent.device.type, enabled=False):
        z = _normalized(latent, temperature).flatten(0, 1)
        classes = _classes(labels, negatives).flatten()
        if negatives == "none":
            z, classes = z[labels.flatten()], classes[labels.flatten()]
        counts = torch.bincount(classes, minlength=2 * labels.shape[1]).to(z.dtype)
        class_sums = z.new_zeros(len(counts), z.shape[1]).index_add(0, classes, z)
        # sum over the anchors of a class of their mean similarity to its other members: (|S|^2 - sum |z|^2) / (m - 1)
        squares = z.new_zeros(len(counts)).index_add(0, classes, z.square().sum(dim=1))
        paired = counts > 1
        similarity = (class_sums.square().sum(dim=1) - squares)[paired] / (counts[paired] - 1)
        positive = similarity.sum() - counts[paired].sum()  # minus 1 an anchor: the exponents above are shifted by it
        log_denominator = _log_denominators(z, temperature, block_size)[paired[classes]].sum()
        return (log_denominator - positive / temperature) / max(labels.numel(), 1)


def document_supcon_loss(
    latent: Tensor,
    labels: Tensor,
    *,
    temperature: float = 0.07,
    block_size: int | None = None,
) -> Tensor:
    """Return the contrastive loss without label-wise decoupling (the paper's variant "w/o LSF").

    Anchors are the pairs (i, j) with y_ij = 1, positives the other documents with label j, the denominator runs over
    all other documents; the mean is over the anchors that have a positive, 0 where there is none.

    Parameters
    ----------
    latent : (B, Z) raw latent vectors, one a document, normalised here
    labels : (B, C) of 0 and 1
    temperature, block_size : as in `multi_label_supcon_loss`

    Returns
    -------
    loss : scalar, float32 or float64

    Examples
    --------
    >>> document_supcon_loss(torch.ones(2, 3), torch.tensor([[1, 0], [1, 1]])).item()
    0.0
    """
    if latent.ndim != 2 or labels.ndim != 2 or len(latent) != len(labels):
        raise ValueError(
            f"expected latent (B, Z) and labels (B, C), got {tuple(latent.shape)} and {tuple(labels.shape)}"
        )
    _check(temperature, block_size)
    with torch.autocast(latent.device.type, enabled=False):
        z = _normalized(latent, temperature)
        membership = labels.to(z.dtype)
        counts = membership.sum(dim=0)
        paired = counts > 1
        membership, counts = membership[:, paired], counts[paired]
        label_sums = membership.T @ z
        squares = membership.T @ z.square().sum(dim=1)
        positive = ((label_sums.square().sum(dim=1) - squares) / (counts - 1)).sum() - counts.sum()
        anchors_of_document = membership.sum(dim=1)
        is_anchor = anchors_of_document > 0
        log_denominator = _log_denominators(z, temperature, block_size)[is_anchor] @ anchors_of_document[is_anchor]
        return (log_denominator - positive / temperature) / counts.sum().clamp(min=1)


def _check(temperature: float, block_size: int | None) -> None:
    if not temperature >= MIN_TEMPERATURE:
        raise ValueError(f"temperature: expected a number >= {MIN_TEMPERATURE}, got {temperature!r}")
    if block_size is not None and block_size < 1:
        raise ValueError(f"block_size: expected None or an integer >= 1, got {block_size!r}")

"""The multi-label supervised contrastive loss (paper eq. 3), exact or over a sample of its negatives.

The positive term needs class sums only, O(n Z) for n anchors. The denominators need all pairs of anchors, O(n^2 Z):
n is B * C, of which nearly all are negative, or the positive pairs and a sample of the negative ones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from small_text_comal.config import MIN_TEMPERATURE, NEGATIVES
from small_text_comal.method.pair_denominators import ColumnWeights, log_denominators

__all__ = ["document_supcon_loss", "multi_label_supcon_loss"]


def _normalized(latent: Tensor, temperature: float) -> Tensor:
    # The exponents span 2 / temperature; float32 underflows beyond about 87. Half precision is never enough.
    precise = torch.float64 if 2 / temperature > 80 else torch.float32
    return functional.normalize(latent.to(torch.promote_types(latent.dtype, precise)), dim=-1)


class _Anchors(NamedTuple):
    """Which pairs (i, j) of a batch are anchors, and how the sampled ones stand for all.

    `rows` (n,) flat positions i * C + j; `classes` (n,) of them; `sizes` (K,) of the classes in the whole batch;
    `stands_for` (n,), how many anchors each stands for; `pairs` (K,), how many pairs of a class each of its sampled
    pairs stands for; `columns`, weights in the denominators, None where all pairs are present.
    """

    rows: Tensor
    classes: Tensor
    sizes: Tensor
    stands_for: Tensor
    pairs: Tensor
    columns: ColumnWeights | None


def multi_label_supcon_loss(
    latent: Tensor,
    labels: Tensor,
    *,
    temperature: float = 0.07,
    negatives: str = "shared",
    sampled_negatives: int | None = None,
    generator: torch.Generator | None = None,
    block_size: int | None = None,
) -> Tensor:
    """Return the multi-label supervised contrastive loss of a batch (paper eq. 3).

    Each pair of a document and a label is an anchor. Its positives are the other pairs of its class: class j for the
    documents that have label j, one shared class for all negative pairs. The denominator runs over all other pairs.
    The loss is the mean over ALL B * C anchors, where an anchor without a positive counts 0, as in the authors' code;
    other supervised contrastive losses average over the anchors that have one.

    With `sampled_negatives` = s only s of the n negative pairs are drawn, without replacement, and reweighted:

    - as anchors each counts n / s times;
    - in a positive anchor's denominator each counts n / s times, in a sampled negative's (n - 1) / (s - 1) times;
    - the similarity of two pairs of a negative class counts n (n - 1) / (s (s - 1)) times.

    The similarities of positives and every denominator are then unbiased. The logarithm of a denominator is not: it
    comes out too small by about half the squared relative error of the sum, which falls as 1 / s. With s >= n nothing
    is drawn and the loss is the full one.

    Parameters
    ----------
    latent : (B, C, Z) raw latent vectors, normalised here
    labels : (B, C) of 0 and 1
    temperature : tau, at least 0.003
    negatives : "shared" (paper), "per-label" (a negative class for each label) or "none" (negatives are neither
        anchors nor in denominators; the mean stays over B * C)
    sampled_negatives : negative pairs used of a batch, at least 2; None: all
    generator : CPU generator that draws them; None takes the global one
    block_size : rows of pairs held at a time; None picks what suits the device, and keeps up to 128 MiB of pairs for
        backward. It changes memory, not the value.

    Returns
    -------
    loss : scalar, float32 or float64; gradients of first order only

    Raises
    ------
    ValueError
        On other shapes, an unknown `negatives`, fewer than 2 sampled negatives, a temperature below 0.003.

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
    if sampled_negatives is not None and sampled_negatives < 2:
        raise ValueError(f"sampled_negatives: expected None or an integer >= 2, got {sampled_negatives!r}")
    _check(temperature, block_size)
    with torch.autocast(latent.device.type, enabled=False):
        rows = _anchor_rows(labels.bool(), negatives, sampled_negatives, generator)
        z = _normalized(latent.flatten(0, 1)[rows], temperature)
        anchors = _anchors(labels.bool(), rows, negatives, z.dtype)
        paired = anchors.sizes > 1
        weights = torch.where(paired[anchors.classes], anchors.stands_for, 0)
        log_denominator = log_denominators(z, temperature, weights=anchors.columns, block_size=block_size)
        # an anchor without a positive counts 0, and alone in its batch its denominator is empty
        log_denominator = log_denominator[weights > 0] @ weights[weights > 0]
        similarity = _similarity_sums(z, anchors)[paired] @ (anchors.pairs[paired] / (anchors.sizes[paired] - 1))
        # the denominators' exponents are shifted by 1 / temperature
        return (log_denominator + (weights.sum() - similarity) / temperature) / max(labels.numel(), 1)


def _anchor_rows(
    labels: Tensor, negatives: str, sampled_negatives: int | None, generator: torch.Generator | None
) -> Tensor:
    """Flat positions of the anchors, in order: of all pairs, or of the positive and the sampled negative ones."""
    flat = labels.flatten()
    if negatives == "none":
        return flat.nonzero()[:, 0]
    n_negatives = flat.numel() - int(flat.sum())
    if sampled_negatives is None or sampled_negatives >= n_negatives:
        return torch.arange(flat.numel(), device=flat.device)
    drawn = _drawn(n_negatives, sampled_negatives, generator).to(flat.device)
    chosen = flat.clone()
    chosen[(~flat).nonzero()[drawn, 0]] = True
    return chosen.nonzero()[:, 0]


def _drawn(number: int, size: int, generator: torch.Generator | None) -> Tensor:
    """`size` different positions among `number`."""
    return torch.randperm(number, generator=generator)[:size]


def _anchors(labels: Tensor, rows: Tensor, negatives: str, dtype: torch.dtype) -> _Anchors:
    num_labels = labels.shape[1]
    positive = labels.flatten()[rows]
    label = rows % num_labels
    # class j for positives, C ("shared") or C + j ("per-label") for negatives
    classes = torch.where(positive, label, num_labels + (label if negatives == "per-label" else 0))
    of_label = labels.sum(dim=0)
    sizes = torch.cat([of_label, len(labels) - of_label]).to(dtype)
    if negatives != "per-label":
        sizes = torch.cat([sizes[:num_labels], sizes[num_labels:].sum()[None]])
    stands_for, pairs = torch.ones(len(rows), dtype=dtype, device=rows.device), torch.ones_like(sizes)
    n, s = labels.numel() - int(of_label.sum()), len(rows) - int(positive.sum())
    if negatives == "none" or s == n:
        return _Anchors(rows, classes, sizes, stands_for, pairs, None)
    stands_for[~positive] = n / s
    pairs[num_labels:] = n * (n - 1) / (s * (s - 1))
    excess = torch.full_like(stands_for, (n - 1) / (s - 1) - 1).masked_fill(positive, n / s - 1)
    return _Anchors(rows, classes, sizes, stands_for, pairs, ColumnWeights(excess, (~positive).to(dtype)))


def _similarity_sums(z: Tensor, anchors: _Anchors) -> Tensor:
    """Sum of z_a . z_b over the ordered pairs a != b of each class, (K,): |sum of z|^2 - sum of |z|^2."""
    sums = z.new_zeros(len(anchors.sizes), z.shape[1]).index_add(0, anchors.classes, z)
    squares = z.new_zeros(len(anchors.sizes)).index_add(0, anchors.classes, z.square().sum(dim=1))
    return sums.square().sum(dim=1) - squares


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
        log_denominator = log_denominators(z, temperature, block_size=block_size)
        log_denominator = log_denominator[is_anchor] @ anchors_of_document[is_anchor]
        return (log_denominator - positive / temperature) / counts.sum().clamp(min=1)


def _check(temperature: float, block_size: int | None) -> None:
    if not temperature >= MIN_TEMPERATURE:
        raise ValueError(f"temperature: expected a number >= {MIN_TEMPERATURE}, got {temperature!r}")
    if block_size is not None and block_size < 1:
        raise ValueError(f"block_size: expected None or an integer >= 1, got {block_size!r}")

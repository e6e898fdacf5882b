"""Label prototypes and the similarity of latent vectors to them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["label_prototypes", "prototype_similarity"]


def label_prototypes(latent: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of the normalised latent vectors of each label's positives (paper section 3.1).

    Parameters
    ----------
    latent : (L, C, Z) raw latent vectors of the labeled pool
    labels : (L, C) of 0 and 1

    Returns
    -------
    prototypes : (C, Z), a row of NaN where a label has no positive

    Raises
    ------
    ValueError
        On other shapes.

    Examples
    --------
    >>> latent = torch.tensor([[[2.0, 0.0], [1.0, 1.0]], [[0.0, 3.0], [1.0, 1.0]]])
    >>> label_prototypes(latent, torch.tensor([[1, 0], [1, 0]]))
    tensor([[0.5000, 0.5000],
            [   nan,    nan]])
    """
    if latent.ndim != 3 or latent.shape[:2] != labels.shape:
        raise ValueError(
            f"expected latent (L, C, Z) and labels (L, C), got {tuple(latent.shape)} and {tuple(labels.shape)}"
        )
    weights = labels.to(latent.dtype)
    sums = torch.einsum("lc,lcz->cz", weights, functional.normalize(latent, dim=-1))
    counts = weights.sum(dim=0)[:, None]
    return torch.where(counts > 0, sums / counts, torch.full_like(sums, float("nan")))


def prototype_similarity(latent: Tensor, prototypes: Tensor) -> Tensor:
    """Return k_ij, the cosine of latent vector z_ij and prototype p_j.

    Parameters
    ----------
    latent : (N, C, Z) raw latent vectors
    prototypes : (C, Z)

    Returns
    -------
    similarity : (N, C) within [-1, 1], NaN where a label has no prototype; 0 for a zero vector

    Raises
    ------
    ValueError
        When the sizes differ, as after a fit with another encoder or other branch options.

    Examples
    --------
    >>> prototype_similarity(torch.tensor([[[3.0, 4.0]]]), torch.tensor([[1.0, 0.0]]))
    tensor([[0.6000]])
    """
    if latent.ndim != 3 or latent.shape[1:] != prototypes.shape:
        raise ValueError(
            f"expected latent (N, C, Z) for prototypes (C, Z) = {tuple(prototypes.shape)}, got {tuple(latent.shape)}: "
            "were the prototypes made by another branch?"
        )
    dots = torch.einsum("ncz,cz->nc", latent, functional.normalize(prototypes, dim=-1))
    lengths = torch.linalg.vector_norm(latent, dim=-1).clamp(min=1e-12)
    return (dots / lengths).clamp(-1, 1)

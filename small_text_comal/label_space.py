"""Where documents stand among the labels: similarities to the prototypes and probabilities, in one streaming pass.

The latent tensor (N, C, Z) never exists for more than a block of documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from small_text_comal.branch import ContrastiveBranch, FoldedBranch
from small_text_comal.features import FeatureBatch
from small_text_comal.prototypes import label_prototypes, prototype_similarity

__all__ = ["LabelSpace", "latent_blocks", "project", "prototypes_in_blocks"]

Scorer = ContrastiveBranch | FoldedBranch
_LATENT_BYTES = 4 * 2**20  # of a block of latent vectors


class LabelSpace(NamedTuple):
    """Arrays (N, C) float32 of N documents.

    `similarity` to the prototypes (NaN for a label without one), `branch_probabilities` of the branch's head h' (None
    without reconstruction), `probabilities` of the classifier.
    """

    similarity: np.ndarray
    branch_probabilities: np.ndarray | None
    probabilities: np.ndarray


def latent_blocks(features: Tensor, branch: Scorer) -> Iterable[tuple[slice, Tensor]]:
    """Yield slices of the documents and their latent vectors (b, C, Z), for `features` (N, D)."""
    size = _block_size(branch)
    for start in range(0, len(features), size):
        rows = slice(start, min(start + size, len(features)))
        yield rows, branch.latent(features[rows])


def prototypes_in_blocks(features: Tensor, labels: Tensor, branch: Scorer) -> Tensor:
    """Return the label prototypes (C, Z) of the labeled pool, for `features` (L, D) and `labels` (L, C).

    As `label_prototypes`, a block of documents at a time.
    """
    counts = labels.sum(dim=0).to(features)
    sums = features.new_zeros(branch.num_classes, branch.latent_size)
    for rows, latent in latent_blocks(features, branch):
        block_counts = labels[rows].sum(dim=0).to(features)
        sums += torch.nan_to_num(label_prototypes(latent, labels[rows])) * block_counts[:, None]
    return torch.where(counts[:, None] > 0, sums / counts[:, None], torch.nan)


def project(
    batches: Iterable[FeatureBatch], n_documents: int, branch: Scorer, *, head: nn.Module, prototypes: Tensor
) -> LabelSpace:
    """Return the label space of the documents that `batches` of features bring, in the documents' own order.

    Parameters
    ----------
    batches : together each of the N documents once
    n_documents : N
    branch : gives latent vectors and logits; folded is fastest
    head : the classifier's final layer, D -> C
    prototypes : (C, Z)
    """
    size = _block_size(branch)
    shape = (n_documents, branch.num_classes)
    similarity, probabilities = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    branch_probabilities = np.empty(shape, dtype=np.float32) if branch.reconstructs else None
    for batch in batches:
        probabilities[batch.rows] = torch.sigmoid(head(batch.features)).cpu().numpy()
        if branch_probabilities is not None:
            logits = branch.logits(batch.features)
            assert logits is not None
            branch_probabilities[batch.rows] = torch.sigmoid(logits).cpu().numpy()
        latents = (branch.latent(block) for block in batch.features.split(size))
        blocks = [prototype_similarity(latent, prototypes) for latent in latents]
        similarity[batch.rows] = torch.cat(blocks).cpu().numpy()
    return LabelSpace(similarity, branch_probabilities, probabilities)


def _block_size(branch: Scorer) -> int:
    return max(1, _LATENT_BYTES // (4 * branch.num_classes * branch.latent_size))

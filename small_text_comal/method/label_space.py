"""Where documents stand among the labels: similarities to the prototypes and probabilities, in one streaming pass.

The latent tensor (N, C, Z) never exists for more than a block of documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from small_text_comal.method.branch import ContrastiveBranch, FoldedBranch
from small_text_comal.method.prototypes import label_prototypes, prototype_similarity

__all__ = ["FeatureBatch", "LabelSpace", "LabeledPrototypes", "labeled_prototypes", "latent_blocks", "project"]

Scorer = ContrastiveBranch | FoldedBranch
_LATENT_BYTES = 16 * 2**20  # of a block of latent vectors
_BLOCK_DOCUMENTS = 1024  # at most in a block
_KEPT_BYTES = 64 * 2**20  # latent vectors of a labeled pool up to this size are not computed twice


class FeatureBatch(NamedTuple):
    """`rows` (b,) of the documents and their `features` (b, D) on the model's device."""

    rows: np.ndarray
    features: Tensor


class LabelSpace(NamedTuple):
    """Where N documents of a pool, and the L labeled ones, stand among C labels; arrays of float32.

    `similarity` (N, C) and `labeled_similarity` (L, C) to the prototypes of the labeled documents, NaN for a label
    without one; `probabilities` (N, C) of the classifier; `branch_probabilities` (N, C) of the branch's head h', None
    without reconstruction or where they were not asked for.
    """

    similarity: np.ndarray
    labeled_similarity: np.ndarray
    probabilities: np.ndarray
    branch_probabilities: np.ndarray | None


class LabeledPrototypes(NamedTuple):
    """Prototypes `vectors` (C, Z), NaN without positives, and the labeled documents' own `similarity` (L, C)."""

    vectors: Tensor
    similarity: Tensor


def latent_blocks(features: Tensor, branch: Scorer) -> Iterator[Tensor]:
    """Yield the latent vectors (b, C, Z) of `features` (N, D), a block of documents at a time, in order."""
    for block in features.split(_block_size(branch)):
        with torch.no_grad():  # not across the yield
            latent = branch.latent(block)
        yield latent


def labeled_prototypes(features: Tensor, labels: Tensor, branch: Scorer) -> LabeledPrototypes:
    """Return the prototypes of the labeled pool, and its similarities to them, for `features` (L, D), `labels` (L, C).

    As `label_prototypes` and `prototype_similarity`, a block of documents at a time; the latent vectors of a small
    pool are kept between the two.
    """
    blocks: Callable[[], Iterable[Tensor]] = partial(latent_blocks, features, branch)
    if 4 * len(features) * branch.num_classes * branch.latent_size <= _KEPT_BYTES:
        kept = list(blocks())
        blocks = lambda: kept  # noqa: E731
    counts = labels.sum(dim=0).to(features)
    sums = features.new_zeros(branch.num_classes, branch.latent_size)
    for latent, block_labels in zip(blocks(), labels.split(_block_size(branch)), strict=True):
        block_counts = block_labels.sum(dim=0).to(features)
        sums += torch.nan_to_num(label_prototypes(latent, block_labels)) * block_counts[:, None]
    prototypes = torch.where(counts[:, None] > 0, sums / counts[:, None], torch.nan)
    return LabeledPrototypes(prototypes, torch.cat([prototype_similarity(latent, prototypes) for latent in blocks()]))


def project(
    batches: Iterable[FeatureBatch],
    n_documents: int,
    branch: Scorer,
    *,
    head: Callable[[Tensor], Tensor],
    prototypes: LabeledPrototypes,
    branch_probabilities: bool = True,
) -> LabelSpace:
    """Return the label space of the documents that `batches` of features bring, in the documents' own order.

    Parameters
    ----------
    batches : together each of the N documents once
    n_documents : N
    branch : gives latent vectors and logits; folded is fastest
    head : the classifier's final layer, D -> C
    prototypes : of the labeled pool
    branch_probabilities : False leaves them out
    """
    shape = (n_documents, branch.num_classes)
    similarity, probabilities = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    of_branch = np.empty(shape, dtype=np.float32) if branch.reconstructs and branch_probabilities else None
    for rows, features in _blocks_of(batches, _block_size(branch)):
        probabilities[rows] = torch.sigmoid(head(features)).cpu().numpy()
        similarity[rows] = prototype_similarity(branch.latent(features), prototypes.vectors).cpu().numpy()
        logits = None if of_branch is None else branch.logits(features)
        if of_branch is not None and logits is not None:
            of_branch[rows] = torch.sigmoid(logits).cpu().numpy()
    return LabelSpace(similarity, prototypes.similarity.cpu().numpy(), probabilities, of_branch)


def _blocks_of(batches: Iterable[FeatureBatch], size: int) -> Iterator[FeatureBatch]:
    """The same rows in blocks of `size`: each block reads all maps of the branch, an encoder's batch is too small."""
    waiting: list[FeatureBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(len(part.rows) for part in waiting) >= size:
            joined = _joined(waiting)
            whole = len(joined.rows) // size * size
            for start in range(0, whole, size):
                yield FeatureBatch(joined.rows[start : start + size], joined.features[start : start + size])
            waiting = [FeatureBatch(joined.rows[whole:], joined.features[whole:])]
    if waiting and len(waiting[-1].rows):
        yield _joined(waiting)


def _joined(batches: list[FeatureBatch]) -> FeatureBatch:
    rows, features = zip(*batches, strict=True)
    return FeatureBatch(np.concatenate(rows), torch.cat(features))


def _block_size(branch: Scorer) -> int:
    return min(_BLOCK_DOCUMENTS, max(1, _LATENT_BYTES // (4 * branch.num_classes * branch.latent_size)))

"""The latent space at a round: label embeddings, prototypes, both ends of the ranking (paper, figures 1 and 12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from small_text_comal.experiments.data.corpus import TextSet
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.running.protocol import RoundSeeds
from small_text_comal.method.prototypes import label_prototypes

__all__ = ["LatentMap", "LatentPoints", "frequent_labels", "latent_points", "project_to_plane"]

N_LABELS = 6  # as in the paper
RANKED = 100  # documents of each end of the ranking
NEGATIVES_PER_POSITIVE = 1
LABELED, FIRST, LAST = 0, 1, 2


class BranchLearner(Protocol):
    """What the figure needs of a learner whose model has a contrastive branch; positions are positions in the pool."""

    def fit(self, labeled: np.ndarray, seeds: RoundSeeds) -> None:
        """Train the model of a round."""

    def query(self, n: int) -> np.ndarray:
        """Return n positions that are not labeled, best first."""

    def label_embeddings(self, positions: np.ndarray) -> np.ndarray:
        """Return the latent vectors (len(positions), C, Z)."""


class LatentPoints(NamedTuple):
    """Normalised latent vectors z_ij of chosen documents i and labels j.

    Parameters
    ----------
    vectors : (pairs, Z)
    label : (pairs,) number of j among the chosen labels
    positive : (pairs,) bool, y_ij = 1
    source : (pairs,) LABELED, FIRST or LAST: a labeled document, or one from an end of the ranking
    prototypes : (chosen labels, Z)
    ranked : documents of each end of the ranking; 0 where fewer than two are left to rank
    """

    vectors: np.ndarray
    label: np.ndarray
    positive: np.ndarray
    source: np.ndarray
    prototypes: np.ndarray
    ranked: int


class LatentMap(NamedTuple):
    """The points in the plane: `points` (pairs, 2), `prototypes` (chosen labels, 2); the rest as in `LatentPoints`."""

    points: np.ndarray
    label: np.ndarray
    positive: np.ndarray
    source: np.ndarray
    prototypes: np.ndarray
    ranked: int


def frequent_labels(y: Any, count: int = N_LABELS) -> np.ndarray:
    """Return the `count` most frequent labels of the CSR matrix y (N, C), most frequent first.

    Examples
    --------
    >>> frequent_labels(np.array([[0, 1, 1], [0, 1, 0]]), 2).tolist()
    [1, 2]
    """
    return np.argsort(-np.asarray(y.sum(axis=0)).ravel(), kind="stable")[:count]


def latent_points(
    learner: BranchLearner, pool: TextSet, labeled: np.ndarray, chosen: Sequence[int], *, rng: np.random.Generator
) -> LatentPoints:
    """Return the points of a round's figure, for a learner that is fitted on `labeled`.

    Of the labeled documents: every positive pair with a chosen label, and as many negative pairs, drawn at random. Of
    the first and the last 100 documents of the query ranking (half of it each, where it is shorter): their positive
    pairs.

    Parameters
    ----------
    learner : fitted
    pool : its documents
    labeled : positions in the pool
    chosen : label numbers
    rng : draws the negatives
    """
    unlabeled = len(pool) - len(labeled)
    ranked = min(RANKED, unlabeled // 2)
    latent, positive = _of_chosen(learner, pool, labeled, chosen)
    # a label without labeled positives has no prototype: it is drawn at the origin
    prototypes = label_prototypes(torch.from_numpy(latent), torch.from_numpy(positive)).nan_to_num().numpy()
    pieces = [_pairs(latent, positive, LABELED)]
    if ranked:
        ranking = learner.query(unlabeled)
        for source, documents in ((FIRST, ranking[:ranked]), (LAST, ranking[-ranked:])):
            pieces.append(_pairs(*_of_chosen(learner, pool, documents, chosen), source))
    vectors, label, is_positive, origin = (np.concatenate(column) for column in zip(*pieces, strict=True))
    kept = is_positive | _drawn_negatives(is_positive, origin, rng)
    return LatentPoints(vectors[kept], label[kept], is_positive[kept], origin[kept], prototypes, ranked)


def _of_chosen(
    learner: BranchLearner, pool: TextSet, positions: np.ndarray, chosen: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the latent vectors (documents, chosen labels, Z), and whether the documents have the labels."""
    labels = list(chosen)
    return learner.label_embeddings(positions)[:, labels], pool.y[positions][:, labels].toarray() > 0


def _pairs(
    latent: np.ndarray, positive: np.ndarray, source: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return every document with every chosen label: vectors (pairs, Z), label, positive, source."""
    unit = latent / np.maximum(np.linalg.norm(latent, axis=-1, keepdims=True), 1e-12)
    label = np.broadcast_to(np.arange(positive.shape[1]), positive.shape)
    return unit.reshape(-1, unit.shape[-1]), label.ravel(), positive.ravel(), np.full(positive.size, source)


def _drawn_negatives(positive: np.ndarray, source: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    negatives = np.flatnonzero(~positive & (source == LABELED))
    wanted = min(len(negatives), NEGATIVES_PER_POSITIVE * int((positive & (source == LABELED)).sum()))
    drawn = np.zeros(len(positive), dtype=bool)
    drawn[rng.choice(negatives, wanted, replace=False)] = True
    return drawn


def project_to_plane(points: LatentPoints, *, seed: int = 0) -> LatentMap:
    """Return the t-SNE map of all points and prototypes together.

    Raises
    ------
    UserError
        When there are fewer than four points.
    """
    from sklearn.manifold import TSNE

    everything = np.concatenate([points.vectors, points.prototypes])
    if len(points.vectors) < 4:
        raise UserError(f"expected at least 4 points for a t-SNE map, got {len(points.vectors)}: choose other labels")
    perplexity = min(30.0, (len(everything) - 1) / 3)
    plane = TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(everything)
    n_points = len(points.vectors)
    return LatentMap(*points._replace(vectors=plane[:n_points], prototypes=plane[n_points:]))

"""CoMAL's criterion without cliffs: each label counts by how sure it is, and no count or cut decides alone.

NaN in a similarity means "this label has no prototype": it is left out of every sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from small_text_comal.method.criteria.criterion import CriterionScores
from small_text_comal.method.criteria.hard import comal_score
from small_text_comal.method.label_space import LabelSpace
from small_text_comal.method.thresholds import centred, micro_threshold

__all__ = [
    "SOFT",
    "SoftCriterion",
    "projection_threshold",
    "soft_cardinality_inconsistency",
    "soft_diversity",
    "soft_projection",
]

_WIDTH = 0.1  # of the step from "not projected" to "projected", in cosine


def projection_threshold(labeled_similarity: np.ndarray, labels: np.ndarray) -> float:
    """Return tau, the one similarity above which the labeled pool's labels are projected with the best micro-F1.

    Parameters
    ----------
    labeled_similarity : (L, C) of the labeled pool to the prototypes, NaN for a label without one
    labels : (L, C) of 0 and 1

    Returns
    -------
    tau : within (-1, 1), halfway between two neighbouring similarities, the highest of equally good ones; 0 where no
        label has a prototype

    Examples
    --------
    >>> projection_threshold(np.array([[0.75, np.nan], [0.5, np.nan], [0.25, np.nan]]), np.eye(3, 2, k=-1))
    0.375
    """
    known = ~np.isnan(labeled_similarity).any(axis=0)
    if not known.any():
        return 0.0
    return 2 * micro_threshold((labeled_similarity[:, known].astype(np.float64) + 1) / 2, labels[:, known]) - 1


def soft_projection(similarity: np.ndarray, threshold: float) -> np.ndarray:
    """Return kappa_ij = sigmoid((k_ij - tau) / 0.1), how surely the prototypes project a label onto a document.

    Parameters
    ----------
    similarity : (N, C) to the prototypes
    threshold : tau

    Returns
    -------
    projection : (N, C) float64 within [0, 1], NaN for a label without prototype

    Examples
    --------
    >>> soft_projection(np.array([[0.5, 0.7, np.nan]]), 0.5).round(3)
    array([[0.5  , 0.881,   nan]])
    """
    return expit((similarity.astype(np.float64) - threshold) / _WIDTH)


def soft_cardinality_inconsistency(projection: np.ndarray, cardinality: float) -> np.ndarray:
    """Return the soft SLCI: how far the number of projected labels lies from the labeled pool's label cardinality.

    That number K_i is Poisson-binomial, and this is sqrt(E[(K_i - c)^2]) = sqrt((sum_j kappa_ij - c)^2 + sum_j kappa_ij
    (1 - kappa_ij)). It becomes |count - c| (eq. 7) as kappa becomes 0 and 1, and is never 0 while a label is undecided.

    Parameters
    ----------
    projection : (N, C), kappa
    cardinality : c, mean number of labels of a labeled document

    Returns
    -------
    slci : (N,), in labels; c where no label has a prototype

    Examples
    --------
    >>> soft_cardinality_inconsistency(np.array([[1.0, 1.0, np.nan], [0.5, 0.5, np.nan]]), 1.0).round(3)
    array([1.   , 0.707])
    """
    expected = np.nansum(projection, axis=1)
    variance = np.nansum(projection * (1 - projection), axis=1)
    return np.sqrt((expected - cardinality) ** 2 + variance)


def soft_diversity(similarity: np.ndarray, centred_probabilities: np.ndarray) -> np.ndarray:
    """Return the soft PFD, sum_j q_ij (1 - k_ij): every label counts by its probability as seen from its cut.

    Parameters
    ----------
    similarity : (N, C) to the prototypes
    centred_probabilities : (N, C), q

    Returns
    -------
    pfd : (N,) float64

    Examples
    --------
    >>> soft_diversity(np.array([[0.5, 0.9, np.nan]]), np.array([[0.5, 1.0, 1.0]])).round(3)
    array([0.35])
    """
    return np.nansum(_diversities(similarity, centred_probabilities), axis=1)


def _diversities(similarity: np.ndarray, centred_probabilities: np.ndarray) -> np.ndarray:
    return centred_probabilities * (1 - similarity.astype(np.float64))


@dataclass(frozen=True)
class SoftCriterion:
    """U = SLCI^gamma * PFD^(1 - gamma) of the soft quantities; positive labels are the classifier's, at its cuts."""

    needs_branch_probabilities: bool = False
    takes_gamma: bool = True

    def scores(self, space: LabelSpace, labels: np.ndarray, thresholds: np.ndarray, gamma: float) -> CriterionScores:
        """Score a pool; see `Criterion`."""
        projection = soft_projection(space.similarity, projection_threshold(space.labeled_similarity, labels))
        centred_probabilities = centred(space.probabilities, thresholds)
        slci = soft_cardinality_inconsistency(projection, labels.sum(axis=1).mean())
        pfd = soft_diversity(space.similarity, centred_probabilities)
        return CriterionScores(
            comal_score(slci, pfd, gamma), slci, pfd, projection > 0.5, space.probabilities >= thresholds
        )

    def label_shares(self, space: LabelSpace, labels: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """Return q_ij (1 - k_ij); see `Criterion`."""
        return np.nan_to_num(_diversities(space.similarity, centred(space.probabilities, thresholds)))


SOFT = SoftCriterion()

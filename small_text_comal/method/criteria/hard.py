"""CoMAL's criterion as published: SLCI (eq. 7), PFD (eq. 8) and their product (eq. 9), in its two readings.

NaN in a similarity or threshold means "this label has no prototype": it is never a projected positive, and counts as
similarity 0 where a diversity is summed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from small_text_comal.method.criteria.criterion import CriterionScores, cardinality_gap
from small_text_comal.method.label_space import LabelSpace

__all__ = [
    "PAPER",
    "REFERENCE",
    "HardCriterion",
    "cardinality_inconsistency",
    "comal_score",
    "mean_threshold",
    "midrange_threshold",
    "positive_feature_diversity",
    "projected_labels",
    "reference_diversity",
    "reference_score",
]


def mean_threshold(similarity: np.ndarray) -> np.ndarray:
    """Return the printed threshold of eq. 7: the mean similarity over the whole labeled pool.

    Parameters
    ----------
    similarity : (L, C) of the labeled pool to the prototypes

    Returns
    -------
    threshold : (C,), NaN for a label without prototype

    Examples
    --------
    >>> mean_threshold(np.array([[0.2, 0.9], [0.4, 0.1]]))
    array([0.3, 0.5])
    """
    return similarity.mean(axis=0)


def midrange_threshold(similarity: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the threshold of the authors' code: halfway between the least and most similar positive of a label.

    Parameters
    ----------
    similarity : (L, C) of the labeled pool to the prototypes
    labels : (L, C) of 0 and 1

    Returns
    -------
    threshold : (C,), NaN for a label without positives

    Examples
    --------
    >>> midrange_threshold(np.array([[0.2, 0.9], [0.6, 0.1]]), np.array([[1, 0], [1, 0]]))
    array([0.4, nan])
    """
    positive = labels.astype(bool)
    highest = np.where(positive, similarity, -np.inf).max(axis=0)
    lowest = np.where(positive, similarity, np.inf).min(axis=0)
    middle = np.full(similarity.shape[1], np.nan)
    return np.add(highest, lowest, out=middle, where=positive.any(axis=0)) / 2


def projected_labels(similarity: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Return which labels the prototypes project onto each document: k_ij > kbar_j, (N, C) bool.

    Examples
    --------
    >>> projected_labels(np.array([[0.9, np.nan]]), np.array([0.5, np.nan])).tolist()
    [[True, False]]
    """
    return similarity > threshold


def cardinality_inconsistency(similarity: np.ndarray, threshold: np.ndarray, cardinality: float) -> np.ndarray:
    """Return SLCI (eq. 7): how far the number of projected labels lies from the labeled pool's label cardinality.

    Parameters
    ----------
    similarity : (N, C)
    threshold : (C,)
    cardinality : mean number of labels of a labeled document

    Returns
    -------
    slci : (N,), in labels

    Examples
    --------
    >>> cardinality_inconsistency(np.array([[0.9, 0.1], [0.2, 0.1]]), np.array([0.5, 0.5]), 1.5)
    array([0.5, 1.5])
    """
    return cardinality_gap(projected_labels(similarity, threshold), cardinality)


def positive_feature_diversity(similarity: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return PFD (eq. 8): the distance 1 - k_ij summed over the labels judged positive.

    Parameters
    ----------
    similarity : (N, C)
    positive : (N, C) of 0 and 1

    Returns
    -------
    pfd : (N,), 0 where no label is judged positive

    Examples
    --------
    >>> positive_feature_diversity(np.array([[0.9, 0.5], [0.2, np.nan]]), np.array([[0, 1], [0, 1]]))
    array([0.5, 1. ])
    """
    return _diversities(similarity, positive).sum(axis=1)


def _diversities(similarity: np.ndarray, positive: np.ndarray) -> np.ndarray:
    return np.where(positive, 1 - np.nan_to_num(similarity), 0.0)


def reference_diversity(similarity: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the diversity factor of the authors' code, 1 / (sum_j positive (k_ij + 1) / 2 + C * 1e-10).

    Parameters and result as `positive_feature_diversity`; about 1e10 / C where no label is judged positive, so that
    such a document comes first.

    Examples
    --------
    >>> reference_diversity(np.array([[1.0, 0.0]]), np.array([[1, 1]])).round(6)
    array([0.666667])
    """
    closeness = np.where(positive, (np.nan_to_num(similarity) + 1) / 2, 0.0).sum(axis=1)
    return 1 / (closeness + similarity.shape[1] * 1e-10)


def comal_score(slci: np.ndarray, pfd: np.ndarray, gamma: float = 0.5) -> np.ndarray:
    """Return Q = SLCI^gamma * PFD^(1 - gamma) (eq. 9).

    Parameters
    ----------
    slci, pfd : (N,), not negative
    gamma : within [0, 1]; 1 is CoMAL-SLCI, 0 is CoMAL-PFD

    Raises
    ------
    ValueError
        When gamma lies outside [0, 1].

    Examples
    --------
    >>> comal_score(np.array([4.0]), np.array([9.0]))
    array([6.])
    """
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma: expected a number within [0, 1], got {gamma!r}")
    return slci**gamma * pfd ** (1 - gamma)


def reference_score(
    similarity: np.ndarray,
    threshold: np.ndarray,
    cardinality: float,
    positive: np.ndarray,
    gamma: float = 0.5,
) -> np.ndarray:
    """Return Q as the authors' published code computes it.

    Parameters
    ----------
    similarity : (N, C)
    threshold : (C,) from `midrange_threshold`
    cardinality : mean number of labels of a labeled document
    positive : (N, C), the CLASSIFIER's predicted labels
    gamma : within [0, 1]

    Returns
    -------
    score : (N,)

    Examples
    --------
    >>> reference_score(np.array([[0.9]]), np.array([0.5]), 2.0, np.array([[1]]), gamma=1.0)
    array([1.])
    """
    slci = cardinality_inconsistency(similarity, threshold, cardinality)
    return comal_score(slci, reference_diversity(similarity, positive), gamma)


def branch_positives(space: LabelSpace, thresholds: np.ndarray) -> np.ndarray:
    """Return the labels that the branch judges positive, (N, C) bool: its head knows no cut but the printed 0.5.

    A branch without reconstruction has no head; the classifier's labels take their place.
    """
    if space.branch_probabilities is None:
        return classifier_positives(space, thresholds)
    return space.branch_probabilities >= 0.5


def classifier_positives(space: LabelSpace, thresholds: np.ndarray) -> np.ndarray:
    """Return the labels that the classifier predicts at its `thresholds` (C,), (N, C) bool."""
    return space.probabilities >= thresholds


@dataclass(frozen=True)
class HardCriterion:
    """Q = SLCI^gamma * PFD^(1 - gamma) (eq. 9), with counts and positive labels that are either in or out.

    Parameters
    ----------
    threshold : (similarity (L, C), labels (L, C)) -> (C,), above which a label is projected
    positives : (label space, thresholds (C,)) -> (N, C) bool, the labels whose diversity counts
    diversity : (similarity (N, C), positives (N, C)) -> (N,)
    needs_branch_probabilities : whether `positives` looks at the branch's head
    """

    threshold: Callable[[np.ndarray, np.ndarray], np.ndarray]
    positives: Callable[[LabelSpace, np.ndarray], np.ndarray]
    diversity: Callable[[np.ndarray, np.ndarray], np.ndarray]
    needs_branch_probabilities: bool = False
    takes_gamma: bool = True

    def scores(self, space: LabelSpace, labels: np.ndarray, thresholds: np.ndarray, gamma: float) -> CriterionScores:
        """Score a pool; see `Criterion`."""
        threshold = self.threshold(space.labeled_similarity, labels)
        positive = self.positives(space, thresholds)
        slci = cardinality_inconsistency(space.similarity, threshold, labels.sum(axis=1).mean())
        pfd = self.diversity(space.similarity, positive)
        projected = projected_labels(space.similarity, threshold)
        return CriterionScores(comal_score(slci, pfd, gamma), slci, pfd, projected, positive)

    def label_shares(self, space: LabelSpace, labels: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """Return the distance 1 - k_ij of each label judged positive; see `Criterion`."""
        return _diversities(space.similarity, self.positives(space, thresholds))


PAPER = HardCriterion(
    lambda similarity, labels: mean_threshold(similarity),
    branch_positives,
    positive_feature_diversity,
    needs_branch_probabilities=True,
)
REFERENCE = HardCriterion(midrange_threshold, classifier_positives, reference_diversity)

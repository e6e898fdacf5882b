"""How undecided the label-wise space and the classifier are, label by label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import entr

from small_text_comal.method.criteria.criterion import CriterionScores
from small_text_comal.method.criteria.soft import SOFT, projection_threshold, soft_projection
from small_text_comal.method.label_space import LabelSpace
from small_text_comal.method.thresholds import centred

__all__ = ["ENTROPY", "EntropyCriterion", "binary_entropy", "label_entropy"]


def binary_entropy(probabilities: np.ndarray) -> np.ndarray:
    """Return H(p) = -p log p - (1 - p) log(1 - p) in nats, in the shape of `probabilities`; NaN stays NaN.

    Examples
    --------
    >>> binary_entropy(np.array([0.0, 0.5, 1.0])).round(3)
    array([0.   , 0.693, 0.   ])
    """
    p = np.asarray(probabilities, dtype=np.float64)
    return entr(p) + entr(1 - p)


def label_entropy(projection: np.ndarray, centred_probabilities: np.ndarray) -> np.ndarray:
    """Return H(kappa_ij) + H(q_ij), how undecided the label-wise space and the classifier are about each label.

    Parameters
    ----------
    projection : (N, C), kappa, NaN for a label without prototype
    centred_probabilities : (N, C), q

    Returns
    -------
    entropy : (N, C) float64, in nats, at most 2 log 2; 0 for a label without prototype, whatever the classifier says

    Examples
    --------
    >>> label_entropy(np.array([[0.5, 0.5, np.nan]]), np.array([[0.5, 1.0, 0.5]])).round(3)
    array([[1.386, 0.693, 0.   ]])
    """
    return np.nan_to_num(binary_entropy(projection) + binary_entropy(centred_probabilities))


@dataclass(frozen=True)
class EntropyCriterion:
    """U = sum_j H(kappa_ij) + H(q_ij). The soft SLCI and PFD are found as well, but only to be reported."""

    needs_branch_probabilities: bool = False
    takes_gamma: bool = False

    def scores(self, space: LabelSpace, labels: np.ndarray, thresholds: np.ndarray, gamma: float) -> CriterionScores:
        """Score a pool; `gamma` makes no difference. See `Criterion`."""
        score = self.label_shares(space, labels, thresholds).sum(axis=1)
        return SOFT.scores(space, labels, thresholds, gamma)._replace(score=score)

    def label_shares(self, space: LabelSpace, labels: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """Return H(kappa_ij) + H(q_ij); see `Criterion`."""
        projection = soft_projection(space.similarity, projection_threshold(space.labeled_similarity, labels))
        return label_entropy(projection, centred(space.probabilities, thresholds))


ENTROPY = EntropyCriterion()

"""What a query criterion is asked, and what it answers."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from small_text_comal.method.label_space import LabelSpace

__all__ = ["Criterion", "CriterionScores", "cardinality_gap"]


class CriterionScores(NamedTuple):
    """What a criterion finds in a pool of N documents.

    `score` (N,) >= 0, larger is queried first; `slci` and `pfd` (N,), inconsistency and diversity; `projected` (N, C)
    bool, labels that the prototypes project onto a document; `positive` (N, C) bool, labels judged positive.
    """

    score: np.ndarray
    slci: np.ndarray
    pfd: np.ndarray
    projected: np.ndarray
    positive: np.ndarray


class Criterion(Protocol):
    """A rule that scores the documents of a pool by where they stand among the labels."""

    @property
    def needs_branch_probabilities(self) -> bool:
        """Whether it looks at the probabilities of the branch's own head."""

    @property
    def takes_gamma(self) -> bool:
        """Whether gamma weighs SLCI against PFD; a criterion without it has no use for one."""

    def scores(self, space: LabelSpace, labels: np.ndarray, thresholds: np.ndarray, gamma: float) -> CriterionScores:
        """Return the scores of N documents.

        Parameters
        ----------
        space : label space of the N documents, and similarities of the L labeled ones
        labels : (L, C) bool
        thresholds : (C,) of the classifier, above which a label is predicted
        gamma : within [0, 1]
        """

    def label_shares(self, space: LabelSpace, labels: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """Return what each label adds to what is asked about a document, (N, C) >= 0, for an explanation.

        Parameters as `scores`; usually asked for the few documents of a batch.
        """


def cardinality_gap(positive: np.ndarray, cardinality: float) -> np.ndarray:
    """Return how far each document's number of labels lies from the labeled pool's mean: |sum_j positive_ij - c|.

    Parameters
    ----------
    positive : (N, C) of 0 and 1
    cardinality : c, mean number of labels per labeled document

    Returns
    -------
    gap : (N,) float64, in labels

    Examples
    --------
    >>> cardinality_gap(np.array([[1, 1], [0, 0]]), 1.5).tolist()
    [0.5, 1.5]
    """
    return np.abs(positive.sum(axis=1) - float(cardinality))

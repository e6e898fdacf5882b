"""CoMAL: query the documents whose projected labels and positive features surprise the labeled pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from small_text_comal.method import criteria as scoring
from small_text_comal.query_strategies.base import ScoreQueryStrategy, label_cardinality, seeded_top_n

__all__ = ["CoMAL", "DocumentExplanation"]

CRITERIA = ("reference", "paper")


@dataclass(frozen=True)
class DocumentExplanation:
    """Why a document was queried.

    `index` in the dataset; `score` = slci^gamma * pfd^(1 - gamma); `projected` and `predicted` label numbers: those
    above the similarity threshold, and those judged positive; `similarity` (C,) to the prototypes, NaN without one.
    """

    index: int
    score: float
    slci: float
    pfd: float
    projected: np.ndarray
    predicted: np.ndarray
    similarity: np.ndarray


class _PoolScores(NamedTuple):
    score: np.ndarray
    slci: np.ndarray
    pfd: np.ndarray
    projected: np.ndarray
    predicted: np.ndarray
    similarity: np.ndarray


class CoMAL(ScoreQueryStrategy):
    """Contrastive multi-label active learning (Peng et al., KDD 2024): Q = SLCI^gamma * PFD^(1 - gamma) (eq. 9).

    One pass over the pool, O(N C Z D) beside the classifier's own cost.

    Parameters
    ----------
    gamma : within [0, 1]; 1 is CoMAL-SLCI, 0 is CoMAL-PFD
    criterion : "reference": threshold, positives and diversity as in the authors' code; "paper": as printed
    seed : None, int or numpy Generator; decides ties

    Attributes
    ----------
    last_scores : (N,) of the last query
    last_explanation : list of DocumentExplanation, one a queried document, best first

    Raises
    ------
    ValueError
        On gamma outside [0, 1] or an unknown criterion; in `query`, when the classifier has no contrastive branch.

    Examples
    --------
    >>> CoMAL(gamma=1.0, seed=0)
    CoMAL(gamma=1.0, criterion='reference')
    """

    def __init__(
        self,
        gamma: float = 0.5,
        *,
        criterion: str = "reference",
        seed: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__(seed=seed)
        if not isinstance(gamma, (int, float)) or not 0 <= gamma <= 1:
            raise ValueError(f"gamma: expected a number within [0, 1], got {gamma!r}")
        if criterion not in CRITERIA:
            raise ValueError(f"criterion: expected one of {CRITERIA}, got {criterion!r}")
        self.gamma = gamma
        self.criterion = criterion
        self.last_explanation: list[DocumentExplanation] = []

    def _select(
        self,
        clf: Any,
        dataset: Any,
        indices_unlabeled: np.ndarray,
        indices_labeled: np.ndarray,
        labels: np.ndarray,
        n: int,
    ) -> np.ndarray:
        pool = self._pool_scores(clf, dataset, indices_unlabeled, indices_labeled, labels)
        self.scores_ = pool.score
        positions = seeded_top_n(pool.score, n, self.rng)
        self.last_explanation = [_explanation(pool, position, indices_unlabeled[position]) for position in positions]
        return positions

    def _scores(
        self, clf: Any, dataset: Any, indices_unlabeled: np.ndarray, indices_labeled: np.ndarray, labels: np.ndarray
    ) -> np.ndarray:
        return self._pool_scores(clf, dataset, indices_unlabeled, indices_labeled, labels).score

    def _pool_scores(
        self, clf: Any, dataset: Any, indices_unlabeled: np.ndarray, indices_labeled: np.ndarray, labels: np.ndarray
    ) -> _PoolScores:
        if not hasattr(clf, "label_space") or getattr(clf, "branch", None) is None:
            raise ValueError(
                f"CoMAL needs a classifier with a contrastive branch, got {type(clf).__name__}: "
                "create it with CoMALClassificationFactory and leave its branch on"
            )
        seen = clf.labeled_space(dataset[indices_labeled], labels)
        printed = self.criterion == "paper"
        space = clf.label_space(dataset[indices_unlabeled], seen.prototypes, with_branch_probabilities=printed)
        similarity, seen_similarity = space.similarity, seen.similarity.cpu().numpy()
        if printed:
            threshold = scoring.mean_threshold(seen_similarity)
            judged = space.probabilities if space.branch_probabilities is None else space.branch_probabilities
            predicted = judged >= 0.5
            pfd = scoring.positive_feature_diversity(similarity, predicted)
        else:
            threshold = scoring.midrange_threshold(seen_similarity, labels)
            predicted = space.probabilities >= 0.5
            pfd = scoring.reference_diversity(similarity, predicted)
        projected = scoring.projected_labels(similarity, threshold)
        slci = scoring.cardinality_inconsistency(similarity, threshold, label_cardinality(labels))
        score = scoring.comal_score(slci, pfd, self.gamma)
        return _PoolScores(score, slci, pfd, projected, predicted, similarity)

    def __repr__(self) -> str:
        return f"CoMAL(gamma={self.gamma}, criterion={self.criterion!r})"

    __str__ = __repr__


def _explanation(pool: _PoolScores, position: int, index: int) -> DocumentExplanation:
    return DocumentExplanation(
        index=int(index),
        score=float(pool.score[position]),
        slci=float(pool.slci[position]),
        pfd=float(pool.pfd[position]),
        projected=np.flatnonzero(pool.projected[position]),
        predicted=np.flatnonzero(pool.predicted[position]),
        similarity=pool.similarity[position].copy(),
    )

"""CoMAL: query the documents whose projected labels and positive features surprise the labeled pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from small_text_comal.method.criteria import CRITERIA, CriterionScores
from small_text_comal.method.label_space import LabelSpace
from small_text_comal.query_strategies.base import ScoreQueryStrategy, seeded_top_n
from small_text_comal.query_strategies.pool import Pool

__all__ = ["CoMAL", "DocumentExplanation"]


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
            raise ValueError(f"criterion: expected one of {tuple(CRITERIA)}, got {criterion!r}")
        self.gamma = gamma
        self.criterion = criterion
        self.last_explanation: list[DocumentExplanation] = []

    def _select(self, pool: Pool, n: int) -> np.ndarray:
        space, found = self._found(pool)
        self.scores_ = found.score
        positions = seeded_top_n(found.score, n, self.rng)
        self.last_explanation = [
            _explanation(space, found, position, int(pool.indices[position])) for position in positions
        ]
        return positions

    def _scores(self, pool: Pool) -> np.ndarray:
        return self._found(pool)[1].score

    def _found(self, pool: Pool) -> tuple[LabelSpace, CriterionScores]:
        criterion = CRITERIA[self.criterion]
        space = pool.label_space(branch_probabilities=criterion.needs_branch_probabilities)
        return space, criterion.scores(space, pool.labels, pool.thresholds, self.gamma)

    def __repr__(self) -> str:
        return f"CoMAL(gamma={self.gamma}, criterion={self.criterion!r})"

    __str__ = __repr__


def _explanation(space: LabelSpace, found: CriterionScores, position: int, index: int) -> DocumentExplanation:
    return DocumentExplanation(
        index=index,
        score=float(found.score[position]),
        slci=float(found.slci[position]),
        pfd=float(found.pfd[position]),
        projected=np.flatnonzero(found.projected[position]),
        predicted=np.flatnonzero(found.positive[position]),
        similarity=space.similarity[position].copy(),
    )

"""CoMAL: query the documents whose projected labels and positive features surprise the labeled pool."""

from __future__ import annotations

import numpy as np

from small_text_comal.method.criteria import CRITERIA, CriterionScores
from small_text_comal.method.label_space import LabelSpace
from small_text_comal.query_strategies.base import ScoreQueryStrategy
from small_text_comal.query_strategies.batch import BATCHES
from small_text_comal.query_strategies.explanation import DocumentExplanation, explain
from small_text_comal.query_strategies.pool import Pool

__all__ = ["CoMAL", "DocumentExplanation"]

# What `CoMAL()` is; experiments decide.
DEFAULT_CRITERION = "entropy"
DEFAULT_CRITERION_WITH_GAMMA = "soft"
DEFAULT_BATCH = "herding"
DEFAULT_GAMMA = 0.5


class CoMAL(ScoreQueryStrategy):
    """Contrastive multi-label active learning (Peng et al., KDD 2024), and its continuations.

    One pass over the pool, O(N C Z D) beside the classifier's own cost; herding needs its feature vectors, too.

    Parameters
    ----------
    gamma : within [0, 1], the weight of inconsistency (SLCI) against diversity (PFD), Q = SLCI^gamma * PFD^(1 - gamma);
        1 is CoMAL-SLCI, 0 is CoMAL-PFD. None is 0.5; criterion "entropy" has no gamma.
    criterion : "reference": threshold, positives and diversity as in the authors' code; "paper": as printed; "soft":
        without hard counts and cuts; "entropy": how undecided the label-wise space and the classifier are. None is
        "entropy", and "soft" where a gamma is given
    batch : "top": the documents with the largest scores; "herding": documents that together stand for large scores
    seed : None, int or numpy Generator; decides ties, and draws the references of herding

    Attributes
    ----------
    last_scores : (N,) of the last query, each document's own, whatever the batch
    last_explanation : list of DocumentExplanation, one a queried document, best first

    Raises
    ------
    ValueError
        On gamma outside [0, 1], an unknown criterion or batch; in `query`, when the classifier has no contrastive
        branch.

    Examples
    --------
    >>> CoMAL(gamma=1.0, seed=0)
    CoMAL(gamma=1.0, criterion='soft', batch='herding')
    >>> CoMAL()
    CoMAL(criterion='entropy', batch='herding')
    """

    def __init__(
        self,
        gamma: float | None = None,
        *,
        criterion: str | None = None,
        batch: str = DEFAULT_BATCH,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__(seed=seed)
        if criterion is None:
            criterion = DEFAULT_CRITERION if gamma is None else DEFAULT_CRITERION_WITH_GAMMA
        if criterion not in CRITERIA:
            raise ValueError(f"criterion: expected one of {tuple(CRITERIA)}, got {criterion!r}")
        if batch not in BATCHES:
            raise ValueError(f"batch: expected one of {tuple(BATCHES)}, got {batch!r}")
        self.gamma = _checked_gamma(gamma, criterion)
        self.criterion = criterion
        self.batch = batch
        self.last_explanation: list[DocumentExplanation] = []

    def _select(self, pool: Pool, n: int) -> np.ndarray:
        space, found = self._found(pool)
        self.scores_ = found.score
        batch = BATCHES[self.batch](pool, found.score, n, self.rng)
        self.last_explanation = explain(pool, space, found, batch, criterion=CRITERIA[self.criterion])
        return batch.positions

    def _scores(self, pool: Pool) -> np.ndarray:
        return self._found(pool)[1].score

    def _found(self, pool: Pool) -> tuple[LabelSpace, CriterionScores]:
        criterion = CRITERIA[self.criterion]
        space = pool.label_space(branch_probabilities=criterion.needs_branch_probabilities)
        gamma = DEFAULT_GAMMA if self.gamma is None else self.gamma
        return space, criterion.scores(space, pool.labels, pool.thresholds, gamma)

    def __repr__(self) -> str:
        gamma = "" if self.gamma is None else f"gamma={self.gamma}, "
        return f"CoMAL({gamma}criterion={self.criterion!r}, batch={self.batch!r})"

    __str__ = __repr__


def _checked_gamma(gamma: float | None, criterion: str) -> float | None:
    """The gamma that a criterion works with, None where it has none."""
    if not CRITERIA[criterion].takes_gamma:
        if gamma is not None:
            raise ValueError(f"gamma: criterion {criterion!r} has none, got {gamma!r}: leave it out")
        return None
    if gamma is None:
        return DEFAULT_GAMMA
    if not isinstance(gamma, (int, float)) or not 0 <= gamma <= 1:
        raise ValueError(f"gamma: expected a number within [0, 1], got {gamma!r}")
    return gamma

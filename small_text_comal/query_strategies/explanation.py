"""Why CoMAL queried a document, in numbers and in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from small_text_comal.method.criteria import Criterion, CriterionScores
from small_text_comal.method.label_space import LabelSpace
from small_text_comal.query_strategies.batch import Batch
from small_text_comal.query_strategies.pool import Pool

__all__ = ["DocumentExplanation", "explain"]

_CAUSES = 3  # labels that are named


@dataclass(frozen=True)
class DocumentExplanation:
    """Why a document was queried; `str()` puts it in words.

    Parameters
    ----------
    index : in the dataset
    score : the document's own, of the criterion
    slci : inconsistency, by how many labels it differs from a labeled document
    pfd : diversity, how far its likely labels are from what is labeled
    projected, predicted : numbers of the labels above the similarity threshold, and of those judged positive
    similarity : (C,) to the prototypes, NaN without one
    causes : the labels that add most, largest first: (label, what it adds), see `Criterion.label_shares`
    stands_for : about how many documents of the pool it represents in the batch; None without herding
    nearest_labeled : index of the labeled document with the most similar features; None without herding
    nearest_similarity : cosine of the two feature vectors; None without herding

    Examples
    --------
    >>> why = DocumentExplanation(7, 1.2, 1.5, 0.9, [0, 2], [2], [0.6, 0.1, 0.7], ((2, 0.51), (0, 0.3)), 34, 203, 0.71)
    >>> print(why.in_words(["billing", "delivery", "refund"]).replace(". ", ".\\n"))
    document 7, score 1.2.
    Inconsistency 1.5: 2 projected labels (billing, refund).
    Diversity 0.9: 1 predicted label (refund).
    Mostly because of refund (0.51), billing (0.3).
    It stands for about 34 documents of the pool.
    The nearest labeled document is 203 (similarity 0.71).
    """

    index: int
    score: float
    slci: float
    pfd: float
    projected: np.ndarray
    predicted: np.ndarray
    similarity: np.ndarray
    causes: tuple[tuple[int, float], ...] = ()
    stands_for: int | None = None
    nearest_labeled: int | None = None
    nearest_similarity: float | None = None

    def in_words(self, label_names: Sequence[str] | None = None) -> str:
        """Return sentences on one line, with the names of the labels (C,) where they are given, else their numbers."""
        name: Callable[[int], str] = str if label_names is None else label_names.__getitem__
        causes = ", ".join(f"{name(label)} ({share:.2g})" for label, share in self.causes)
        sentences = [
            f"document {self.index}, score {self.score:.2g}",
            f"Inconsistency {self.slci:.2g}: {_counted(self.projected, 'projected', name)}",
            f"Diversity {self.pfd:.2g}: {_counted(self.predicted, 'predicted', name)}",
        ]
        if causes:
            sentences.append(f"Mostly because of {causes}")
        if self.stands_for is not None:
            sentences.append(f"It stands for about {self.stands_for} document{_s(self.stands_for)} of the pool")
        if self.nearest_labeled is not None:
            sentences.append(
                f"The nearest labeled document is {self.nearest_labeled} (similarity {self.nearest_similarity:.2g})"
            )
        return ". ".join(sentences) + "."

    def __str__(self) -> str:
        return self.in_words()


def explain(
    pool: Pool, space: LabelSpace, found: CriterionScores, batch: Batch, *, criterion: Criterion
) -> list[DocumentExplanation]:
    """Return an explanation for each document of a batch, in its order."""
    shares = criterion.label_shares(_rows(space, batch.positions), pool.labels, pool.thresholds)
    return [
        DocumentExplanation(
            index=int(pool.indices[row]),
            score=float(found.score[row]),
            slci=float(found.slci[row]),
            pfd=float(found.pfd[row]),
            projected=np.flatnonzero(found.projected[row]),
            predicted=np.flatnonzero(found.positive[row]),
            similarity=space.similarity[row].copy(),
            causes=_causes(shares[i]),
            **_place_in_batch(pool, batch, i),
        )
        for i, row in enumerate(batch.positions)
    ]


def _place_in_batch(pool: Pool, batch: Batch, i: int) -> dict[str, Any]:
    if batch.stands_for is None or batch.nearest_labeled is None or batch.nearest_similarity is None:
        return {}
    return {
        "stands_for": int(batch.stands_for[i]),
        "nearest_labeled": int(pool.labeled_indices[batch.nearest_labeled[i]]),
        "nearest_similarity": float(batch.nearest_similarity[i]),
    }


def _causes(shares: np.ndarray) -> tuple[tuple[int, float], ...]:
    largest = np.argsort(-shares, kind="stable")[:_CAUSES]
    return tuple((int(label), float(shares[label])) for label in largest if shares[label] > 0)


def _rows(space: LabelSpace, rows: np.ndarray) -> LabelSpace:
    of_branch = space.branch_probabilities
    return space._replace(
        similarity=space.similarity[rows],
        probabilities=space.probabilities[rows],
        branch_probabilities=None if of_branch is None else of_branch[rows],
    )


def _counted(labels: np.ndarray, kind: str, name: Callable[[int], str]) -> str:
    if not len(labels):
        return f"no {kind} label"
    return f"{len(labels)} {kind} label{_s(len(labels))} ({', '.join(name(int(label)) for label in labels)})"


def _s(number: int) -> str:
    return "" if number == 1 else "s"

"""What a query strategy may ask of a classifier; it never sees more of one.

Axis names: N documents, C labels, D feature size, T opinions. A classifier answers what it can; what it cannot answer,
`classifier_method` says in one sentence that names the way out.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.method.label_space import LabelSpace

__all__ = [
    "WithFeatures",
    "WithLabelSpace",
    "WithProbabilities",
    "WithSeveralOpinions",
    "check_options",
    "classifier_method",
]


class WithProbabilities(Protocol):
    """Dense probabilities and the cuts above which a label is predicted: what every strategy needs."""

    num_classes: int

    @property
    def thresholds(self) -> np.ndarray:
        """Return the cut of each label, (C,) float32, within (0, 1)."""

    def label_probabilities(self, dataset: Any) -> np.ndarray:
        """Return the probability of every label for every document, (N, C) float32."""


class WithFeatures(Protocol):
    """One vector per document, the input of the classifier's final linear layer."""

    def features(self, dataset: Any) -> np.ndarray:
        """Return the feature vectors v, (N, D) float32."""


class WithSeveralOpinions(Protocol):
    """Several plausible classifiers: passes with dropout, or heads fitted on bootstrap samples."""

    def sampled_probabilities(self, dataset: Any, samples: int = 10, *, seed: int | None = None) -> np.ndarray:
        """Return T = `samples` opinions, (T, N, C) float32; each is one classifier for all documents."""


class WithLabelSpace(Protocol):
    """A contrastive branch that says where documents stand among the labels."""

    def label_space(
        self, pool: Any, labeled: Any, labels: np.ndarray, *, branch_probabilities: bool = True
    ) -> LabelSpace:
        """Return similarities of `pool` (N documents) and `labeled` (L) to the prototypes of `labels` (L, C)."""


_WITH_A_BRANCH = (
    "create it with CoMALEmbeddingClassificationFactory or CoMALClassificationFactory and leave its branch on, or put "
    "WithContrastiveBranch around its factory"
)
_ANY_OF_OURS = "create it with CoMALEmbeddingClassificationFactory or CoMALClassificationFactory"


def classifier_method(classifier: Any, method: str, *, need: str, asker: str) -> Any:
    """Return the bound `method` of a classifier, or raise an error that names the way out.

    Parameters
    ----------
    classifier : any classifier
    method : a method of the protocols above
    need : what it gives, in words
    asker : the strategy that needs it

    Raises
    ------
    ValueError
        When the classifier has no such method, or no branch to answer it with.
    """
    found = getattr(classifier, method, None)
    if method == "label_space" and getattr(classifier, "branch", None) is None:
        found = None
    if found is None:
        way_out = _WITH_A_BRANCH if method == "label_space" else _ANY_OF_OURS
        raise ValueError(f"{asker} needs a classifier with {need}, got {type(classifier).__name__}: {way_out}")
    return found


def check_options(num_classes: object, *, multi_label: bool, branch: object) -> None:
    """Check the options that all classifiers of this package share.

    Raises
    ------
    ValueError
        When multi_label is False, num_classes is no integer >= 1, or branch neither options nor None.
    """
    if not multi_label:
        raise ValueError(
            "multi_label: expected True, got False: CoMAL is a multi-label method; "
            "use small-text's TransformerBasedClassification for single-label data"
        )
    if not isinstance(num_classes, (int, np.integer)) or num_classes < 1:
        raise ValueError(f"num_classes: expected an integer >= 1, got {num_classes!r}")
    if branch is not None and not isinstance(branch, ContrastiveBranchArguments):
        raise ValueError(f"branch: expected ContrastiveBranchArguments or None, got {type(branch).__name__}")

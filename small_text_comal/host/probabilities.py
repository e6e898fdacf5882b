"""Dense multi-label probabilities of any classifier, whatever the installed release lets out."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from small_text.integrations.pytorch.classifiers.base import PytorchClassifier

from small_text_comal.host.versions import IS_HOST_2

__all__ = ["dense_probabilities"]


def dense_probabilities(clf: Any, dataset: Any) -> np.ndarray:
    """Return the probability of every label for every document, whatever the release lets out.

    Parameters
    ----------
    clf : a multi-label classifier of this package or of small-text
    dataset : what the classifier predicts on

    Returns
    -------
    probabilities : (N, C) float64

    Raises
    ------
    ValueError
        When the classifier is single-label, or gives out only the probabilities above 0.5.
    """
    if not getattr(clf, "multi_label", False):
        raise ValueError(f"expected a multi-label classifier, got {type(clf).__name__} with multi_label=False")
    if hasattr(clf, "label_probabilities"):
        return np.asarray(clf.label_probabilities(dataset), dtype=float)
    if IS_HOST_2 and isinstance(clf, PytorchClassifier) and not _is_setfit(clf):
        # The base class keeps what lies above the threshold; its subclasses drop the argument on the way.
        proba = PytorchClassifier.predict_proba(clf, dataset, multi_label_threshold=-1.0)
    elif IS_HOST_2 and _is_setfit(clf):
        proba = clf.predict_proba(dataset, multi_label_threshold=-1.0)
    else:
        proba = clf.predict_proba(dataset)
    if issparse(proba):
        if proba.nnz != proba.shape[0] * proba.shape[1]:
            raise ValueError(
                f"{type(clf).__name__} gives out thresholded probabilities only: use CoMALClassificationFactory, "
                "or small-text 1.4.1, whose predict_proba is dense"
            )
        proba = proba.toarray()
    return np.asarray(proba, dtype=float)


def _is_setfit(clf: Any) -> bool:
    return any(base.__name__ == "SetFitClassification" for base in type(clf).__mro__)

"""The scikit-learn head that small-text's SetFit ends in, which can be fitted again to other documents."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["sklearn_head"]


def sklearn_head(classifier: Any) -> BaseEstimator | None:
    """Return the scikit-learn estimator on top of a classifier's features; None where it ends in something else."""
    if getattr(classifier, "use_differentiable_head", None) is not False:
        return None
    model = getattr(classifier, "model", None)
    head = getattr(model, "model_head", None)
    return head if isinstance(head, BaseEstimator) else None

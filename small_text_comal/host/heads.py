"""The scikit-learn head that small-text's SetFit ends in, which can be fitted again to other documents."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["ends_in_sklearn_head", "sklearn_head"]


def ends_in_sklearn_head(classifier: Any) -> bool:
    """Return whether a classifier, fitted or not, is SetFit with a scikit-learn head."""
    return getattr(classifier, "use_differentiable_head", None) is False


def sklearn_head(classifier: Any) -> BaseEstimator | None:
    """Return the scikit-learn estimator on top of a fitted classifier's features; None where it ends otherwise."""
    head = getattr(getattr(classifier, "model", None), "model_head", None)
    return head if ends_in_sklearn_head(classifier) and isinstance(head, BaseEstimator) else None

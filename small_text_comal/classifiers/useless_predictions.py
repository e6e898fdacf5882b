"""A classifier that predicts nothing is said, not returned in silence."""

from __future__ import annotations

import warnings

import numpy as np

__all__ = ["warn_if_nothing_is_predicted"]


def warn_if_nothing_is_predicted(probabilities: np.ndarray, thresholds: np.ndarray, labels: np.ndarray) -> None:
    """Warn when no label is predicted for any labeled document, although they have some.

    Parameters
    ----------
    probabilities : (L, C) of the labeled documents
    thresholds : (C,)
    labels : (L, C) of 0 and 1
    """
    if not labels.any() or (probabilities > thresholds).any():
        return
    warnings.warn(
        f"the classifier predicts no label for any of its {len(labels)} labeled documents, which have "
        f"{int(labels.sum())}: the largest probability is {float(probabilities.max()):.3f}, the smallest cut "
        f"{float(thresholds.min()):.3f}. Leave threshold='auto' on, train for longer (num_epochs, lr), or take "
        "CoMALEmbeddingClassification, which learns from fewer labels",
        stacklevel=4,
    )

"""Feature vectors of small-text's own classifiers, which call them embeddings."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch

__all__ = ["feature_vectors"]


def feature_vectors(clf: Any, dataset: Any) -> np.ndarray:
    """Return what `clf.embed(dataset)` gives, without gradients and, on 1.x, without its progress bar.

    Parameters
    ----------
    clf : a fitted classifier of small-text. SetFit gives the vectors of its trained sentence encoder, which its head
        sees (on 1.x not with a differentiable head), KimCNN its pooled convolutions, which its final layer sees.
        TransformerBasedClassification gives a mean over the last hidden states, without [CLS] but with padding, which
        is not what its head sees.
    dataset : N documents

    Returns
    -------
    features : (N, D) float32

    Raises
    ------
    ValueError
        When the classifier cannot embed as it was configured.
    """
    quiet = (
        {"pbar": None} if "pbar" in inspect.signature(clf.embed).parameters else {}
    )  # 2.x: as the model's arguments say
    try:
        with torch.no_grad():
            return np.asarray(clf.embed(dataset, **quiet), dtype=np.float32)
    except NotImplementedError as error:
        raise ValueError(
            f"{type(clf).__name__} gives no embeddings on this release as it is configured "
            "(SetFit with a differentiable head): leave that option out, or use small-text 2.x"
        ) from error

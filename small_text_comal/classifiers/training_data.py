"""From multi-label datasets to documents and labels for training, checked, with validation documents set aside."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from small_text_comal.encoder.documents import Documents

__all__ = ["LabeledDocuments", "dataset_labels", "split_keeping_labels", "training_sets"]


class LabeledDocuments(NamedTuple):
    """Documents, their labels (N, C) float32 and, or None, their sample weights (N,)."""

    documents: Documents
    labels: Tensor
    weights: Tensor | None = None


def training_sets(
    train_set: Any,
    validation_set: Any,
    *,
    num_classes: int,
    validation_share: float,
    weights: np.ndarray | None = None,
) -> tuple[LabeledDocuments, LabeledDocuments | None]:
    """Return the documents to train and to validate on (None where nothing can be spared for validation).

    Parameters
    ----------
    train_set, validation_set : multi-label datasets with small-text's ``data``, ``y`` and ``is_multi_label``;
        without a validation set a share of the training set is split off
    num_classes : C
    validation_share : within (0, 1)
    weights : (N,) sample weights of the training set, or None

    Raises
    ------
    ValueError
        On an empty training set, one without any positive label, labels outside the classes, single-label data.
    """
    labels = torch.from_numpy(dataset_labels(train_set, num_classes, "training set"))
    if len(labels) == 0:
        raise ValueError("expected a training set with at least one document, got an empty one")
    if not labels.any():
        raise ValueError(
            f"expected at least one positive label in the training set, got {len(labels)} documents without any: "
            "start from label_covering_initialization"
        )
    sample_weights = None if weights is None else torch.as_tensor(np.asarray(weights), dtype=torch.float32)
    train = LabeledDocuments(Documents(train_set.data), labels, sample_weights)
    if validation_set is not None and len(validation_set):
        valid_labels = torch.from_numpy(dataset_labels(validation_set, num_classes, "validation set"))
        return train, LabeledDocuments(Documents(validation_set.data), valid_labels)
    keep, split_off = split_keeping_labels(labels.numpy(), validation_share)
    return _subset(train, keep), _subset(train, split_off)._replace(weights=None) if len(split_off) else None


def dataset_labels(dataset: Any, num_classes: int, name: str) -> np.ndarray:
    """Return the 0/1 labels (N, C) float32 of a multi-label dataset; `name` is what errors call it.

    Raises
    ------
    ValueError
        On single-label data or labels outside the C classes.
    """
    if not getattr(dataset, "is_multi_label", False):
        raise ValueError(f"expected a multi-label {name} (labels as a CSR matrix), got single-label data")
    labels = np.zeros((len(dataset), num_classes), dtype=np.float32)
    if len(dataset) == 0:
        return labels
    y = dataset.y.tocoo()
    if y.nnz and y.col.max() >= num_classes:
        raise ValueError(f"label {int(y.col.max())} of the {name} lies outside the classifier's {num_classes} classes")
    labels[y.row, y.col] = y.data > 0
    return labels


def split_keeping_labels(labels: np.ndarray, share: float, rng: Any = np.random) -> tuple[np.ndarray, np.ndarray]:
    """Split off validation documents, such that no label loses its last positive in training.

    Parameters
    ----------
    labels : (N, C) of 0 and 1
    share : wanted share of validation documents, within (0, 1); fewer where labels would be lost
    rng : has ``permutation``; small-text splits with NumPy's global generator, and so does the default

    Returns
    -------
    train, valid : positions; `valid` may be empty

    Examples
    --------
    >>> train, valid = split_keeping_labels(np.array([[1], [0], [0]]), 0.5, np.random.default_rng(0))
    >>> 0 in train
    True
    """
    if not 0 < share < 1:
        raise ValueError(f"validation_set_size: expected a number within (0, 1), got {share}")
    labels = labels.astype(bool)
    left = labels.sum(axis=0)
    wanted = len(labels) - int(len(labels) * (1 - share))
    is_valid = np.zeros(len(labels), dtype=bool)
    for row in rng.permutation(len(labels)):
        if is_valid.sum() >= min(wanted, len(labels) - 1):
            break
        if (left[labels[row]] > 1).all():
            is_valid[row] = True
            left -= labels[row]
    return np.flatnonzero(~is_valid), np.flatnonzero(is_valid)


def _subset(data: LabeledDocuments, rows: np.ndarray) -> LabeledDocuments:
    positions = torch.from_numpy(rows)
    weights = None if data.weights is None else data.weights[positions]
    return LabeledDocuments(data.documents.subset(rows), data.labels[positions], weights)

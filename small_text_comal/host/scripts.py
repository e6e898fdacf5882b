"""What a script needs to run on both releases: datasets, model arguments, the start of a learner."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from small_text import PoolBasedActiveLearner, TextDataset, TransformerModelArguments, TransformersDataset

import small_text_comal.host.repairs  # noqa: F401 (datasets work with newer libraries)
from small_text_comal.host.versions import IS_HOST_2

__all__ = ["initialize_learner", "make_dataset", "make_text_dataset", "model_arguments", "setfit_factory"]


def make_dataset(
    texts: Any, y: csr_matrix, tokenizer: Any, *, num_classes: int, max_length: int = 512
) -> TransformersDataset:
    """Return a multi-label TransformersDataset that knows all its classes (N texts, y (N, C) CSR)."""
    return TransformersDataset.from_arrays(
        texts, y, tokenizer, target_labels=np.arange(num_classes), max_length=max_length
    )


def make_text_dataset(texts: Any, y: csr_matrix, *, num_classes: int) -> TextDataset:
    """Return a multi-label TextDataset that knows all its classes (N texts, y (N, C) CSR)."""
    return TextDataset(list(texts), y, target_labels=np.arange(num_classes))


def setfit_factory(model: str, num_classes: int, *, max_length: int, device: str) -> Any:
    """Return a factory of small-text's multi-label SetFit, with its keywords as the release names them."""
    from small_text import SetFitClassificationFactory, SetFitModelArguments  # only there with the extra `setfit`

    keywords = {"multi_label": True, "device": device, ("max_length" if IS_HOST_2 else "max_seq_len"): max_length}
    return SetFitClassificationFactory(SetFitModelArguments(model), num_classes, keywords)


def model_arguments(
    model: str, *, train_batch_size: int = 12, predict_batch_size: int = 12
) -> tuple[TransformerModelArguments, dict[str, Any]]:
    """Return TransformerModelArguments and the keywords that belong to the classifier, as the release wants them."""
    if IS_HOST_2:
        sizes = {"train_batch_size": train_batch_size, "predict_batch_size": predict_batch_size}
        return TransformerModelArguments(model, **sizes), {}
    return TransformerModelArguments(model), {"mini_batch_size": train_batch_size}


def initialize_learner(learner: PoolBasedActiveLearner, indices: np.ndarray, y: csr_matrix) -> None:
    """Start a learner with the labeled documents `indices`, whose labels are the rows of y (L, C)."""
    if IS_HOST_2:
        if learner.dataset.y[indices].shape != y.shape or (learner.dataset.y[indices] != y).nnz:
            raise ValueError("small-text 2.x takes the initial labels from dataset.y, which differ from the given y")
        learner.initialize(indices)
    else:
        learner.initialize_data(indices, y)

"""What a dataset of small-text holds: texts, or documents that are tokenised already."""

from __future__ import annotations

from typing import Any

from small_text import TextDataset, TransformersDataset
from small_text.data.datasets import TextDatasetView
from small_text.integrations.transformers.datasets import TransformersDatasetView

import small_text_comal.host.repairs  # noqa: F401 (views of text datasets can be read)

__all__ = ["texts_of"]


def texts_of(dataset: Any) -> list[str] | None:
    """Return the texts of a `TextDataset` or a view of one, None for a `TransformersDataset`, which holds tokens.

    Raises
    ------
    ValueError
        On any other kind of dataset.
    """
    if isinstance(dataset, (TextDataset, TextDatasetView)):
        return list(dataset.x)
    if isinstance(dataset, (TransformersDataset, TransformersDatasetView)):
        return None
    raise ValueError(f"expected a TextDataset or a TransformersDataset, got {type(dataset).__name__}")

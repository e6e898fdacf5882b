"""Two methods of small-text 1.x that newer libraries broke, repaired on import; nothing else of it is changed."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from packaging.version import Version
from small_text import TransformersDataset
from small_text.data.datasets import TextDatasetView

from small_text_comal.host.versions import IS_HOST_2, TRANSFORMERS_VERSION

__all__: list[str] = []


def _repair_from_arrays() -> None:
    """Let `TransformersDataset.from_arrays` run on transformers 5.

    It calls ``tokenizer.encode_plus``, which transformers 5 dropped; ``tokenizer(...)`` does the same.
    """
    original = TransformersDataset.from_arrays.__func__

    @functools.wraps(original)
    def from_arrays(cls: Any, texts: Any, y: Any, tokenizer: Any, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(tokenizer, "encode_plus"):
            tokenizer = _WithEncodePlus(tokenizer)
        return original(cls, texts, y, tokenizer, *args, **kwargs)

    TransformersDataset.from_arrays = classmethod(from_arrays)


class _WithEncodePlus:
    def __init__(self, tokenizer: Any) -> None:
        self.encode_plus = tokenizer


def _repair_text_views() -> None:
    """Let views of a `TextDataset` read their texts on NumPy 2, which made ``np.lib.index_tricks`` private."""
    original = TextDatasetView.x

    def x(view: Any) -> list[str]:
        if isinstance(view.selection, (int, np.integer)):
            return [view.dataset.x[view.selection]]
        return [view.dataset.x[row] for row in np.arange(len(view.dataset))[view.selection]]

    TextDatasetView.x = property(x, original.fset, doc=original.__doc__)


if not IS_HOST_2 and Version("5.dev0") <= TRANSFORMERS_VERSION:
    _repair_from_arrays()
if not IS_HOST_2 and Version("2") <= Version(np.__version__):
    _repair_text_views()

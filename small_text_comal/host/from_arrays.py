"""`TransformersDataset.from_arrays` of small-text 1.x on transformers 5, repaired on import."""

from __future__ import annotations

import functools
from typing import Any

from packaging.version import Version
from small_text import TransformersDataset

from small_text_comal.host.versions import IS_HOST_2, TRANSFORMERS_VERSION

__all__: list[str] = []


def _repair_from_arrays() -> None:
    """Let `TransformersDataset.from_arrays` of small-text 1.x run on transformers 5.

    It calls ``tokenizer.encode_plus``, which transformers 5 dropped; ``tokenizer(...)`` does the same. Nothing else of
    small-text is touched, and no other pair of releases.
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


if not IS_HOST_2 and Version("5.dev0") <= TRANSFORMERS_VERSION:
    _repair_from_arrays()

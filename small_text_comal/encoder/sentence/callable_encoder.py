"""A callable texts -> (N, D) as an encoder: what it returns is checked, row by row."""

from __future__ import annotations

import functools
import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

__all__ = ["CallableEncoder", "checked_vectors"]

_TEXTS_A_CALL = 256
_WORDS_SHOWN = 8


class CallableEncoder:
    """An embedding function of any library or service.

    Parameters
    ----------
    function : texts (list of n str) -> (n, D) NumPy array, torch tensor or list of rows
    name : the identity of the vectors, chosen by the user: change it when the function changes. None: the vectors
        belong to this function object in this process, and cannot be kept in a folder
    batch_size : texts a call

    Attributes
    ----------
    text_fingerprint : what vectors of texts are stored under
    """

    def __init__(
        self, function: Callable[[list[str]], Any], name: str | None = None, batch_size: int | None = None
    ) -> None:
        self.function = function
        self.batch_size = batch_size or _TEXTS_A_CALL
        identity = f"this process {_identity(function)}" if name is None else f"named {name}"
        self.text_fingerprint = hashlib.blake2b(f"callable {identity}".encode()).hexdigest()

    @functools.cached_property
    def dimension(self) -> int:
        """D, learned by embedding one word."""
        return checked_vectors(self.function(["word"]), ["word"]).shape[1]

    def embed_texts(self, texts: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions (b,) and vectors (b, D) float32 of the texts, in their order."""
        for start in range(0, len(texts), self.batch_size):
            part = texts[start : start + self.batch_size]
            vectors = checked_vectors(self.function(list(part)), part)
            yield np.arange(start, start + len(part)), vectors


@functools.lru_cache(maxsize=64)
def _identity(function: Callable) -> str:
    """One name for equal functions, such as one bound method taken twice; the cache keeps their `id` from reuse."""
    return uuid.uuid4().hex


def checked_vectors(output: Any, texts: Sequence[str]) -> np.ndarray:
    """Return what an embedding function gave for `texts` as (n, D) float32.

    Raises
    ------
    ValueError
        When it is not a matrix of n rows of finite numbers; names the first bad row and its text.

    Examples
    --------
    >>> checked_vectors([[1, 0], [0, 2]], ["a", "b"]).dtype
    dtype('float32')
    """
    expected = f"the encoder's output: expected ({len(texts)}, D) numbers for {len(texts)} texts, got "
    try:
        vectors = _as_array(output)
    except (ValueError, TypeError, RuntimeError) as error:  # the last from torch
        raise ValueError(f"{expected}rows of different length or no numbers ({error})") from None
    if vectors.dtype.kind not in "fiu":
        raise ValueError(f"{expected}an array of type {vectors.dtype}")
    if vectors.ndim != 2 or len(vectors) != len(texts) or vectors.shape[1] == 0:
        raise ValueError(f"{expected}shape {vectors.shape}")
    with np.errstate(over="ignore"):  # what is beyond float32 is found below
        vectors = vectors.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        words = " ".join(texts[bad[0]].split()[:_WORDS_SHOWN])
        raise ValueError(f"{expected}NaN or infinity in row {bad[0]}, for the text that begins {words!r}")
    return vectors


def _as_array(output: Any) -> np.ndarray:
    if isinstance(output, (list, tuple)) and output and all(isinstance(row, torch.Tensor) for row in output):
        output = torch.stack(list(output))
    if isinstance(output, torch.Tensor):
        return output.detach().cpu().to(torch.float32 if output.is_floating_point() else output.dtype).numpy()
    return np.asarray(output)

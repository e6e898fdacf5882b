"""Token sequences without their padding, and batches of similar length."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

__all__ = ["Documents", "length_sorted_batches", "shuffled_batches"]

_CHUNK = 1024
_IDS, _MASK = 0, 1  # places in a row
_BATCHES_SORTED_TOGETHER = 16


class Documents:
    """The token ids of N documents, trimmed at their last real token.

    Only trailing padding is dropped: a tokenizer that pads on the left keeps its padding and its mask, since many
    encoders count positions from the first token.

    Parameters
    ----------
    rows : pairs (or longer tuples, as small-text's datasets hold) of ids (1, S) and attention mask (1, S)

    Attributes
    ----------
    lengths : (N,) int64
    padded_length : the longest S, what a batch without trimming would be padded to

    Notes
    -----
    Besides the caller's tensors it holds one reference and one length per document: two views per document took
    80 MiB for 100,000 documents.

    Examples
    --------
    >>> documents = Documents([(torch.tensor([[5, 6, 0]]), torch.tensor([[1, 1, 0]]))])
    >>> documents.ids, documents.padded_length
    ([tensor([5, 6])], 3)
    """

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self._rows: list[Sequence[Any]] = []
        self.padded_length = 0
        lengths = [np.zeros(0, dtype=np.int64)]
        iterator = iter(rows)
        while chunk := list(islice(iterator, _CHUNK)):
            self._rows += chunk
            widths = {row[0].shape[-1] for row in chunk}
            self.padded_length = max(self.padded_length, *widths)
            groups = [chunk] if len(widths) == 1 else [[row] for row in chunk]
            lengths += [_trimmed_lengths(group) for group in groups]
        self.lengths = np.concatenate(lengths)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def ids(self) -> list[Tensor]:
        """Token ids (S,) int64 of each document; views of the caller's tensors."""
        return [self._trimmed(row, _IDS) for row in range(len(self))]

    def _trimmed(self, row: int, part: int) -> Tensor:
        return self._rows[row][part].reshape(-1)[: self.lengths[row]]

    def subset(self, rows: np.ndarray) -> Documents:
        """Return the documents at the positions `rows`."""
        subset = Documents([])
        subset._rows = [self._rows[row] for row in rows]
        subset.lengths, subset.padded_length = self.lengths[rows], self.padded_length
        if "keys" in self.__dict__:
            subset.keys = [self.keys[row] for row in rows]
        return subset

    def padded(
        self, rows: np.ndarray, device: torch.device | str, pad_id: int = 0, *, trimmed: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return ids and mask (B, S) of the documents `rows`, padded with `pad_id` and mask 0, on `device`.

        S is their greatest length; without `trimmed`, they keep all the padding that the caller's tensors have.
        """
        return self._padded(rows, _IDS, device, pad_id, trimmed), self._padded(rows, _MASK, device, 0, trimmed)

    def padded_mask(self, rows: np.ndarray, device: torch.device | str) -> Tensor:
        """Return the mask (B, S) of the documents `rows` on `device`."""
        return self._padded(rows, _MASK, device, 0, trimmed=True)

    def _padded(self, rows: np.ndarray, part: int, device: torch.device | str, value: int, trimmed: bool) -> Tensor:
        whole = [self._trimmed(row, part) if trimmed else self._rows[row][part].reshape(-1) for row in rows]
        return pad_sequence(whole, batch_first=True, padding_value=value).to(device, non_blocking=True)

    @cached_property
    def keys(self) -> list[bytes]:
        """16 bytes per document that tell its tokens from any other's."""
        return [_content_key(self._trimmed(row, _IDS), self._trimmed(row, _MASK)) for row in range(len(self))]


def _trimmed_lengths(rows: list[Sequence[Any]]) -> np.ndarray:
    """Lengths (B,) up to the last real token, of rows padded to one width."""
    mask = torch.cat([row[_MASK].reshape(1, -1) for row in rows])
    lengths = mask.shape[1] - mask.flip(1).ne(0).int().argmax(dim=1)
    lengths[mask.ne(0).sum(dim=1) == 0] = 1  # a document without tokens still needs one position
    return lengths.cpu().numpy().astype(np.int64)


def _content_key(ids: Tensor, mask: Tensor) -> bytes:
    digest = hashlib.blake2b(ids.cpu().contiguous().numpy().astype(np.int64).tobytes(), digest_size=16)
    if not mask.all():
        digest.update(b"mask" + mask.cpu().contiguous().numpy().astype(np.int8).tobytes())
    return digest.digest()


def length_sorted_batches(lengths: np.ndarray, token_budget: int) -> Iterator[np.ndarray]:
    """Yield positions of documents in batches of similar length, longest first.

    Parameters
    ----------
    lengths : (N,) tokens of each document
    token_budget : at most this many tokens per batch, padding included; a longer document is a batch of its own

    Yields
    ------
    positions : (B,) int64; together each of the N once

    Examples
    --------
    >>> [batch.tolist() for batch in length_sorted_batches(np.array([1, 4, 2, 3]), 6)]
    [[1], [3, 2], [0]]
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, token_budget // int(lengths[order[start]]))
        yield order[start : start + size]
        start += size


def shuffled_batches(lengths: np.ndarray, batch_size: int, generator: torch.Generator | None = None) -> list[Tensor]:
    """Return random training batches whose documents are of similar length, in random order.

    Documents are shuffled; each run of 16 batches is then sorted by length before it is cut. A batch is padded to its
    longest document, and in a batch drawn without regard to length that is often twice the mean.

    Parameters
    ----------
    lengths : (N,) tokens of each document
    batch_size : documents of a batch; one batch, anywhere in the order, may be smaller
    generator : None takes PyTorch's global one, as small-text's own loaders do

    Returns
    -------
    batches : positions (B,) int64; together each of the N once

    Examples
    --------
    >>> batches = shuffled_batches(np.array([9, 1, 8, 2]), 2, torch.Generator().manual_seed(0))
    >>> sorted(sorted(batch.tolist()) for batch in batches)
    [[0, 2], [1, 3]]
    """
    order = torch.randperm(len(lengths), generator=generator)
    batches: list[Tensor] = []
    for chunk in order.split(batch_size * _BATCHES_SORTED_TOGETHER):
        by_length = torch.from_numpy(np.argsort(lengths[chunk.numpy()], kind="stable"))
        batches += chunk[by_length].split(batch_size)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]

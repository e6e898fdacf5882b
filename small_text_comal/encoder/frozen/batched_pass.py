"""A pass over documents in batches of similar length that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from small_text_comal.encoder.documents import Documents, length_sorted_batches
from small_text_comal.encoder.notes import note_once

__all__ = ["batched_pass"]

Compute = Callable[[Documents, np.ndarray], Tensor]

_OUT_OF_MEMORY = "out of CUDA memory: continuing with half as many documents per batch, as often as needed"


def batched_pass(
    compute: Compute, documents: Documents, batch_size: int, *, rows: np.ndarray, trim: bool, progress: bool = False
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Yield batches of the documents `rows` with what `compute` returns for them, in inference mode.

    When CUDA memory runs out, the rest is computed in batches of half the size.

    Parameters
    ----------
    compute : takes the documents and the positions (B,) of a batch
    batch_size : counts documents padded to `padded_length`: a batch has at most as many tokens
    rows : positions of the documents to pass over, int64
    trim : whether `compute` cuts off the padding; else each document counts with all of it
    progress : show a progress bar on a terminal

    Raises
    ------
    torch.cuda.OutOfMemoryError
        When a single document does not fit.

    Examples
    --------
    >>> documents = Documents([(torch.ones(1, n), torch.ones(1, n)) for n in (1, 4, 2, 3)])
    >>> def count_tokens(documents, rows):
    ...     return documents.lengths[rows].sum()
    >>> batches = batched_pass(count_tokens, documents, 2, rows=np.arange(4), trim=True)
    >>> [(rows.tolist(), int(tokens)) for rows, tokens in batches]
    [([1, 3], 7), ([2, 0], 3)]
    """
    lengths = documents.lengths if trim else np.full(len(documents), documents.padded_length)
    with tqdm(total=len(rows), unit="doc", leave=False, disable=None if progress else True) as bar:
        waiting = _stacked(rows, lengths, batch_size * documents.padded_length)
        while waiting:
            batch = waiting.pop()
            try:
                with torch.inference_mode():  # never across the yield: the caller's code must not run in it
                    result = compute(documents, batch)
            except torch.cuda.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                note_once(_OUT_OF_MEMORY)
                rest = np.concatenate([batch, *reversed(waiting)])
                waiting = _stacked(rest, lengths, len(batch) * int(lengths[batch].max()) // 2)
                continue
            yield batch, result
            bar.update(len(batch))


def _stacked(rows: np.ndarray, lengths: np.ndarray, token_budget: int) -> list[np.ndarray]:
    """The documents `rows` in batches of similar length, the longest on top."""
    return [rows[batch] for batch in length_sorted_batches(lengths[rows], token_budget)][::-1]

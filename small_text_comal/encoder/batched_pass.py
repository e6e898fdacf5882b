"""A pass over documents in batches of similar length that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from small_text_comal.encoder.documents import length_sorted_batches
from small_text_comal.encoder.notes import note_once

__all__ = ["batched_pass"]

_OUT_OF_MEMORY = "out of CUDA memory: continuing with half as many documents per batch, as often as needed"


def batched_pass(
    compute: Callable[[np.ndarray], Tensor],
    rows: np.ndarray,
    lengths: np.ndarray,
    token_budget: int,
    *,
    progress: bool = False,
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Yield batches of the documents `rows` with what `compute` returns for them, in inference mode.

    When CUDA memory runs out, the rest is computed in batches of half the size.

    Parameters
    ----------
    compute : takes positions (B,) of documents
    rows : positions of the documents to pass over, int64
    lengths : (N,) tokens of all documents
    token_budget : at most this many tokens per batch, padding included; a longer document is a batch of its own
    progress : show a progress bar on a terminal

    Raises
    ------
    torch.cuda.OutOfMemoryError
        When a single document does not fit.

    Examples
    --------
    >>> lengths = np.array([1, 4, 2, 3])
    >>> passed = batched_pass(lambda rows: torch.tensor(lengths[rows]).sum(), np.arange(4), lengths, 6)
    >>> [(batch.tolist(), int(total)) for batch, total in passed]
    [([1], 4), ([3, 2], 5), ([0], 1)]
    """
    with tqdm(total=len(rows), unit="doc", leave=False, disable=None if progress else True) as bar:
        waiting = _stacked(rows, lengths, token_budget)
        while waiting:
            batch = waiting.pop()
            try:
                with torch.inference_mode():  # never across the yield: the caller's code must not run in it
                    result = compute(batch)
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

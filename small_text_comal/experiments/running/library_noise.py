"""Libraries kept quiet, and within their share of the machine, during a run."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

__all__ = ["calm_libraries", "limited_threads"]


@contextmanager
def calm_libraries(*, verbose: bool) -> Iterator[None]:
    """Keep the bars and messages of transformers and small-text off the screen, unless `verbose`."""
    from transformers.utils import logging

    # forked tokenizers would print a warning for every worker
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with warnings.catch_warnings():
        # small-text warns that `from_arrays`, which makes its data sets, is experimental
        warnings.filterwarnings("ignore", message=".*is experimental", category=UserWarning)
        # small-text 1.x warns of a call of its own
        warnings.filterwarnings("ignore", message="The function get_flattened_unique_labels")
        if verbose:
            yield
            return
        before, bars = logging.get_verbosity(), os.environ.get("SMALL_TEXT_PROGRESS_BARS")
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        os.environ["SMALL_TEXT_PROGRESS_BARS"] = "0"
        try:
            yield
        finally:
            logging.set_verbosity(before)
            logging.enable_progress_bar()
            del os.environ["SMALL_TEXT_PROGRESS_BARS"]
            if bars is not None:
                os.environ["SMALL_TEXT_PROGRESS_BARS"] = bars


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Give torch and NumPy `threads` CPU threads; sums over another number of threads differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)

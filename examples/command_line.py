"""What both examples share at the command line: arguments, complaints, and libraries kept quiet."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from json_lines import Corpus
from transformers.utils import logging


def example_parser(description: str, *, data_required: bool) -> argparse.ArgumentParser:
    """Return a parser with the arguments that the examples share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data",
        type=Path,
        required=data_required,
        metavar="FILE",
        help='documents to query from: one {"text": "...", "labels": ["...", ...]} a line',
    )
    parser.add_argument(
        "--test-data", type=Path, metavar="FILE", help="documents to measure on (default: a fifth of the data)"
    )
    parser.add_argument(
        "--model",
        required=data_required,
        metavar="NAME",
        help="name of a Hugging Face model, or its folder; a sentence encoder stays fixed, any other is fine-tuned",
    )
    parser.add_argument(
        "--learning-rate", type=float, default=1e-4, metavar="X", help="learning rate of fine-tuning (default: 1e-4)"
    )
    parser.add_argument(
        "--frozen-layers",
        type=int,
        metavar="N",
        help="layers that fine-tuning leaves as they are, with the embeddings (default: three quarters)",
    )
    for name, default, meaning in (
        ("--rounds", 4, "rounds of queries"),
        ("--batch", 20, "documents a query"),
        ("--seed", 1, "same seed, same result"),
    ):
        parser.add_argument(name, type=_positive, default=default, metavar="N", help=f"{meaning} (default: {default})")
    return parser


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"expected an integer >= 1, got {text!r}")
    return int(text)


@contextmanager
def input_errors(parser: argparse.ArgumentParser) -> Iterator[None]:
    """Turn errors in the user's input into the message of a command line, without a traceback."""
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))


def keep_libraries_quiet() -> None:
    """Leave progress bars to this package, which shows them on a terminal only."""
    # of small-text, at every dataset
    warnings.filterwarnings("ignore", message="The .* is experimental|The function get_flattened_unique_labels")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if not sys.stderr.isatty():
        os.environ["SMALL_TEXT_PROGRESS_BARS"] = "0"


def initial_size(corpus: Corpus, *, rounds: int, batch: int) -> int:
    """Return how many documents are labeled before the first query: two for each label, and at least a batch.

    Raises
    ------
    ValueError
        When the pool is too small for that and for all rounds.
    """
    initial = max(batch, 2 * len(corpus.labels))
    needed = initial + rounds * batch
    if needed > len(corpus.pool.texts):
        raise ValueError(
            f"expected a pool of at least {needed} documents ({initial} at the start, {rounds} rounds of {batch}), "
            f"got {len(corpus.pool.texts)}: lower --rounds or --batch, or give more --data"
        )
    return initial

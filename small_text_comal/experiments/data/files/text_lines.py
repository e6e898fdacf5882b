"""UTF-8 text files, plain or packed, line by line."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Iterator
from pathlib import Path

from small_text_comal.experiments.data.user_error import UserError

__all__ = ["text_lines"]


def text_lines(file: Path) -> Iterator[str]:
    """Yield the lines of a text file with their line ends, unpacking ``.gz`` and ``.bz2`` on the way.

    Lines end at a line feed only: Python's own text files also cut at a lone carriage return, and `str.splitlines` at
    form feeds and Unicode separators, all of which stand inside texts. A byte order mark is dropped.

    Raises
    ------
    UserError
        When a line is not UTF-8; names the file and the line.
    """
    opener = {".gz": gzip.open, ".bz2": bz2.open}.get(file.suffix, open)
    with opener(file, "rb") as lines:  # type: ignore[operator]
        for number, line in enumerate(lines, start=1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{file}, line {number}: expected UTF-8, got byte {line[error.start]:#04x} at {error.start}: save "
                    "the file as UTF-8"
                ) from None
            yield text.removeprefix("\ufeff") if number == 1 else text

"""CSV tables with a header."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

from small_text_comal.experiments.data.files.text_lines import text_lines
from small_text_comal.experiments.data.user_error import UserError

__all__ = ["Table", "read_table"]


class Table(NamedTuple):
    """A header, and rows with as many cells; a row's number is that of its last line in the file."""

    header: list[str]
    rows: list[tuple[int, list[str]]]


def read_table(file: Path, *, delimiter: str = ",") -> Table:
    """Read a CSV file; blank lines are left out.

    Raises
    ------
    UserError
        Names the file and the line where a row is not as wide as the header, or is no CSV.
    """
    if len(delimiter) != 1:
        raise UserError(f"delimiter: expected one character, got {delimiter!r}")
    reader = csv.reader(io.StringIO("".join(text_lines(file)), newline=""), delimiter=delimiter)
    try:
        header = next(reader, [])
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise UserError(
            f"{file}, line {reader.line_num}: {error}. Is a quote left open? JSON lines can hold texts of any length"
        ) from None
    for number, row in rows:
        if len(row) != len(header):
            raise UserError(
                f"{file}, line {number}: expected {len(header)} cells as in the header, got {len(row)}: put a cell "
                f"that holds {delimiter!r} in double quotes"
            )
    return Table(header, rows)

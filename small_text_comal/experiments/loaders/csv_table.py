"""CSV with a text column and a column that lists the labels."""

from __future__ import annotations

import csv
from pathlib import Path

from small_text_comal.experiments.corpus import Documents, RawCorpus
from small_text_comal.experiments.loaders.folder import read_parts

__all__ = ["read_csv"]


def read_csv(
    path: Path, *, text_column: str = "text", label_column: str = "labels", separator: str = ";", delimiter: str = ","
) -> RawCorpus:
    """Read a ``.csv`` file with a header, or a folder with ``train.csv``, ``test.csv`` and maybe ``dev.csv``.

    Parameters
    ----------
    path : file or folder, UTF-8
    text_column, label_column : names in the header
    separator : between two labels of a cell; an empty cell is a document without labels
    delimiter : between two cells

    Raises
    ------
    FileNotFoundError, ValueError
        Name the file, the line and what was expected there.
    """

    def documents(file: Path) -> Documents:
        return _documents(file, text_column, label_column, separator=separator, delimiter=delimiter)

    return read_parts(path, ".csv", documents)


def _documents(file: Path, text_column: str, label_column: str, *, separator: str, delimiter: str) -> Documents:
    found = Documents([], [])
    with file.open(encoding="utf-8-sig", newline="") as table:
        rows = csv.DictReader(table, delimiter=delimiter)
        missing = [name for name in (text_column, label_column) if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{file}: no column {missing[0]!r} in the header {rows.fieldnames}; name the columns (or another "
                "delimiter) in the dataset's options"
            )
        for row in rows:
            if row[text_column] is None or row[label_column] is None:
                raise ValueError(f"{file}, line {rows.line_num}: fewer cells than the header has columns")
            found.texts.append(row[text_column])
            found.labels.append([name.strip() for name in row[label_column].split(separator) if name.strip()])
    return found

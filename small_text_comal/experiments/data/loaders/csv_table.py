"""CSV with a text column and a column that lists the labels."""

from __future__ import annotations

from pathlib import Path

from small_text_comal.experiments.data.corpus import LabeledTexts, RawCorpus
from small_text_comal.experiments.data.files.csv_rows import read_table
from small_text_comal.experiments.data.files.parts import read_parts
from small_text_comal.experiments.data.user_error import UserError

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
    FileNotFoundError, UserError
        Name the file, the line and what was expected there.
    """

    def documents(file: Path) -> LabeledTexts:
        return _documents(file, text_column, label_column, separator=separator, delimiter=delimiter)

    return read_parts(path, ".csv", documents)


def _documents(file: Path, text_column: str, label_column: str, *, separator: str, delimiter: str) -> LabeledTexts:
    header, rows = read_table(file, delimiter=delimiter)
    unclear = [name for name in (text_column, label_column) if header.count(name) != 1]
    if unclear:
        raise UserError(
            f"{file}: expected one column {unclear[0]!r} in the header, got {header}; name the columns (or another "
            "delimiter) in the dataset's options"
        )
    text, labels = header.index(text_column), header.index(label_column)
    return LabeledTexts(
        [row[text] for _, row in rows],
        [[name.strip() for name in row[labels].split(separator) if name.strip()] for _, row in rows],
    )

"""JustDance (Santos et al., CBMS 2021): one CSV of comments with a column of 0/1 per label."""

from __future__ import annotations

from pathlib import Path

from small_text_comal.experiments.data.corpus import LabeledTexts, RawCorpus
from small_text_comal.experiments.data.files.csv_rows import read_table
from small_text_comal.experiments.data.files.parts import require_file
from small_text_comal.experiments.data.user_error import UserError

__all__ = ["read_justdance"]

TRUE, FALSE = {"1", "1.0"}, {"", "0", "0.0"}


def read_justdance(path: Path, *, n_labels: int = 38) -> RawCorpus:
    """Read ``jd-dataset-topics-Human-Review.csv``: an id, the comment, then the label columns.

    The labels are named by the header; further columns are not read. The file has no split: an
    experiment draws one.

    Parameters
    ----------
    path : the CSV file, or its folder
    n_labels : label columns, of 0, 1, 0.0, 1.0 or nothing, after the comment

    Raises
    ------
    FileNotFoundError, UserError
        When there is no such file, it has fewer columns, or a cell of a label column holds something else.
    """
    file = path if path.is_file() else require_file(path, ["jd-dataset-topics-Human-Review.csv", "justdance.csv"])
    header, rows = read_table(file)
    names = header[2 : 2 + n_labels]
    if len(names) < max(n_labels, 1):
        raise UserError(
            f"{file}: expected an id, the comment and {n_labels} label columns, got {len(header)} columns; for a file "
            "with another number of labels, set n_labels in the dataset's options"
        )
    labels = [_labels(row, names, where=f"{file}, line {number}") for number, row in rows]
    return RawCorpus(LabeledTexts([row[1].strip() for _, row in rows], labels))


def _labels(row: list[str], names: list[str], *, where: str) -> list[str]:
    cells = [(name, cell.strip()) for name, cell in zip(names, row[2:], strict=False)]
    for name, cell in cells:
        if cell not in TRUE | FALSE:
            raise UserError(f"{where}: expected 0, 1 or nothing in the label column {name!r}, got {cell!r}")
    return [name for name, cell in cells if cell in TRUE]

"""JustDance (Santos et al., CBMS 2021): one CSV of comments with a column of 0/1 for each label."""

from __future__ import annotations

import csv
from pathlib import Path

from small_text_comal.experiments.corpus import Documents, RawCorpus
from small_text_comal.experiments.loaders.folder import require_file

__all__ = ["read_justdance"]

N_LABELS = 38
TRUE, FALSE = {"1", "1.0"}, {"", "0", "0.0"}


def read_justdance(path: Path) -> RawCorpus:
    """Read ``jd-dataset-topics-Human-Review.csv``: an id, the comment, then the label columns.

    The first 38 columns behind the comment that hold only 0, 1, 0.0, 1.0 or nothing are the labels, named by the
    header; the first column of another kind ends them. The file has no split: an experiment draws one.

    Parameters
    ----------
    path : the CSV file, or the folder it lies in

    Raises
    ------
    FileNotFoundError, ValueError
        When there is no such file, or no 0/1 column follows the comment.
    """
    file = path if path.is_file() else require_file(path, ["jd-dataset-topics-Human-Review.csv", "justdance.csv"])
    with file.open(encoding="utf-8-sig", newline="") as table:
        reader = csv.reader(table)
        header = next(reader, [])
        rows = [(reader.line_num, row) for row in reader if row]
    for number, row in rows:
        if len(row) != len(header):
            raise ValueError(f"{file}, line {number}: expected {len(header)} cells as in the header, got {len(row)}")
    n_labels = _count_label_columns([row for _, row in rows], len(header))
    if n_labels == 0:
        raise ValueError(f"{file}: expected columns of 0 and 1 behind the comment (column 2), got header {header[:6]}")
    names = header[2 : 2 + n_labels]
    texts = [row[1].strip() for _, row in rows]
    labels = [[name for name, cell in zip(names, row[2:], strict=False) if cell.strip() in TRUE] for _, row in rows]
    return RawCorpus(Documents(texts, labels))


def _count_label_columns(rows: list[list[str]], width: int) -> int:
    for column in range(2, min(width, 2 + N_LABELS)):
        if any(row[column].strip() not in TRUE | FALSE for row in rows):
            return column - 2
    return max(0, min(width - 2, N_LABELS))

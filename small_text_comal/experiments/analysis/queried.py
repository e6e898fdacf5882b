"""What kind of documents the strategies query, compared with the whole training set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from small_text_comal.experiments.analysis.recorded_data import recorded_data
from small_text_comal.experiments.analysis.results import Results
from small_text_comal.experiments.data.corpus import TextSet
from small_text_comal.experiments.data.statistics_table import in_columns
from small_text_comal.experiments.records.output_folder import OutputFolder

__all__ = ["queried_table"]

HEAD = ("data set", "queried by", "documents", "without labels", "labels/doc", "words/doc")


def queried_table(results: Results, folders: Sequence[Path]) -> str:
    """Return a table with a line per data set and strategy on the documents queried in all seeds and rounds.

    Parameters
    ----------
    results : of one or more output folders
    folders : where they come from; their descriptions say where the data are

    Raises
    ------
    RecordsError
        When the data were changed since.
    """
    lines = [list(HEAD)]
    for dataset in results.datasets():
        train = recorded_data(_folder_of(dataset, folders), dataset).corpus.train
        position = {row: i for i, row in enumerate(train.rows.tolist())}
        lines.append([dataset, "(all of train)", *_described(train)])
        for strategy in results.strategies():
            rows = [row for curve in results.of(dataset, strategy) for row in curve.queried]
            if rows:
                lines.append([dataset, strategy, *_described(train.take(np.array([position[row] for row in rows])))])
    return in_columns(lines, left=2)


def _folder_of(dataset: str, folders: Sequence[Path]) -> Path:
    return next(folder for folder in folders if dataset in OutputFolder(folder).description()["datasets"])


def _described(documents: TextSet) -> list[str]:
    counts = np.diff(documents.y.indptr)
    words = np.mean([len(text.split()) for text in documents.texts])
    return [str(len(documents)), f"{100 * np.mean(counts == 0):.1f} %", f"{counts.mean():.2f}", f"{words:.1f}"]

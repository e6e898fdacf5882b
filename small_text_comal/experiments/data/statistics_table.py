"""The data columns of the paper's Table 1, for any data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from small_text_comal.experiments.data.corpus import Statistics, corpus_statistics
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.prepare import default_validation_size, load_corpus

__all__ = ["format_statistics", "in_columns", "statistics_table"]

HEAD = ("data set", "train", "validation", "test", "labels", "labels/doc", "words/doc")


def statistics_table(specs: Sequence[DatasetSpec], *, say: Callable[[str], None] = print) -> str:
    """Read data sets and return their statistics as text; `say` is told what was left out."""
    rows = []
    for spec in specs:
        corpus = load_corpus(spec)
        for note in corpus.notes:
            say(note)
        size = 0 if corpus.validation else default_validation_size(spec, len(corpus.train))
        rows.append(corpus_statistics(corpus, validation_size=size))
    return format_statistics(rows)


def format_statistics(rows: Sequence[Statistics]) -> str:
    """Return the statistics in columns.

    Examples
    --------
    >>> print(format_statistics([Statistics("toy", 10, 2, 3, 4, 1.25, 7.0)]))
    data set  train  validation  test  labels  labels/doc  words/doc
    toy          10           2     3       4        1.25        7.0
    """
    cells = [[r.name, *map(str, r[1:5]), f"{r.mean_labels:.2f}", f"{r.mean_words:.1f}"] for r in rows]
    return in_columns([list(HEAD), *cells])


def in_columns(lines: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Return cells as text in columns, the first `left` of them aligned to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )

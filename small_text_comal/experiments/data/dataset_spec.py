"""Which data an experiment uses, and how it is cut."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from small_text_comal.experiments.data.option import check_ranges, option

__all__ = ["DatasetSpec", "dataset_table"]

DATA_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".txt", ".gz", ".bz2")  # other points belong to the name: v1.2


@dataclass(frozen=True)
class DatasetSpec:
    """One data set of an experiment.

    Parameters
    ----------
    loader : a format ("jsonl", "csv", "hf", "aapd", "rcv1", "eurlex", "justdance", "reuters") or a short name
    path : folder, file, or name on the hub; may hold environment variables and ~
    name : shown in records and plots; by default the short name or the last part of the path, without a data suffix;
        for mine/train.jsonl the name of the folder
    options : keywords of the loader
    pool_size : maximum number of documents in the pool; the rest of train is left out
    validation_size : number of documents taken out of train for validation where the corpus has no validation part, and
        the maximum used where it has one; by default 500, at most a tenth of train
    test_size : maximum number of test documents; required where the corpus has no test part
    resplit : pool all documents and draw a new split, as the paper does with AAPD, EURLex and JustDance
    min_label_count : labels with fewer documents are dropped (counted in train, with `resplit` in the whole corpus)
    drop_unlabeled : drop documents that have no label, or none left
    drop_empty : drop documents without text, which are an error otherwise
    max_length : tokens per document, overrides the encoder's setting
    strategies, seeds : override those of the experiment

    Raises
    ------
    UserError
        On sizes below 1.
    """

    loader: str
    path: str | None = option(None, free=True)
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    pool_size: int | None = option(None, "maximum size of each pool", minimum=1)
    validation_size: int | None = option(None, "documents for validation", minimum=1)
    test_size: int | None = option(None, "documents for testing", minimum=1)
    resplit: bool = False
    min_label_count: int = option(1, "drop labels with fewer documents", minimum=1)
    drop_unlabeled: bool = option(False, "drop documents without labels")
    drop_empty: bool = False
    max_length: int | None = option(None, minimum=1)
    strategies: tuple[str, ...] | None = option(None, free=True)
    seeds: tuple[int, ...] | None = option(None, free=True)

    def __post_init__(self) -> None:
        check_ranges(self, where=f"dataset {self.loader}: ")
        if not self.name:
            object.__setattr__(self, "name", self.loader if self.path is None else _name_of(self.path))


def _name_of(path: str) -> str:
    """Return the last part of a path that says which data it holds.

    >>> [_name_of(path) for path in ("data/eurlex-4.3k", "a/train.jsonl", "a/b.csv.gz")]
    ['eurlex-4.3k', 'a', 'b']
    """
    place = Path(os.path.abspath(path))  # "." and ".." have no name
    name = place.name
    while Path(name).suffix in DATA_SUFFIXES:
        name = Path(name).stem
    return (place.parent.name if name == "train" else "") or name


def dataset_table(text: str) -> dict[str, str]:
    """Read ``LOADER:PATH``, or a short name alone, as a table of options.

    Examples
    --------
    >>> dataset_table("jsonl:data/nlupp")
    {'loader': 'jsonl', 'path': 'data/nlupp'}
    >>> dataset_table("goemotions")
    {'loader': 'goemotions'}
    """
    loader, _, path = text.partition(":")
    return {"loader": loader, "path": path} if path else {"loader": loader}

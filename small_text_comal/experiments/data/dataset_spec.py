"""Which data an experiment uses, and how it is cut."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from small_text_comal.experiments.data.paths import filled_path

__all__ = ["DatasetSpec", "parse_dataset"]

DATA_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".txt", ".gz", ".bz2")  # a point may also belong to a name: v1.2


@dataclass(frozen=True)
class DatasetSpec:
    """One data set of an experiment.

    Parameters
    ----------
    loader : a format ("jsonl", "csv", "hf", "aapd", "rcv1", "eurlex", "justdance", "reuters") or a short name
    path : folder, file, or name on the hub; environment variables and ~ are filled in
    name : shown in records and plots; by default the short name or the last part of the path, without a data suffix; of
        mine/train.jsonl the folder's
    options : keywords of the loader
    pool_size : documents of the pool, at most; the rest of train is left out
    validation_size : documents taken out of train for validation, where the corpus has no validation part of its own,
        and the most that is used of one that it has; by default 500, at most a tenth of train
    test_size : documents of the test set, at most; needed where the corpus has no test part
    resplit : pool all documents and draw a new split, as the paper does with AAPD, EURLex and JustDance
    min_label_count : labels with fewer documents are dropped (counted in train, with `resplit` in the whole corpus)
    drop_unlabeled : drop documents that have no label, or none left
    drop_empty : drop documents without text, which are an error otherwise
    max_length : tokens a document, in place of the encoder's setting
    strategies, seeds : in place of the experiment's

    Raises
    ------
    ValueError
        On sizes below 1.
    """

    loader: str
    path: str | None = None
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    pool_size: int | None = None
    validation_size: int | None = None
    test_size: int | None = None
    resplit: bool = False
    min_label_count: int = 1
    drop_unlabeled: bool = False
    drop_empty: bool = False
    max_length: int | None = None
    strategies: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for size in ("pool_size", "validation_size", "test_size", "min_label_count", "max_length"):
            value = getattr(self, size)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"dataset {self.loader}: {size}: expected an integer >= 1, got {value!r}")
        if not self.name:
            object.__setattr__(self, "name", self.loader if self.path is None else _name_of(self.path))
        for value in ("strategies", "seeds"):
            if getattr(self, value) is not None:
                object.__setattr__(self, value, tuple(getattr(self, value)))

    def resolved(self) -> DatasetSpec:
        """Return the spec with environment variables and ~ filled in its path."""
        if self.path is None:
            return self
        return replace(self, path=filled_path(self.path, where=f"dataset {self.name}"))


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


def parse_dataset(text: str) -> DatasetSpec:
    """Read ``LOADER:PATH``, or a short name alone.

    Examples
    --------
    >>> parse_dataset("jsonl:data/nlupp").name
    'nlupp'
    >>> parse_dataset("goemotions").path is None
    True
    """
    loader, _, path = text.partition(":")
    return DatasetSpec(loader=loader, path=path or None)

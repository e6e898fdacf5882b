"""The runs of an experiment: every data set with every strategy and seed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.options.config import ProtocolOptions

__all__ = ["FULL_DATA", "Run", "check_files", "planned_runs", "rounds_that_fit", "slug"]

FULL_DATA = "full data"  # the run that trains once on all labels


@dataclass(frozen=True)
class Run:
    """One run: rounds of one strategy, on one data set, with one seed.

    Parameters
    ----------
    dataset : the data set's name
    strategy : a strategy with its options, as `parse_strategy` reads it, or `FULL_DATA`
    seed : of its validation set, first labels and training
    """

    dataset: str
    strategy: str
    seed: int

    def __str__(self) -> str:
        return f"{self.dataset} / {self.strategy} / seed {self.seed}"

    @property
    def file(self) -> Path:
        """The file of its records, inside the output folder.

        Examples
        --------
        >>> Run("nlupp", "CoMAL(gamma=0.5)", 3).file.as_posix()
        'records/nlupp/CoMAL-gamma-0.5/seed-3.jsonl'
        """
        return Path("records", slug(self.dataset), slug(self.strategy), f"seed-{self.seed}.jsonl")


def planned_runs(protocol: ProtocolOptions, spec: DatasetSpec, strategies: list[str]) -> list[Run]:
    """Return the runs on one data set, each once: all strategies get their first seed before any gets its second."""
    names = [*strategies, FULL_DATA] if protocol.full_data else strategies
    return list(dict.fromkeys(Run(spec.name, name, seed) for seed in spec.seeds or protocol.seeds for name in names))


def rounds_that_fit(protocol: ProtocolOptions, pool_size: int) -> int:
    """Return the number of rounds for which the pool is large enough.

    Raises
    ------
    UserError
        When the pool is too small for one round.
    """
    if protocol.rounds and pool_size < protocol.initial_size + protocol.query_size:
        raise UserError(
            f"a pool of {pool_size} documents is smaller than initial_size {protocol.initial_size} + query_size "
            f"{protocol.query_size}: lower them"
        )
    return min(protocol.rounds, (pool_size - protocol.initial_size) // protocol.query_size)


def check_files(runs: Iterable[Run]) -> None:
    """Check that each run has a file of its own.

    Raises
    ------
    UserError
        On a name that cannot be a file name, and on two runs with the same file.
    """
    seen: dict[Path, Run] = {}
    for run in runs:
        other = seen.setdefault(run.file, run)
        if other != run:
            raise UserError(
                f"{other} and {run} would share the file {run.file}: give the data sets other names, or run one of the "
                "strategies into another output folder"
            )


def slug(name: str) -> str:
    """Return a name that can be part of a file name.

    Raises
    ------
    UserError
        When no character of it can.

    Examples
    --------
    >>> slug("CoMAL(criterion='paper')")
    'CoMAL-criterion-paper'
    """
    found = re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-")
    if not found.strip("."):
        raise UserError(
            f"name {name!r}: expected a letter or digit (a to z, 0 to 9), because files are named after it; set name "
            "in the data set's table"
        )
    return found

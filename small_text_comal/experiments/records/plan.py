"""The runs of an experiment: every data set with every strategy and seed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.options.config import ExperimentConfig

__all__ = ["FULL_DATA", "Run", "check_files", "planned_runs", "record_path", "rounds_that_fit", "slug"]

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


def planned_runs(config: ExperimentConfig, spec: DatasetSpec, strategies: list[str]) -> list[Run]:
    """Return the runs on one data set, each once: all strategies get their first seed before any gets its second."""
    names = [*strategies, FULL_DATA] if config.full_data else strategies
    return list(dict.fromkeys(Run(spec.name, name, seed) for seed in spec.seeds or config.seeds for name in names))


def rounds_that_fit(config: ExperimentConfig, pool_size: int) -> int:
    """Return how many of the rounds the pool can pay for.

    Raises
    ------
    ValueError
        When the pool cannot pay for one round.
    """
    if config.rounds and pool_size < config.initial_size + config.query_size:
        raise ValueError(
            f"a pool of {pool_size} documents is smaller than initial_size {config.initial_size} + query_size "
            f"{config.query_size}: lower them"
        )
    return min(config.rounds, (pool_size - config.initial_size) // config.query_size)


def record_path(output: Path, run: Run) -> Path:
    """Return the file of a run's records.

    Examples
    --------
    >>> record_path(Path("runs"), Run("nlupp", "CoMAL(gamma=0.5)", 3)).as_posix()
    'runs/records/nlupp/CoMAL-gamma-0.5/seed-3.jsonl'
    """
    return output / "records" / slug(run.dataset) / slug(run.strategy) / f"seed-{run.seed}.jsonl"


def check_files(runs: Iterable[Run]) -> None:
    """Check that each run has a file of its own.

    Raises
    ------
    ValueError
        On a name that no file can have, and on two whose files would be the same.
    """
    seen: dict[Path, Run] = {}
    for run in runs:
        other = seen.setdefault(record_path(Path(), run), run)
        if other != run:
            raise ValueError(
                f"{other} and {run} would share the file {record_path(Path(), run)}: name the data sets otherwise, or "
                "run one of the strategies into another output folder"
            )


def slug(name: str) -> str:
    """Return a name that can be part of a file name.

    Raises
    ------
    ValueError
        When nothing of it can.

    Examples
    --------
    >>> slug("CoMAL(criterion='paper')")
    'CoMAL-criterion-paper'
    """
    found = re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-")
    if not found.strip("."):
        raise ValueError(
            f"name {name!r}: expected a letter or digit (a to z, 0 to 9), for files are named by it; set name in the "
            "data set's table"
        )
    return found

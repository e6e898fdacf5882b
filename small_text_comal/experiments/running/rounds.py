"""The rounds of a run: train, test, query, record; and go on where the records end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from small_text_comal.experiments.options.evaluation import evaluate
from small_text_comal.experiments.records.records import RecordFile, RecordsError
from small_text_comal.experiments.running.protocol import RoundSeeds, Split, round_seeds
from small_text_comal.experiments.running.resources import PeakMemory

__all__ = ["Learner", "Observer", "RoundPlan", "labeled_positions", "labeled_rows", "run_rounds"]


class Learner(Protocol):
    """What a run needs of active learning; positions are positions in the pool."""

    def fit(self, labeled: np.ndarray, seeds: RoundSeeds) -> None:
        """Train a new model on the labeled documents; `seeds` decide everything random until the next `fit`."""

    def test_probabilities(self) -> np.ndarray:
        """Return the dense probabilities (N, C) of the test documents."""

    def query(self, n: int) -> np.ndarray:
        """Return n positions that are not labeled yet."""


class Observer(Protocol):
    """Who is told about the rounds; what it raises stops the run."""

    def before_round(self, number: int, labels: int) -> None:
        """Tell that a round starts."""

    def after_round(self, record: dict[str, Any]) -> None:
        """Tell that a round was recorded."""


class RoundPlan(NamedTuple):
    """What a run does.

    Parameters
    ----------
    seed : of the run
    initial : positions labeled at the start
    query_size : labels bought in a round
    rounds : how many times
    metrics : names
    common : what every record of the run repeats (hash, names, versions, ...)
    """

    seed: int
    initial: np.ndarray
    query_size: int
    rounds: int
    metrics: tuple[str, ...]
    common: Mapping[str, Any]


def run_rounds(
    learner: Learner, split: Split, plan: RoundPlan, file: RecordFile, *, observer: Observer | None = None
) -> None:
    """Do the rounds that `file` does not have yet, and append a record for each.

    A round depends on its seeds and on the labels bought before it, both known from the records, so a run that was
    killed goes on with the indices that it would have had.

    Parameters
    ----------
    learner : trains and queries
    split : documents of the seed
    plan : what to do
    file : the run's records
    observer : told about each round

    Raises
    ------
    RecordsError
        When the records start from other labels, or cannot be written.
    """
    for number in range(len(file.records), plan.rounds + 1):
        labeled = labeled_positions(split, plan, file.records)
        if observer:
            observer.before_round(number, len(labeled))
        record = {**plan.common, "round": number, "labels": len(labeled)}
        if number == 0:
            record["initial"] = split.pool.rows[labeled].tolist()
        file.append(record | _round(learner, split, plan, labeled, number))
        if observer:
            observer.after_round(file.records[-1])


def _round(learner: Learner, split: Split, plan: RoundPlan, labeled: np.ndarray, number: int) -> dict[str, Any]:
    """Train, test and query: what a record says about it."""
    memory = PeakMemory()
    started = time.perf_counter()
    learner.fit(labeled, round_seeds(plan.seed, number))
    fitted = time.perf_counter()
    metrics = evaluate(split.test.y.toarray(), learner.test_probabilities(), plan.metrics)
    tested = time.perf_counter()
    # the last round queries as well: a run can be given more rounds later
    queried = _query(learner, labeled, plan) if len(labeled) + plan.query_size <= len(split.pool) else np.empty(0, int)
    seconds = {"fit": fitted - started, "test": tested - fitted, "query": time.perf_counter() - tested}
    return {
        "metrics": metrics,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "memory": memory.peaks(),
        "queried": split.pool.rows[queried].tolist(),
    }


def labeled_positions(split: Split, plan: RoundPlan, records: list[dict[str, Any]]) -> np.ndarray:
    """Return the pool positions labeled after `records`, in the order in which they were bought.

    Raises
    ------
    RecordsError
        When the records started from other labels than the plan, or hold documents that are not in the pool.
    """
    initial = split.pool.rows[plan.initial].tolist()
    if records and records[0]["initial"] != initial:
        raise RecordsError("the records start from other labels than this data gives: was a data file changed?")
    return labeled_rows(records, initial, split.pool.rows)


def labeled_rows(records: list[dict[str, Any]], initial: list[int], rows: np.ndarray) -> np.ndarray:
    """Return the positions in `rows` (N,) of the `initial` rows and those that `records` bought.

    Raises
    ------
    RecordsError
        When one of them is not among the rows.
    """
    bought = [*initial, *(row for record in records for row in record["queried"])]
    position = {int(row): i for i, row in enumerate(rows)}
    if not position.keys() >= set(bought):
        raise RecordsError("the records hold documents that are not in the pool: was a data file changed?")
    return np.array([position[row] for row in bought], dtype=int)


def _query(learner: Learner, labeled: np.ndarray, plan: RoundPlan) -> np.ndarray:
    queried = np.asarray(learner.query(plan.query_size))
    if len(set(queried.tolist()) - set(labeled.tolist())) != plan.query_size:
        raise RuntimeError(
            f"{plan.common.get('strategy')}: expected {plan.query_size} different unlabeled documents, got "
            f"{queried.tolist()}"
        )
    return queried

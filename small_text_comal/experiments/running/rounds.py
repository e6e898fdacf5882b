"""The rounds of a run: train, test, query, record; a run continues where its records end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from small_text_comal.experiments.options.metrics import evaluate, prediction_facts
from small_text_comal.experiments.records.records import RecordFile, RecordsError
from small_text_comal.experiments.running.protocol import RoundSeeds, Split, round_seeds

__all__ = ["Learner", "Observer", "RoundPlan", "labeled_positions", "labeled_rows", "run_rounds"]


class Learner(Protocol):
    """What a run needs of active learning; positions are positions in the pool."""

    def fit(self, labeled: np.ndarray, seeds: RoundSeeds) -> None:
        """Train a new model on the labeled documents; `seeds` decide everything random until the next `fit`."""

    def test_probabilities(self) -> np.ndarray:
        """Return the dense probabilities (N, C) of the test documents."""

    @property
    def thresholds(self) -> np.ndarray:
        """Return the cuts (C,) at which labels are predicted."""

    def query(self, n: int) -> np.ndarray:
        """Return n positions that are not labeled yet."""


class Observer(Protocol):
    """What is told about the rounds; an exception that it raises stops the run."""

    def before_round(self, number: int, labels: int) -> None:
        """Called when a round starts."""

    def after_round(self, record: dict[str, Any]) -> None:
        """Called when a round was recorded."""


class RoundPlan(NamedTuple):
    """What a run does.

    Parameters
    ----------
    seed : of the run
    initial : positions labeled at the start
    query_size : documents labeled per round
    rounds : number of queries
    metrics : names
    common : entries that every record of the run repeats (hash, names, versions, ...)
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

    A round depends only on its seeds and on the documents labeled before it, both known from the records, so a run that
    was killed continues with the same indices as an uninterrupted one.

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
    """Train, test and query; return the round's own entries of its record."""
    started = time.perf_counter()
    learner.fit(labeled, round_seeds(plan.seed, number))
    fitted = time.perf_counter()
    y, probabilities, thresholds = split.test.y.toarray(), learner.test_probabilities(), learner.thresholds
    metrics = evaluate(y, probabilities, plan.metrics, thresholds=thresholds)
    facts = prediction_facts(y, probabilities >= thresholds)
    tested = time.perf_counter()
    # the last round queries as well, because rounds can be added later
    queried = _query(learner, labeled, plan) if len(labeled) + plan.query_size <= len(split.pool) else np.empty(0, int)
    seconds = {"fit": fitted - started, "test": tested - fitted, "query": time.perf_counter() - tested}
    return {
        "metrics": metrics,
        **facts,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "queried": split.pool.rows[queried].tolist(),
    }


def labeled_positions(split: Split, plan: RoundPlan, records: list[dict[str, Any]]) -> np.ndarray:
    """Return the pool positions labeled after `records`, in the order in which they were labeled.

    Raises
    ------
    RecordsError
        When the records started from other labels than the plan, or hold documents that are not in the pool.
    """
    initial = split.pool.rows[plan.initial].tolist()
    if records and records[0]["initial"] != initial:
        raise RecordsError("the records start from other labels than these data give: was a data file changed?")
    return labeled_rows(records, initial, split.pool.rows)


def labeled_rows(records: list[dict[str, Any]], initial: list[int], rows: np.ndarray) -> np.ndarray:
    """Return the positions in `rows` (N,) of the `initial` rows and of those that `records` queried.

    Raises
    ------
    RecordsError
        When one of them is not among the rows.
    """
    labeled = [*initial, *(row for record in records for row in record["queried"])]
    position = {int(row): i for i, row in enumerate(rows)}
    if not position.keys() >= set(labeled):
        raise RecordsError("the records hold documents that are not in the pool: was a data file changed?")
    return np.array([position[row] for row in labeled], dtype=int)


def _query(learner: Learner, labeled: np.ndarray, plan: RoundPlan) -> np.ndarray:
    queried = np.asarray(learner.query(plan.query_size))
    if len(set(queried.tolist()) - set(labeled.tolist())) != plan.query_size:
        raise RuntimeError(
            f"{plan.common.get('strategy')}: expected {plan.query_size} different unlabeled documents, got "
            f"{queried.tolist()}"
        )
    return queried

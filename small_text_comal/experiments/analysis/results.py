"""Learning curves read from records, and their summaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from small_text_comal.experiments.data.names import known_name
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.records.output_folder import OutputFolder, check_mixture
from small_text_comal.experiments.records.plan import FULL_DATA
from small_text_comal.experiments.records.records import read_records

__all__ = ["Curve", "MeanCurve", "Results", "area_under_curve", "labels_to_reach", "mean_curve", "read_results"]


@dataclass(frozen=True)
class Curve:
    """One run: R finished rounds.

    Parameters
    ----------
    dataset, strategy, seed : which run
    labels : (R,) documents labeled in each round
    metrics : (R,) on the test set, by name
    seconds : (R,) by name: fit, test, query
    queried : rows of the documents that all rounds asked for, in order
    label_f1 : (C,) of the last round; empty where the records do not have it
    nothing_predicted : share of test documents without a predicted label, of the last round; NaN likewise
    """

    dataset: str
    strategy: str
    seed: int
    labels: np.ndarray
    metrics: dict[str, np.ndarray]
    seconds: dict[str, np.ndarray]
    queried: list[int]
    label_f1: np.ndarray
    nothing_predicted: float


class Results(NamedTuple):
    """All runs of some output folders.

    `full_data` holds the scores of the models trained on all labels, by (dataset, seed) and metric; `notes` what was
    left out while reading.
    """

    curves: list[Curve]
    full_data: dict[tuple[str, int], dict[str, float]]
    notes: list[str]

    def datasets(self) -> list[str]:
        """Return the names of the data sets, sorted."""
        return sorted({curve.dataset for curve in self.curves})

    def strategies(self) -> list[str]:
        """Return the strategies, those of this package first."""
        return sorted({curve.strategy for curve in self.curves}, key=lambda name: (not name.startswith("CoMAL"), name))

    def metrics(self) -> list[str]:
        """Return the metrics that every run has, in the order of the records."""
        names = list(self.curves[0].metrics)
        return [name for name in names if all(name in curve.metrics for curve in self.curves)]

    def known_metrics(self, wanted: Sequence[str]) -> list[str]:
        """Return `wanted`, when the records have all of them.

        Raises
        ------
        UserError
            On a metric that the records do not have.
        """
        return [known_name(name, self.metrics(), kind="metric in these records") for name in wanted]

    def main_metric(self, wanted: str | None = None) -> str:
        """Return `wanted`; by default micro-F1, or the first metric where the records do not have it.

        Raises
        ------
        UserError
            On a metric that the records do not have, and when the runs have none in common.
        """
        if not self.metrics():
            raise UserError("the runs have no metric in common: draw fewer folders together")
        default = "micro_f1" if "micro_f1" in self.metrics() else self.metrics()[0]
        return self.known_metrics([wanted or default])[0]

    def of(self, dataset: str, strategy: str) -> list[Curve]:
        """Return the runs of a strategy on a data set, by seed."""
        chosen = [curve for curve in self.curves if (curve.dataset, curve.strategy) == (dataset, strategy)]
        return sorted(chosen, key=lambda curve: curve.seed)

    def full_score(self, dataset: str, metric: str) -> float | None:
        """Return the mean full-data score over the seeds, None where it was not measured."""
        scores = [found[metric] for (name, _), found in self.full_data.items() if name == dataset and metric in found]
        return float(np.mean(scores)) if scores else None


def read_results(folders: Sequence[Path], *, only: Sequence[str] = ()) -> Results:
    """Read all records of one or more output folders, or those of the strategies `only`.

    Runs that have fewer rounds than others of their strategy are left out, with a note: a seed that has just begun
    would cut the mean of those that are finished.

    Raises
    ------
    FileNotFoundError
        When a folder has no record.
    UserError
        On a run that is there twice, a data set that was run with different settings, or a strategy that the records
        do not have.
    """
    read = {path: read_records(path) for folder in folders for path in OutputFolder(folder).record_files()}
    notes = [found.note for found in read.values() if found.note]
    runs = {path: found.records for path, found in read.items() if found.records}
    check_mixture(runs)
    full = {(one["dataset"], one["seed"]): one["metrics"] for one, *_ in runs.values() if one["strategy"] == FULL_DATA}
    curves = [_curve(records) for records in runs.values() if records[0]["strategy"] != FULL_DATA]
    if not curves:
        raise FileNotFoundError(f"no records in {', '.join(map(str, folders))}: run small-text-comal compare first")
    results = Results(curves, full, notes)
    chosen = {known_name(name, results.strategies(), kind="strategy in these records") for name in only}
    shown = [curve for curve in curves if not only or curve.strategy in chosen]
    return results._replace(curves=_as_far_as_others(shown, notes))


def _as_far_as_others(curves: Sequence[Curve], notes: list[str]) -> list[Curve]:
    """Return the runs with the most rounds of their strategy; note the others, and strategies with fewer rounds."""
    kept = []
    for curve in curves:
        on_same_data = [other for other in curves if other.dataset == curve.dataset]
        of_strategy = max(other.labels[-1] for other in on_same_data if other.strategy == curve.strategy)
        furthest = max(other.labels[-1] for other in on_same_data)
        so_far = f"{curve.dataset} / {curve.strategy} / seed {curve.seed} ends at {curve.labels[-1]} labels"
        if curve.labels[-1] < of_strategy:
            notes.append(f"{so_far}, other seeds at {of_strategy}: it was left out")
            continue
        if of_strategy < furthest:
            notes.append(f"{so_far}, other strategies at {furthest}")
        kept.append(curve)
    return kept


def _curve(records: list[dict[str, Any]]) -> Curve:
    first = records[0]
    return Curve(
        first["dataset"],
        first["strategy"],
        first["seed"],
        np.array([record["labels"] for record in records]),
        {name: np.array([record["metrics"][name] for record in records]) for name in first["metrics"]},
        {name: np.array([record["seconds"][name] for record in records]) for name in first["seconds"]},
        [row for record in records for row in record["queried"]],
        np.array(records[-1].get("label_f1", [])),
        records[-1].get("nothing_predicted", float("nan")),
    )


class MeanCurve(NamedTuple):
    """Mean and sample standard deviation (0 for one seed) over `n` seeds, each (R,)."""

    labels: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    n: int


def mean_curve(curves: Sequence[Curve], values: Sequence[np.ndarray]) -> MeanCurve:
    """Return the mean of `values`, one (R,) array per curve."""
    stacked = np.stack(values)
    deviation = stacked.std(axis=0, ddof=1) if len(stacked) > 1 else np.zeros(stacked.shape[1])
    return MeanCurve(curves[0].labels, stacked.mean(axis=0), deviation, len(stacked))


def labels_to_reach(labels: np.ndarray, scores: np.ndarray, target: float) -> float:
    """Return the labels of the first round that scores at least `target`, NaN when none does.

    Examples
    --------
    >>> labels_to_reach(np.array([100, 150, 200]), np.array([0.2, 0.6, 0.5]), 0.5)
    150.0
    """
    reached = np.flatnonzero(scores >= target)
    return float(labels[reached[0]]) if len(reached) else float("nan")


def area_under_curve(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean height of a learning curve, by the trapezoid rule; the score itself for one round.

    Examples
    --------
    >>> area_under_curve(np.array([100, 200, 300]), np.array([0.0, 0.5, 1.0]))
    0.5
    """
    if len(labels) == 1:
        return float(scores[0])
    heights = (scores[1:] + scores[:-1]) / 2
    return float((heights * np.diff(labels)).sum() / (labels[-1] - labels[0]))

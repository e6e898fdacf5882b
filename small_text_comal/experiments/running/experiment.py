"""A whole comparison: checks before anything is trained, then all runs that are not finished."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from small_text_comal.experiments.data.corpus import Corpus, Statistics, corpus_statistics, fingerprint
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.prepare import default_validation_size, load_corpus
from small_text_comal.experiments.data.statistics_table import format_statistics
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.options.evaluation import measurable
from small_text_comal.experiments.options.strategies import new_strategy, parse_strategy, reason_to_skip
from small_text_comal.experiments.records.config_hash import config_hash, difference, run_settings
from small_text_comal.experiments.records.experiment_json import add_to_description, read_description
from small_text_comal.experiments.records.plan import (
    FULL_DATA,
    Run,
    check_files,
    planned_runs,
    record_path,
    rounds_that_fit,
    slug,
)
from small_text_comal.experiments.records.records import RecordFile, RecordsError, read_records
from small_text_comal.experiments.running.encoder_check import check_encoder
from small_text_comal.experiments.running.parallel import busy_processes, run_side_by_side
from small_text_comal.experiments.running.protocol import initial_labels, make_split
from small_text_comal.experiments.running.resources import describe_device
from small_text_comal.experiments.running.run import RunResult, Task, check_records, execute

__all__ = ["Compared", "compare"]

logger = logging.getLogger(__name__)


class Compared(NamedTuple):
    """How a comparison ended.

    Parameters
    ----------
    finished : runs that are complete, those of earlier sessions included
    failed : runs and what stopped them
    skipped : strategies that cannot run on multi-label data, and why
    """

    finished: list[Run]
    failed: dict[Run, str]
    skipped: dict[str, str]


class _Prepared(NamedTuple):
    spec: DatasetSpec
    settings: dict[str, Any]
    statistics: Statistics
    label_names: tuple[str, ...]
    notes: list[str]
    rounds: int

    @property
    def hash(self) -> str:
        return config_hash(self.settings)


def compare(
    config: ExperimentConfig,
    *,
    jobs: int | None = None,
    backend: str = "loky",
    cluster: str | None = None,
    verbose: bool = False,
    say: Callable[[str], None] = logger.info,
) -> Compared:
    """Run what is not finished of an experiment.

    Parameters
    ----------
    config : what to compare; its output folder holds the records of this and of earlier sessions
    jobs : runs side by side; by default 1 here, and on a cluster one for each of its cores
    backend, cluster : see `run_side_by_side`
    verbose : show what the libraries say
    say : told what the user should know

    Raises
    ------
    ValueError, FileNotFoundError
        On names, options, data, sizes, an encoder or a device that do not fit, before anything is trained.
    RecordsError
        When the folder holds records of another config.
    """
    jobs = jobs if jobs is not None else (1 if backend == "loky" else -1)
    if backend == "loky":
        describe_device(config.device)
        config.resolved_cache_folder()
    strategies, skipped = _usable_strategies(config)
    for name, reason in skipped.items():
        say(f"strategy {name} is skipped: {reason}")
    runs = {spec.name: _runs(config, spec, strategies) for spec in config.datasets}
    check_files(run for planned in runs.values() for run in planned)
    prepared = [_prepared(config, spec, say) for spec in config.datasets]
    say(format_statistics([data.statistics for data in prepared]))
    _check_folder(Path(config.output), prepared)
    how = {"verbose": verbose, "parent": os.getpid() if backend == "loky" else None}
    tasks = [task for data in prepared for task in _tasks(config, data, runs[data.spec.name], how)]
    if backend == "loky" and not all(task.is_finished for task in tasks):
        check_encoder(config.encoder)
    _describe(config, prepared, skipped)
    return _run(tasks, skipped, jobs=jobs, backend=backend, cluster=cluster, say=say)


def _usable_strategies(config: ExperimentConfig) -> tuple[set[str], dict[str, str]]:
    named = [*config.strategies, *(name for spec in config.datasets for name in spec.strategies or ())]
    specs = {str(spec): spec for spec in map(parse_strategy, named)}
    skipped = {name: reason for name, spec in specs.items() if (reason := reason_to_skip(spec)) is not None}
    usable = set(specs) - set(skipped)
    for name in sorted(usable):
        new_strategy(specs[name], 0)
    return usable, skipped


def _runs(config: ExperimentConfig, spec: DatasetSpec, strategies: set[str]) -> list[Run]:
    names = [str(parse_strategy(name)) for name in spec.strategies or config.strategies]
    return planned_runs(config, spec, [name for name in names if name in strategies])


def _prepared(config: ExperimentConfig, spec: DatasetSpec, say: Callable[[str], None]) -> _Prepared:
    """Read a data set and try its sizes with every seed, so that nothing fails after hours."""
    corpus = load_corpus(spec)
    notes = list(corpus.notes)
    rounds = config.rounds
    for seed in spec.seeds or config.seeds:
        pool = make_split(corpus, spec, seed).pool
        try:
            rounds = rounds_that_fit(config, len(pool))
            initial_labels(pool, config.initial_size, min_per_label=config.min_per_label, seed=seed)
        except ValueError as error:
            raise ValueError(f"dataset {spec.name}, seed {seed}: {error}") from None
    if rounds < config.rounds:
        notes.append(f"{spec.name}: the pool is empty after {rounds} of {config.rounds} rounds")
    notes += _metrics_note(config.metrics, corpus)
    for note in notes:
        say(note)
    validation = 0 if corpus.validation else default_validation_size(spec, len(corpus.train))
    statistics = corpus_statistics(corpus, validation_size=validation)
    settings = run_settings(config, spec, fingerprint(corpus))
    return _Prepared(spec, settings, statistics, corpus.label_names, notes, rounds)


def _metrics_note(metrics: tuple[str, ...], corpus: Corpus) -> list[str]:
    labels = len(corpus.label_names)
    measured = measurable(metrics, labels)
    if not measured:
        raise ValueError(
            f"metrics: {corpus.name} has {labels} labels, expected a metric with k up to that, got {metrics}"
        )
    missing = [name for name in metrics if name not in measured]
    return [f"{corpus.name} has {labels} labels: {', '.join(missing)} cannot be measured on it"] if missing else []


def _check_folder(output: Path, prepared: list[_Prepared]) -> None:
    """Refuse records of another config, also those of strategies and seeds that this session leaves alone."""
    described = read_description(output).get("datasets", {})
    for data in prepared:
        for path in sorted((output / "records" / slug(data.spec.name)).glob("*/*.jsonl")):
            records = read_records(path).records
            if records and records[0]["config"] != data.hash:
                old = described.get(data.spec.name, {}).get("settings", {})
                changes = difference(old, data.settings) if old else []
                changes = changes or [f"hash: {records[0]['config']} -> {data.hash}"]
                raise RecordsError(
                    f"{output} holds records of another config of {data.spec.name} ({'; '.join(changes)}): choose "
                    "another output folder, or take the change back"
                )


def _describe(config: ExperimentConfig, prepared: list[_Prepared], skipped: dict[str, str]) -> None:
    """Write what plots and reports need beside the records."""
    datasets = {
        data.spec.name: {
            "hash": data.hash,
            "settings": data.settings,
            "config": asdict(replace(config, datasets=(data.spec,))),
            "statistics": data.statistics._asdict(),
            "labels": list(data.label_names),
            "notes": data.notes,
        }
        for data in prepared
    }
    add_to_description(Path(config.output), datasets, skipped)


def _tasks(config: ExperimentConfig, data: _Prepared, runs: list[Run], how: dict[str, Any]) -> list[Task]:
    """Return the data set's tasks, with the records that are there; `how` is the same for all tasks."""
    tasks = []
    for run in runs:
        path = record_path(Path(config.output), run)
        records = read_records(path).records
        check_records(path, records, run, data.hash)
        rounds = 0 if run.strategy == FULL_DATA else data.rounds
        tasks.append(Task(config, data.spec, run, data.hash, rounds, records=records, **how))
    return tasks


def _run(
    tasks: list[Task],
    skipped: dict[str, str],
    *,
    jobs: int,
    backend: str,
    cluster: str | None,
    say: Callable[[str], None],
) -> Compared:
    finished = [task.run for task in tasks if task.is_finished]
    waiting = [task for task in tasks if not task.is_finished]
    begun = sum(1 for task in waiting if task.records)
    say(f"{len(tasks)} runs: {len(finished)} finished before, {begun} to go on with, {len(waiting) - begun} to begin")
    failed: dict[Run, str] = {}
    if waiting:
        if backend == "loky":
            jobs = busy_processes(jobs, len(waiting))
        threads = _threads(waiting[0].config, jobs=jobs, backend=backend)
        sent = [(replace(task, threads=threads),) for task in waiting]
        for result in run_side_by_side(execute, sent, jobs=jobs, backend=backend, cluster=cluster):
            _bring_home(result, Path(waiting[0].config.output))
            if result.error is None:
                finished.append(result.run)
            else:
                failed[result.run] = result.error
            say(f"{result.run}: {result.error or 'finished'}")
    return Compared(finished, failed, skipped)


def _threads(config: ExperimentConfig, *, jobs: int, backend: str) -> int:
    """Return the CPU threads of a run: its share of this machine, one on a cluster."""
    return config.threads or (max(1, (os.cpu_count() or 1) // jobs) if backend == "loky" else 1)


def _bring_home(result: RunResult, output: Path) -> None:
    """Add the records of a machine that does not share this disk."""
    path = record_path(output, result.run)
    if len(read_records(path).records) < len(result.records):
        file = RecordFile(path)
        for record in result.records[len(file.records) :]:
            file.append(record)

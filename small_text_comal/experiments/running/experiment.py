"""A whole comparison: checks before anything is trained, then all runs that are not finished."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from small_text_comal.experiments.data.statistics_table import format_statistics
from small_text_comal.experiments.options.config import ExecutionOptions, ExperimentConfig
from small_text_comal.experiments.options.mapping import to_mapping
from small_text_comal.experiments.records.output_folder import OutputFolder
from small_text_comal.experiments.records.plan import FULL_DATA, Run, check_files
from small_text_comal.experiments.records.records import RecordFile
from small_text_comal.experiments.running.parallel import busy_processes, run_side_by_side
from small_text_comal.experiments.running.preparation import (
    PreparedDataset,
    check_encoder,
    prepared_dataset,
    runs_of,
    usable_strategies,
)
from small_text_comal.experiments.running.resources import describe_device
from small_text_comal.experiments.running.run import Task, execute

__all__ = ["Compared", "compare"]

logger = logging.getLogger(__name__)


class Compared(NamedTuple):
    """How a comparison ended.

    Parameters
    ----------
    finished : runs that are complete, including those of earlier sessions
    failed : runs and what stopped them
    skipped : strategies that cannot run on multi-label data, and why
    nothing_predicted : share of test documents for which the last classifier of a finished run predicts no label
    """

    finished: list[Run]
    failed: dict[Run, str]
    skipped: dict[str, str]
    nothing_predicted: dict[Run, float]


def compare(config: ExperimentConfig, *, verbose: bool = False, say: Callable[[str], None] = logger.info) -> Compared:
    """Run what is not finished of an experiment.

    Parameters
    ----------
    config : what to compare; its output folder holds the records of this and of earlier sessions
    verbose : show the messages of the libraries
    say : told what the user should know

    Raises
    ------
    UserError, FileNotFoundError
        On names, options, data, sizes, an encoder or a device that do not fit, before anything is trained.
    RecordsError
        When the folder holds records of another config.
    """
    is_local = config.execution.backend == "loky"
    if is_local:
        describe_device(config.execution.device)
        config.execution.resolved_cache_folder()
    usable, skipped = usable_strategies(config)
    for name, reason in skipped.items():
        say(f"strategy {name} is skipped: {reason}")
    runs = {spec.name: runs_of(config.protocol, spec, usable) for spec in config.datasets}
    check_files(run for planned in runs.values() for run in planned)
    prepared = [prepared_dataset(config, spec, say) for spec in config.datasets]
    say(format_statistics([data.statistics for data in prepared]))
    folder = OutputFolder(config.output)
    for data in prepared:
        folder.check(data.settings)
    how = {"verbose": verbose, "parent": os.getpid() if is_local else None}
    tasks = [task for data in prepared for task in _tasks(config, data, runs[data.spec.name], how)]
    if is_local and not all(task.is_finished for task in tasks):
        check_encoder(config.encoder)
    folder.describe({data.spec.name: _description(config, data) for data in prepared}, skipped)
    finished, failed = _run(tasks, config.execution, folder, say)
    hashes = {task.run: task.config_hash for task in tasks}
    last = {run: folder.records(run, hashes[run])[-1] for run in finished}
    return Compared(finished, failed, skipped, {run: one.get("nothing_predicted", 0.0) for run, one in last.items()})


def _description(config: ExperimentConfig, data: PreparedDataset) -> dict[str, Any]:
    """Return what figures and reports need to know of a data set besides the records."""
    return {
        "hash": data.settings.hash,
        "settings": data.settings.values,
        "config": to_mapping(replace(config, datasets=(data.spec,))),
        "statistics": data.statistics._asdict(),
        "labels": list(data.label_names),
        "notes": data.notes,
    }


def _tasks(config: ExperimentConfig, data: PreparedDataset, runs: list[Run], how: dict[str, Any]) -> list[Task]:
    """Return the tasks of a data set, with the records that exist; `how` is the same for all tasks."""
    tasks = []
    for run in runs:
        records = OutputFolder(config.output).records(run, data.settings.hash)
        rounds = 0 if run.strategy == FULL_DATA else data.rounds
        tasks.append(Task(config, data.spec, run, data.settings.hash, rounds, records=records, **how))
    return tasks


def _run(
    tasks: list[Task], execution: ExecutionOptions, folder: OutputFolder, say: Callable[[str], None]
) -> tuple[list[Run], dict[Run, str]]:
    """Execute the tasks that are not finished; return the finished runs, and the failed ones with the error."""
    finished = [task.run for task in tasks if task.is_finished]
    waiting = [task for task in tasks if not task.is_finished]
    begun = sum(1 for task in waiting if task.records)
    say(f"{len(tasks)} runs: {len(finished)} already finished, {begun} to resume, {len(waiting) - begun} to start")
    failed: dict[Run, str] = {}
    if not waiting:
        return finished, failed
    jobs = _jobs(execution, len(waiting))
    sent = [(replace(task, threads=_threads(execution, jobs)),) for task in waiting]
    for result in run_side_by_side(execute, sent, jobs=jobs, backend=execution.backend, cluster=execution.cluster):
        # a machine that does not share this disk returns records that are not in the folder yet
        RecordFile(folder.record_path(result.run)).extend(result.records)
        if result.error is None:
            finished.append(result.run)
        else:
            failed[result.run] = result.error
        say(f"{result.run}: {result.error or 'finished'}")
    return finished, failed


def _jobs(execution: ExecutionOptions, n_tasks: int) -> int:
    if execution.backend != "loky":
        return -1 if execution.jobs is None else execution.jobs
    return busy_processes(1 if execution.jobs is None else execution.jobs, n_tasks)


def _threads(execution: ExecutionOptions, jobs: int) -> int:
    """Return the CPU threads of a run: its share of this machine, one on a cluster."""
    return execution.threads or (max(1, (os.cpu_count() or 1) // jobs) if execution.backend == "loky" else 1)

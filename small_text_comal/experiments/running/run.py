"""One run from its data to its last record, wherever it is executed."""

from __future__ import annotations

import logging
import threading
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from small_text_comal.experiments.data.corpus import Corpus, fingerprint
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.prepare import load_corpus
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.options.strategies import StrategySpec, parse_strategy
from small_text_comal.experiments.records.output_folder import OutputFolder
from small_text_comal.experiments.records.plan import FULL_DATA, Run
from small_text_comal.experiments.records.records import RecordFile, RecordsError
from small_text_comal.experiments.records.run_settings import run_settings
from small_text_comal.experiments.running.learner import SmallTextLearner
from small_text_comal.experiments.running.library_noise import calm_libraries, limited_threads
from small_text_comal.experiments.running.parent_watch import end_with
from small_text_comal.experiments.running.progress import RunProgress
from small_text_comal.experiments.running.protocol import Split, initial_labels, make_split
from small_text_comal.experiments.running.resources import describe_device, library_versions
from small_text_comal.experiments.running.rounds import RoundPlan, run_rounds

__all__ = ["RunResult", "Task", "execute"]

logger = logging.getLogger(__name__)

# Runs seed the global generators of torch and NumPy: a process (a Dask worker with threads) does one at a time.
_ONE_AT_A_TIME = threading.Lock()
_corpora: dict[str, Corpus] = {}


@dataclass(frozen=True)
class Task:
    """What is sent to the process or machine that executes a run.

    Parameters
    ----------
    config, spec, run : what to run
    config_hash : of the settings and the data, as the sender sees them
    rounds : number of queries
    threads : CPU threads, for a run without records
    verbose : show the messages of the libraries
    records : the run's records that the sender has; a machine that does not share the sender's disk continues from them
    parent : process with which the run ends; None when the sender is another machine
    """

    config: ExperimentConfig
    spec: DatasetSpec
    run: Run
    config_hash: str
    rounds: int
    threads: int = 1
    verbose: bool = False
    records: list[dict[str, Any]] = field(default_factory=list)
    parent: int | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the sender has all records."""
        return len(self.records) > self.rounds


class RunResult(NamedTuple):
    """How a run ended: all its records, and what stopped it before its end, or None."""

    run: Run
    records: list[dict[str, Any]]
    error: str | None


def execute(task: Task) -> RunResult:
    """Do what is missing of a run; an error is returned, so that other runs continue."""
    end_with(task.parent)
    folder = OutputFolder(task.config.output)
    error_file = folder.error_path(task.run)
    records: list[dict[str, Any]] = []
    try:
        with _ONE_AT_A_TIME, folder.writing(task.run, task.config_hash) as file:
            if file.note:
                logger.warning(file.note)
            records = file.records
            file.extend(task.records)
            _continue(task, file)
            error_file.unlink(missing_ok=True)
    except Exception as error:
        _keep_traceback(error_file)
        return RunResult(task.run, records, f"{type(error).__name__}: {error}")
    return RunResult(task.run, records, None)


def _continue(task: Task, file: RecordFile) -> None:
    threads = file.records[0]["threads"] if file.records else task.threads
    with calm_libraries(verbose=task.verbose), limited_threads(threads):
        corpus = _corpus(task)
        split = make_split(corpus, task.spec, task.run.seed)
        plan = _round_plan(task, split, threads)
        if len(file.records) > plan.rounds:
            return
        _warn_of_other_versions(file, plan.common["versions"])
        learner = SmallTextLearner(corpus, split, task.config, spec=task.spec, strategy=_strategy(task.run))
        progress = RunProgress(str(task.run), plan.rounds + 1, done=len(file.records))
        try:
            run_rounds(learner, split, plan, file, observer=progress)
        finally:
            progress.close()


def _corpus(task: Task) -> Corpus:
    """Return the data; a process that executes several runs reads them once, and again after a file was changed."""
    key = repr(task.spec)
    if key not in _corpora or not _is_as_sent(_corpora[key], task):
        _corpora.clear()
        corpus = load_corpus(task.spec)
        if not _is_as_sent(corpus, task):
            raise RecordsError(f"dataset {task.spec.name}: the data here differ from those where the run was sent from")
        _corpora[key] = corpus
    return _corpora[key]


def _is_as_sent(corpus: Corpus, task: Task) -> bool:
    return run_settings(task.config, task.spec, fingerprint(corpus)).hash == task.config_hash


def _strategy(run: Run) -> StrategySpec:
    """Return the strategy; the run on all labels never queries, so any that needs no branch will do."""
    return parse_strategy("RandomSampling" if run.strategy == FULL_DATA else run.strategy)


def _round_plan(task: Task, split: Split, threads: int) -> RoundPlan:
    """Return what a run does; the run on all labels starts with all of them."""
    protocol, run = task.config.protocol, task.run
    if run.strategy == FULL_DATA:
        initial = np.arange(len(split.pool))
    else:
        cover = protocol.min_per_label
        initial = initial_labels(split.pool, protocol.initial_size, min_per_label=cover, seed=run.seed)
    common = {
        "config": task.config_hash,
        "dataset": run.dataset,
        "strategy": run.strategy,
        "seed": run.seed,
        "threads": threads,
        "device": describe_device(task.config.execution.device),
        "versions": library_versions(),
    }
    return RoundPlan(run.seed, initial, protocol.query_size, task.rounds, protocol.metrics, common)


def _warn_of_other_versions(file: RecordFile, versions: dict[str, str]) -> None:
    if file.records and file.records[-1]["versions"] != versions:
        logger.warning(
            "%s was started with %s and continues with %s: its indices may differ from those of an uninterrupted run",
            file.path,
            file.records[-1]["versions"],
            versions,
        )


def _keep_traceback(file: Path) -> None:
    logger.debug("run failed", exc_info=True)
    try:
        file.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError as error:  # the disk may be what failed
        logger.warning("the traceback could not be written: %s", error)

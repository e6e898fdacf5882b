"""One run from its data to its last record, wherever it is sent."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from small_text_comal.experiments.data.corpus import Corpus, fingerprint
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.prepare import load_corpus
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.options.strategies import StrategySpec, parse_strategy
from small_text_comal.experiments.records.config_hash import config_hash, run_settings
from small_text_comal.experiments.records.plan import FULL_DATA, Run, record_path
from small_text_comal.experiments.records.records import RecordFile, RecordsError
from small_text_comal.experiments.running.learner import SmallTextLearner
from small_text_comal.experiments.running.library_noise import calm_libraries, limited_threads
from small_text_comal.experiments.running.parent_watch import end_with
from small_text_comal.experiments.running.progress import RunProgress
from small_text_comal.experiments.running.protocol import Split, initial_labels, make_split
from small_text_comal.experiments.running.resources import describe_device, library_versions
from small_text_comal.experiments.running.rounds import RoundPlan, run_rounds

__all__ = ["RunResult", "Task", "check_records", "execute", "only_writer", "round_plan"]

logger = logging.getLogger(__name__)

ERROR_SUFFIX = ".error.txt"  # beside the records of a run that failed: the traceback

_LOCK_WAIT = 5.0  # seconds; workers of a command that was killed need a moment to end
# Runs seed the global generators of torch and NumPy: a process (a Dask worker with threads) does one at a time.
_ONE_AT_A_TIME = threading.Lock()
_corpora: dict[str, Corpus] = {}


@dataclass(frozen=True)
class Task:
    """What is sent to where a run happens.

    Parameters
    ----------
    config, spec, run : what to run
    config_hash : of the settings and the data, as the sender sees them
    rounds : how many times labels are bought
    threads : CPU threads, for a run without records
    verbose : show what the libraries say
    records : the run's records that the sender has; a machine without the sender's disk goes on from these
    parent : process that the run ends with; None where the sender is elsewhere
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
    """Do what is missing of a run; an error is returned, so that it does not take other runs with it."""
    end_with(task.parent)
    path = record_path(Path(task.config.output), task.run)
    records: list[dict[str, Any]] = []
    try:
        with _ONE_AT_A_TIME, only_writer(path):
            file = RecordFile(path)
            records = file.records
            _take_over(file, task)
            _continue(task, file)
            path.with_suffix(ERROR_SUFFIX).unlink(missing_ok=True)
    except Exception as error:
        _keep_traceback(path)
        return RunResult(task.run, records, f"{type(error).__name__}: {error}")
    return RunResult(task.run, records, None)


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Keep other processes from writing a file.

    Raises
    ------
    RecordsError
        When another process does not end in time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".lock"), timeout=_LOCK_WAIT):
            yield
    except Timeout:
        raise RecordsError(f"another process is writing {path}: wait until it ends, or end it") from None


def _take_over(file: RecordFile, task: Task) -> None:
    """Check the records that are there, and add those that only the sender has."""
    if file.note:
        logger.warning(file.note)
    check_records(file.path, file.records, task.run, task.config_hash)
    for record in task.records[len(file.records) :]:
        file.append(record)


def check_records(path: Path, records: list[dict[str, Any]], run: Run, config_hash: str) -> None:
    """Refuse records of another run or another config.

    Raises
    ------
    RecordsError
        When the records of the file are not those of `run` under the config with this hash.
    """
    if not records:
        return
    first = records[0]
    found = Run(first["dataset"], first["strategy"], first["seed"])
    if found != run:
        raise RecordsError(f"{path} holds records of {found}, expected {run}: choose another output folder")
    if first["config"] != config_hash:
        raise RecordsError(
            f"{path} holds records of another config (hash {first['config']}, this one has {config_hash}): choose "
            "another output folder"
        )


def _continue(task: Task, file: RecordFile) -> None:
    threads = file.records[0]["threads"] if file.records else task.threads
    with calm_libraries(verbose=task.verbose), limited_threads(threads):
        corpus = _corpus(task)
        split = make_split(corpus, task.spec, task.run.seed)
        plan = round_plan(task, split, threads)
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
    """A process that does several runs reads its data once, and again when a file was changed since."""
    key = repr(task.spec)
    if key not in _corpora or not _is_as_sent(_corpora[key], task):
        _corpora.clear()
        corpus = load_corpus(task.spec)
        if not _is_as_sent(corpus, task):
            raise RecordsError(f"dataset {task.spec.name}: other data here than where the run was sent from")
        _corpora[key] = corpus
    return _corpora[key]


def _is_as_sent(corpus: Corpus, task: Task) -> bool:
    return config_hash(run_settings(task.config, task.spec, fingerprint(corpus))) == task.config_hash


def _strategy(run: Run) -> StrategySpec:
    """The run on all labels never queries: any strategy that wants no branch will do."""
    return parse_strategy("RandomSampling" if run.strategy == FULL_DATA else run.strategy)


def round_plan(task: Task, split: Split, threads: int) -> RoundPlan:
    """Return what a run does; the run on all labels has all from the start."""
    config, run = task.config, task.run
    if run.strategy == FULL_DATA:
        initial = np.arange(len(split.pool))
    else:
        min_per_label = config.min_per_label
        initial = initial_labels(split.pool, config.initial_size, min_per_label=min_per_label, seed=run.seed)
    common = {
        "config": task.config_hash,
        "dataset": run.dataset,
        "strategy": run.strategy,
        "seed": run.seed,
        "threads": threads,
        "device": describe_device(config.device),
        "versions": library_versions(),
    }
    return RoundPlan(run.seed, initial, config.query_size, task.rounds, config.metrics, common)


def _warn_of_other_versions(file: RecordFile, versions: dict[str, str]) -> None:
    if file.records and file.records[-1]["versions"] != versions:
        logger.warning(
            "%s was begun with %s and goes on with %s: its indices may differ from those of one uninterrupted run",
            file.path,
            file.records[-1]["versions"],
            versions,
        )


def _keep_traceback(path: Path) -> None:
    logger.debug("run failed", exc_info=True)
    try:
        path.with_suffix(ERROR_SUFFIX).write_text(traceback.format_exc(), encoding="utf-8")
    except OSError as error:  # the disk may be what failed
        logger.warning("no traceback kept: %s", error)

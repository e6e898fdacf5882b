"""Runs side by side: joblib on one machine, or its Ray or Dask backend on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any

import joblib

from small_text_comal.experiments.data.names import known_name

__all__ = ["BACKENDS", "WorkerLostError", "busy_processes", "run_side_by_side"]


class WorkerLostError(RuntimeError):
    """A worker process died; what to do is in the message."""


BACKENDS = ("loky", "ray", "dask")


def run_side_by_side(
    function: Callable[..., Any],
    tasks: Iterable[tuple],
    *,
    jobs: int,
    backend: str = "loky",
    cluster: str | None = None,
) -> Iterator[Any]:
    """Yield the results of ``function(*task)`` as they come, in any order.

    One job on this machine runs in this process.

    Parameters
    ----------
    function : importable by name on every machine
    tasks : its positional arguments
    jobs : how many at a time; -1: one for each core of the machine or cluster
    backend : "loky" (processes of this machine), "ray" or "dask"
    cluster : address of the Ray or Dask cluster; None starts a local one

    Raises
    ------
    ValueError, ImportError
        On an unknown backend, or one whose package is missing, with the extra to install.
    WorkerLostError
        When a process of this machine was killed.
    """
    backend = known_name(backend, BACKENDS, kind="backend")
    if backend == "loky" and cluster is not None:
        raise ValueError(f"cluster {cluster!r}: the loky backend runs on this machine only; add --backend ray or dask")
    with _BACKEND_CONTEXTS[backend](cluster):
        # runs last minutes to hours: a batch of more than one would leave workers idle
        parallel = joblib.Parallel(n_jobs=jobs, batch_size=1, return_as=_unordered(backend))
        try:
            yield from parallel(joblib.delayed(function)(*task) for task in tasks)
        except BrokenExecutor as error:
            raise WorkerLostError(
                "a process that did a run was killed, maybe for want of memory: finished rounds are kept, and the same "
                "command goes on (with fewer --jobs, if memory was short)"
            ) from error


def busy_processes(jobs: int, tasks: int) -> int:
    """Return how many processes of this machine `jobs` stands for, no more than there are tasks."""
    return min(joblib.effective_n_jobs(jobs), tasks)


def _unordered(backend: str) -> str:
    """joblib's Ray backend cannot give results back one by one."""
    return "list" if backend == "ray" else "generator_unordered"


@contextmanager
def _loky(cluster: str | None) -> Iterator[None]:
    with joblib.parallel_config("loky"):
        yield


@contextmanager
def _ray(cluster: str | None) -> Iterator[None]:
    ray = _required("ray", extra="ray")
    import_module("ray.util.joblib").register_ray()
    started = not ray.is_initialized()
    if started:
        ray.init(address=cluster, log_to_driver=False)
    try:
        with joblib.parallel_config("ray"):
            yield
    finally:
        if started:
            ray.shutdown()


@contextmanager
def _dask(cluster: str | None) -> Iterator[None]:
    distributed = _required("distributed", extra="dask")
    # one thread a worker: a run seeds the global generators of its process
    client = distributed.Client(cluster) if cluster else distributed.Client(processes=True, threads_per_worker=1)
    with client, joblib.parallel_config("dask", client=client):
        yield


_BACKEND_CONTEXTS: dict[str, Callable[[str | None], AbstractContextManager[None]]] = {
    "loky": _loky,
    "ray": _ray,
    "dask": _dask,
}


def _required(package: str, *, extra: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(
            f"--backend {extra} needs the package {package}: pip install 'small-text-comal[{extra}]'"
        ) from error

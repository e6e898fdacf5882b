"""Runs side by side: joblib on one machine, or its Ray or Dask backend on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any

import joblib

from small_text_comal.experiments.data.user_error import UserError

__all__ = ["busy_processes", "run_side_by_side"]


def run_side_by_side(
    function: Callable[..., Any],
    tasks: Iterable[tuple],
    *,
    jobs: int,
    backend: str = "loky",
    cluster: str | None = None,
) -> Iterator[Any]:
    """Yield the results of ``function(*task)`` as they come, in any order.

    A single job on this machine runs in this process.

    Parameters
    ----------
    function : importable by name on every machine
    tasks : its positional arguments
    jobs : maximum number at a time; -1: one per core of the machine or cluster
    backend : "loky" (processes of this machine), "ray" or "dask"
    cluster : address of the Ray or Dask cluster; None starts a local one

    Raises
    ------
    UserError
        When the package of a backend is missing, with the extra to install, and when a process of this machine was
        killed.
    """
    with _BACKEND_CONTEXTS[backend](cluster):
        # runs last minutes to hours: a batch of more than one would leave workers idle
        parallel = joblib.Parallel(n_jobs=jobs, batch_size=1, return_as=_unordered(backend))
        try:
            yield from parallel(joblib.delayed(function)(*task) for task in tasks)
        except BrokenExecutor as error:
            raise UserError(
                "a process that executed a run was killed, possibly because memory ran out: finished rounds are kept, "
                "and the same command resumes (use fewer --jobs if memory was short)"
            ) from error


def busy_processes(jobs: int, tasks: int) -> int:
    """Return how many processes of this machine `jobs` stands for, at most one per task."""
    return min(joblib.effective_n_jobs(jobs), tasks)


def _unordered(backend: str) -> str:
    """joblib's Ray backend cannot return results one by one."""
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
    # one thread per worker: a run seeds the global generators of its process
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
        raise UserError(
            f"--backend {extra} needs the package {package}: pip install 'small-text-comal[{extra}]'"
        ) from error

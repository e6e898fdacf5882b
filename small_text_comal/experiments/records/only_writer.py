"""One process at a time writes a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from small_text_comal.experiments.records.records import RecordsError

__all__ = ["only_writer"]

_WAIT = 5.0  # seconds; workers of a command that was killed need a moment to end


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Keep other processes from writing a file.

    Raises
    ------
    RecordsError
        When another process does not finish in time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".lock"), timeout=_WAIT):
            yield
    except Timeout:
        raise RecordsError(f"another process is writing {path}: wait until it ends, or end it") from None

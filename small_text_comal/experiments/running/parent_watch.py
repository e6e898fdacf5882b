"""Worker processes end with the process that started them."""

from __future__ import annotations

import os
import threading
import time

__all__ = ["end_with"]

_INTERVAL = 0.5  # seconds between two checks
_watched: set[int] = set()


def end_with(parent: int | None) -> None:
    """End this process soon after its parent has ended, for whatever reason.

    Otherwise a killed command would leave its workers running: each would finish its round and keep the lock of its
    records, which the next command needs. A worker may end at any moment, since records and cache files are
    whole or absent.

    Parameters
    ----------
    parent : process that started this one; this process itself, or None for one on another machine, is not watched.
        Windows does not report that a parent has ended: there a worker continues to the end of its run.
    """
    if parent is None or parent == os.getpid() or parent in _watched:
        return
    _watched.add(parent)
    threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_INTERVAL)
    os._exit(1)  # not sys.exit: training would continue in the main thread

"""How far an action raises the memory of its process, or of the CUDA device."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

__all__ = ["MIB", "in_fresh_process", "peak_growth"]

MIB = 2**20
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_growth(action: Callable[[], Any], device: str = "cpu") -> int:
    """Run `action`; return the bytes by which its peak exceeds what was in use before.

    On CUDA these are the bytes that PyTorch allocated there. On Linux the peak is taken from VmHWM, reset before: the
    `ru_maxrss` of a child starts at what its parent had. Elsewhere only growth above an earlier peak is seen.
    """
    gc.collect()
    _return_free_memory()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        action()
        return torch.cuda.max_memory_allocated(device) - before
    if _reset_peak():
        before = _status_bytes("VmRSS")
        action()
        return max(0, _status_bytes("VmHWM") - before)
    before = _peak_since_start()
    action()
    return _peak_since_start() - before


def _return_free_memory() -> None:
    """Give memory that was freed, but kept by the C library, back: growth into it would go unseen."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _reset_peak() -> bool:
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _status_bytes(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    assert found is not None, f"no {field} in {_STATUS}"
    return int(found[1]) * 1024


def _peak_since_start() -> int:
    # kibibytes, but bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def in_fresh_process(script: str, arguments: Sequence[object]) -> dict[str, Any]:
    """Run a script of this folder, which prints a JSON object on its last line, and return that."""
    command = [sys.executable, "-W", "ignore", script, *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])

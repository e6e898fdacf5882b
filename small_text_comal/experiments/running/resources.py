"""Peak memory of a round, and the versions that made a record."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

import torch

__all__ = ["PeakMemory", "describe_device", "library_versions"]

LIBRARIES = ("small-text-comal", "small-text", "torch", "transformers", "numpy", "scipy", "scikit-learn")
MIB = 2**20


class PeakMemory:
    """Peak memory from its making on; where the system cannot reset its counter, from the start of the process."""

    def __init__(self) -> None:
        _reset_resident_peak()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def peaks(self) -> dict[str, float | None]:
        """Return the peaks in MiB: "resident" of the process, "gpu" of torch (None without one)."""
        gpu = torch.cuda.max_memory_allocated() / MIB if torch.cuda.is_available() else None
        return {"resident": _resident_peak(), "gpu": None if gpu is None else round(gpu, 1)}


def _reset_resident_peak() -> None:
    try:
        with open("/proc/self/clear_refs", "w") as counter:
            counter.write("5")  # Linux: sets VmHWM back to the present size
    except OSError:
        return


def _resident_peak() -> float | None:
    try:
        with open("/proc/self/status") as status:
            kibibytes = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
        return round(kibibytes / 1024, 1)
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / MIB if sys.platform == "darwin" else peak / 1024, 1)


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide the numbers."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a source tree
            versions[name] = "source"
    return versions


def describe_device(device: str) -> dict[str, Any]:
    """Return the device that "auto", "cpu" or "cuda" means here, with the name of the GPU.

    Raises
    ------
    ValueError
        When there is no such device.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise ValueError(f"device {device!r}: expected auto, cpu or a GPU of this machine ({first_line})") from None
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()
    return {"type": device, "name": name}

"""The device and the library versions that a record was made with."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import torch

from small_text_comal.experiments.data.user_error import UserError

__all__ = ["describe_device", "library_versions"]

LIBRARIES = ("small-text-comal", "small-text", "torch", "transformers", "numpy", "scipy", "scikit-learn")


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
    UserError
        When there is no such device.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise UserError(f"device {device!r}: expected auto, cpu or a GPU of this machine ({first_line})") from None
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()
    return {"type": device, "name": name}

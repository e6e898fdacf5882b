"""Warnings that a process gives once."""

from __future__ import annotations

import functools
import warnings

__all__ = ["note_once"]


@functools.cache
def note_once(message: str) -> None:
    """Warn with `message`, unless this process has done so before."""
    warnings.warn(message, stacklevel=3)

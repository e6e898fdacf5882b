"""Paths in experiment files, in which no shell has expanded variables."""

from __future__ import annotations

import os

from small_text_comal.experiments.data.user_error import UserError

__all__ = ["filled_path"]


def filled_path(path: str, *, where: str) -> str:
    """Return `path` with environment variables and ~ filled in.

    Raises
    ------
    UserError
        When a variable is not set; the message names `where` the path was written.

    Examples
    --------
    >>> filled_path("data/nlupp", where="dataset nlupp")
    'data/nlupp'
    """
    filled = os.path.expanduser(os.path.expandvars(path))
    if "$" in filled:
        raise UserError(f"{where}: an environment variable in {path!r} is not set")
    return filled

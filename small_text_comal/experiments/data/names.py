"""Names given by users: find them, or name the nearest one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from small_text_comal.experiments.data.user_error import UserError

__all__ = ["known_name"]


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def known_name(name: str, known: Iterable[str], *, kind: str) -> str:
    """Return the member of `known` that `name` means, whatever its case, hyphens and underscores.

    Parameters
    ----------
    name : as the user wrote it
    known : all names there are
    kind : what is named, for the message: "dataset", "strategy", "metric"

    Raises
    ------
    UserError
        When there is no such name; the message suggests the nearest and lists all.

    Examples
    --------
    >>> known_name("Micro-F1", ["micro_f1", "macro_f1"], kind="metric")
    'micro_f1'
    """
    known = list(known)
    if name in known:  # "BESRA(alpha=1.5)" and "BESRA(alpha=15)" are alike without their points
        return name
    plain = {_plain(candidate): candidate for candidate in known}
    if _plain(name) in plain:
        return plain[_plain(name)]
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.5)
    suggestion = f" Did you mean {plain[near[0]]!r}?" if near else ""
    raise UserError(f"unknown {kind} {name!r}.{suggestion} Known: {', '.join(sorted(known))}")

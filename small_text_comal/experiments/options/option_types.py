"""Values from files and the command line, checked against the types that options declare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from small_text_comal.experiments.data.user_error import UserError

__all__ = ["as_declared"]

WORDS = {str: "a text", int: "an integer", float: "a finite number", bool: "true or false"}


def as_declared(options: type, values: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Return `values`, by name, in the types of the fields of a dataclass: integers made floats, lists made tuples.

    Raises
    ------
    UserError
        When a value is of another type; the message names `where` it was written.

    Examples
    --------
    >>> from small_text_comal.experiments.options.config import TrainingOptions
    >>> as_declared(TrainingOptions, {"learning_rate": 1, "patience": 2}, where="[training]")
    {'learning_rate': 1.0, 'patience': 2}
    """
    hints = get_type_hints(options)
    declared = {}
    for name, value in values.items():
        try:
            declared[name] = _converted(value, hints[name])
        except TypeError:
            raise UserError(f"{where}: {name}: expected {_words(hints[name])}, got {value!r}") from None
    return declared


def _converted(value: Any, hint: Any) -> Any:
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is UnionType:  # all are "something | None"
        return None if value is None else _converted(value, inner[0])
    if kind is tuple and isinstance(value, list | tuple):
        return tuple(_converted(item, inner[0]) for item in value)
    if isinstance(value, bool) and kind is not bool:  # an int in Python, but not to the user who wrote it
        raise TypeError
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind) or (kind is float and not math.isfinite(value)):
        raise TypeError
    return value


def _words(hint: Any) -> str:
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is UnionType:
        return _words(inner[0])
    return f"a list, each {_words(inner[0])}" if kind is tuple else WORDS.get(kind, "a table")

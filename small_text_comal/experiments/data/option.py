"""Options as fields of dataclasses: each field says its help text, its range, and whether records depend on it."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any

from small_text_comal.experiments.data.user_error import UserError

__all__ = ["check_ranges", "option"]


def option(default: Any, help: str = "", *, flag: str = "", minimum: int | None = None, free: bool = False) -> Any:
    """Return a dataclass field.

    Parameters
    ----------
    default : its default value
    help : shown at the command line; an option without it can only be set in a file
    flag : its name at the command line, where that is not the field's name ("seed" for "seeds")
    minimum : of an integer
    free : True when finished rounds stay valid after the option changes, as when seeds are added
    """
    return field(default=default, metadata={"help": help, "flag": flag, "minimum": minimum, "free": free})


def check_ranges(options: Any, *, where: str = "") -> None:
    """Check all integers of a dataclass that have a minimum; None passes where it is the default.

    Raises
    ------
    UserError
        Names the option, what was expected and what came.
    """
    for one in fields(options):
        minimum, value = one.metadata.get("minimum"), getattr(options, one.name)
        if minimum is None or (value is None and one.default is None):
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise UserError(f"{where}{one.name}: expected an integer >= {minimum}, got {value!r}")

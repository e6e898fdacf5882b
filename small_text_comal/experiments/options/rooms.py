"""How the options of an experiment are laid out: in which group each is, and which ones the command line has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.options.config import ExperimentConfig

__all__ = ["ROOMS", "CommandOption", "Room", "command_options", "given_tables"]


class Room(NamedTuple):
    """A group of options.

    Parameters
    ----------
    table : where a file has them: the name of a table, "" for the top level
    name : field of `ExperimentConfig`
    kind : its dataclass
    help : help texts of fields that have none themselves
    """

    table: str
    name: str
    kind: type
    help: Mapping[str, str]

    @property
    def options(self) -> list[str]:
        """The names of its options."""
        return [one.name for one in fields(self.kind)]


ROOMS = tuple(
    Room("" if one.metadata["flat"] else one.name, one.name, one.default_factory, one.metadata.get("help_texts", {}))  # type: ignore[arg-type]
    for one in fields(ExperimentConfig)
    if "flat" in one.metadata
)
TOP = Room("", "", ExperimentConfig, {})  # output and data sets
EVERY_DATASET = Room("dataset", "", DatasetSpec, {})  # options given once for all data sets


class CommandOption(NamedTuple):
    """An option of the command line.

    Parameters
    ----------
    flag : its name there, with underscores
    kind : str, int, float, bool, or a list of these
    help : help text
    table, name : its place in a file
    """

    flag: str
    kind: Any
    help: str
    table: str
    name: str


def command_options() -> list[CommandOption]:
    """Return the options that have a help text, in the order of the fields."""
    found = []
    for room in (TOP, *ROOMS, EVERY_DATASET):
        kinds = get_type_hints(room.kind)
        for one in fields(room.kind):
            help = one.metadata.get("help") or room.help.get(one.name)
            if help:
                flag = one.metadata.get("flag") or one.name
                found.append(CommandOption(flag, _typed_as(kinds[one.name]), help, room.table, one.name))
    return found


def _typed_as(hint: Any) -> Any:
    """Return the type of what a user types for a field.

    >>> _typed_as(int | None), _typed_as(tuple[int, ...])
    (<class 'int'>, list[int])
    """
    kind, inner = get_origin(hint), get_args(hint)
    if kind is UnionType:  # all are "something | None"
        return inner[0]
    if kind is tuple:
        return list[str] if inner[0] is DatasetSpec else list[inner[0]]  # type: ignore[valid-type]
    return hint


def given_tables(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given at the command line, laid out as in a file.

    Parameters
    ----------
    values : by flag; None or an empty list where an option was not given

    Examples
    --------
    >>> given_tables({"seed": [0, 1], "model": "m", "pool_size": 50, "rounds": None})
    {'seeds': [0, 1], 'encoder': {'model': 'm'}, 'dataset': {'pool_size': 50}}
    """
    tables: dict[str, Any] = {}
    for option in command_options():
        value = values.get(option.flag)
        if value not in (None, []):
            (tables.setdefault(option.table, {}) if option.table else tables)[option.name] = value
    return tables

"""From tables of options, as TOML files have them, to an experiment, and back."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from small_text_comal.experiments.data.dataset_spec import DatasetSpec, dataset_table
from small_text_comal.experiments.data.names import known_name
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.options.option_types import as_declared
from small_text_comal.experiments.options.rooms import ROOMS

__all__ = ["from_mapping", "known_options", "read_toml", "to_mapping"]

Options = TypeVar("Options")
EXPERIMENT = "the experiment"
TOP_LEVEL = ["output", "datasets", *(name for room in ROOMS for name in ([room.table] if room.table else room.options))]


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    FileNotFoundError, UserError
        When there is no such file, or it is not TOML in UTF-8 (with the line).
    """
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    if not path.is_file():
        raise FileNotFoundError(f"no experiment file {path}")
    try:
        return toml.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not TOML: {error}") from None


def from_mapping(content: Mapping[str, Any]) -> ExperimentConfig:
    """Build an experiment from tables: options at the top level, ``[encoder]``, ..., and ``[[datasets]]``.

    A data set is a table, or a string ``LOADER:PATH``.

    Raises
    ------
    UserError
        On an unknown option (with the nearest), one that is missing or given twice, and a value of another type or
        out of range.
    """
    plain = known_options(content)
    if not plain.get("output"):
        raise UserError("output: name the folder of the records (--output FOLDER)")
    rooms: dict[str, Any] = {}
    for room in ROOMS:
        values = plain.get(room.table, {}) if room.table else {n: plain[n] for n in room.options if n in plain}
        rooms[room.name] = _made(room.kind, values, where=f"[{room.table}]" if room.table else EXPERIMENT)
    datasets = tuple(_dataset(entry) for entry in plain.get("datasets", []))
    return _made(ExperimentConfig, {"output": plain["output"], "datasets": datasets, **rooms}, where=EXPERIMENT)


def to_mapping(config: ExperimentConfig) -> dict[str, Any]:
    """Return the tables from which `from_mapping` builds an equal experiment."""
    rooms = asdict(config)
    tables = {"output": rooms["output"], "datasets": list(rooms["datasets"])}
    for room in ROOMS:
        tables |= {room.table: rooms[room.name]} if room.table else rooms[room.name]
    return tables


def known_options(content: Mapping[str, Any], *, also: Iterable[str] = ()) -> dict[str, Any]:
    """Return tables with options under their own names, whatever their capitals and hyphens, and data sets as a list.

    Parameters
    ----------
    content : as it was written
    also : further names that are allowed at the top level

    Raises
    ------
    UserError
        On an unknown option (with the nearest), one that is given twice, and on something else in place of a table.
    """
    plain = _named(content, [*TOP_LEVEL, *also], where=EXPERIMENT)
    for room in ROOMS:
        if room.table in plain:
            plain[room.table] = _named(plain[room.table], room.options, where=f"[{room.table}]")
    if "datasets" in plain:
        entries = plain["datasets"] if isinstance(plain["datasets"], list | tuple) else [plain["datasets"]]
        known = [one.name for one in fields(DatasetSpec)]
        plain["datasets"] = [
            entry if isinstance(entry, str) else _named(entry, known, where="[[datasets]]") for entry in entries
        ]
    return plain


def _named(values: Any, known: list[str], *, where: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: expected a table of options, got {values!r}")
    named: dict[str, Any] = {}
    for written, value in values.items():
        name = known_name(written, known, kind=f"option of {where}")
        if name in named:
            raise UserError(f"{where}: {name} is given twice, the second time as {written!r}: remove one")
        named[name] = value
    return named


def _dataset(entry: str | Mapping[str, Any]) -> DatasetSpec:
    table = dataset_table(entry) if isinstance(entry, str) else entry
    if "loader" not in table:
        raise UserError(f"[[datasets]]: loader is missing in {dict(table)}")
    return _made(DatasetSpec, table, where="[[datasets]]")


def _made(options: type[Options], values: Mapping[str, Any], *, where: str) -> Options:
    declared = as_declared(options, values, where=where)
    try:
        return options(**declared)
    except ValueError as error:  # what the checks of a dataclass refuse was written by the user
        raise UserError(str(error)) from None

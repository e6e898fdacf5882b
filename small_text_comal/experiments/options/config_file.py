"""Experiment files: TOML with the names of the options."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.experiments.data.dataset_spec import DatasetSpec, parse_dataset
from small_text_comal.experiments.data.names import known_name
from small_text_comal.experiments.options.config import EncoderOptions, ExperimentConfig, TrainingOptions
from small_text_comal.experiments.options.option_types import as_declared

__all__ = ["config_from_mapping", "read_toml", "with_known_names"]

SECTIONS = {"encoder": EncoderOptions, "training": TrainingOptions, "branch": ContrastiveBranchArguments}
Options = TypeVar("Options")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    FileNotFoundError, ValueError
        When there is no such file, or it is not TOML in UTF-8 (with the line).
    """
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    if not path.is_file():
        raise FileNotFoundError(f"no experiment file {path}")
    try:
        return toml.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not TOML: {error}") from None


def config_from_mapping(content: Mapping[str, Any]) -> ExperimentConfig:
    """Make a config of nested tables: the options of `ExperimentConfig`, ``[[datasets]]`` and a table for each section.

    A data set is a table, or a string ``LOADER:PATH``.

    Raises
    ------
    ValueError
        On an unknown option (with the nearest), one that is missing or given twice, and a value of another type or
        out of range.
    """
    plain = with_known_names(content)
    if not plain.get("output"):
        raise ValueError("output: name the folder of the records (--output FOLDER)")
    for name, section in SECTIONS.items():
        plain[name] = _make(section, plain.get(name, {}), where=f"[{name}]")
    plain["datasets"] = [_dataset(entry) for entry in plain.get("datasets", [])]
    return _make(ExperimentConfig, plain, where="the experiment")


def with_known_names(content: Mapping[str, Any], *, also: Iterable[str] = ()) -> dict[str, Any]:
    """Return nested tables whose options are spelled as they are called, and data sets as a list.

    Parameters
    ----------
    content : as it was written
    also : names that may stand beside the options of `ExperimentConfig`

    Raises
    ------
    ValueError
        On an unknown option (with the nearest), one that is given twice, and on something else in place of a table.
    """
    plain = _named(content, [*_names(ExperimentConfig), *also], where="the experiment")
    for name, section in SECTIONS.items():
        if name in plain:
            plain[name] = _named(plain[name], _names(section), where=f"[{name}]")
    if "datasets" in plain:
        entries = plain["datasets"] if isinstance(plain["datasets"], list | tuple) else [plain["datasets"]]
        plain["datasets"] = [
            entry if isinstance(entry, str) else _named(entry, _names(DatasetSpec), where="[[datasets]]")
            for entry in entries
        ]
    return plain


def _named(values: Any, known: list[str], *, where: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ValueError(f"{where}: expected a table of options, got {values!r}")
    named: dict[str, Any] = {}
    for written, value in values.items():
        name = known_name(written, known, kind=f"option of {where}")
        if name in named:
            raise ValueError(f"{where}: {name} is given twice, the second time as {written!r}: remove one")
        named[name] = value
    return named


def _names(options: type) -> list[str]:
    return [option.name for option in fields(options)]


def _dataset(entry: str | Mapping[str, Any]) -> DatasetSpec:
    if isinstance(entry, str):
        return parse_dataset(entry)
    if "loader" not in entry:
        raise ValueError(f"[[datasets]]: loader is missing in {dict(entry)}")
    return _make(DatasetSpec, entry, where="[[datasets]]")


def _make(options: type[Options], values: Mapping[str, Any], *, where: str) -> Options:
    return options(**as_declared(options, values, where=where))

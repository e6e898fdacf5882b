"""Experiment files: TOML with the names of the options."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.experiments.config import EncoderOptions, ExperimentConfig, TrainingOptions
from small_text_comal.experiments.dataset_spec import DatasetSpec, parse_dataset
from small_text_comal.experiments.names import known_name

__all__ = ["config_from_mapping", "read_toml"]

SECTIONS = {"encoder": EncoderOptions, "training": TrainingOptions, "branch": ContrastiveBranchArguments}
Options = TypeVar("Options")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    FileNotFoundError, ValueError
        When there is no such file, or it is not TOML (with the line).
    """
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    if not path.is_file():
        raise FileNotFoundError(f"no experiment file {path}")
    try:
        return toml.loads(path.read_text(encoding="utf-8"))
    except toml.TOMLDecodeError as error:
        raise ValueError(f"{path}: not TOML: {error}") from None


def config_from_mapping(content: Mapping[str, Any]) -> ExperimentConfig:
    """Make a config of nested tables: the options of `ExperimentConfig`, ``[[datasets]]`` and a table for each section.

    A data set is a table, or a string ``LOADER:PATH``.

    Raises
    ------
    ValueError
        On an unknown option (with the nearest), a missing one, or a value out of range.
    """
    plain = dict(content)
    chosen: dict[str, Any] = {}
    datasets = plain.pop("datasets", [])
    chosen["datasets"] = tuple(_dataset(entry) for entry in ([datasets] if isinstance(datasets, str) else datasets))
    for name, section in SECTIONS.items():
        chosen[name] = _make(section, plain.pop(name, {}), where=f"[{name}]")
    if "output" not in plain:
        raise ValueError("output: name the folder of the records (--output FOLDER)")
    return _make(ExperimentConfig, {**plain, **chosen}, where="the experiment")


def _dataset(entry: Any) -> DatasetSpec:
    if isinstance(entry, str):
        return parse_dataset(entry)
    if "loader" not in entry:
        raise ValueError(f"[[datasets]]: loader is missing in {dict(entry)}")
    return _make(DatasetSpec, entry, where="[[datasets]]")


def _make(options: type[Options], values: Mapping[str, Any], *, where: str) -> Options:
    known = [option.name for option in fields(options)]  # type: ignore[arg-type]
    return options(**{known_name(name, known, kind=f"option of {where}"): value for name, value in values.items()})

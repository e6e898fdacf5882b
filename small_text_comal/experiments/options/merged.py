"""One experiment from a preset, a file and the command line: the later wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from small_text_comal.experiments.data.dataset_spec import dataset_table
from small_text_comal.experiments.data.loaders import known_loader
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.options.mapping import from_mapping, known_options
from small_text_comal.experiments.options.presets import preset

__all__ = ["merged_config"]


def merged_config(
    content: Mapping[str, Any], given: Mapping[str, Any], *, preset_name: str | None = None
) -> ExperimentConfig:
    """Build the config of an experiment.

    Parameters
    ----------
    content : tables of an experiment file, {} without one; may name its preset
    given : tables of the command line (`given_tables`); "dataset" applies to every data set
    preset_name : overrides the preset of the file

    Raises
    ------
    UserError
        On unknown names, values out of range, or a preset without the location of its data.
    """
    base = known_options(content, also=["preset"])
    written = str(base.pop("preset", ""))
    chosen = preset_name or written
    paper = dict(preset(chosen)) if chosen else {}
    defaults = paper.pop("dataset", None)
    datasets = given.get("datasets") or base.get("datasets", [])
    if defaults and not datasets:
        raise UserError(f"preset {chosen!r} needs the folder of its data: --dataset {defaults['loader']}:FOLDER")
    merged = _nested(_nested(paper, base), {name: table for name, table in given.items() if name != "dataset"})
    return from_mapping({**merged, "datasets": [_dataset(entry, given, defaults) for entry in datasets]})


def _dataset(
    entry: str | Mapping[str, Any], given: Mapping[str, Any], defaults: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return a data set's table: what a preset says of its format, what the entry says, what the command line says."""
    if isinstance(entry, str):  # with a preset, a path alone is enough
        entry = {"path": entry} if defaults and ":" not in entry else dataset_table(entry)
    if defaults:
        loader = known_loader(str(entry.get("loader", defaults["loader"])))
        entry = {**defaults, **entry, "loader": loader} if loader == defaults["loader"] else entry
    # the command line sets seeds, strategies and max_length for all data sets
    overridden = {*given, *given.get("encoder", {})}
    return {name: value for name, value in entry.items() if name not in overridden} | dict(given.get("dataset", {}))


def _nested(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes`: tables are merged, everything else is replaced.

    >>> _nested({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    """
    merged = dict(base)
    for name, value in changes.items():
        inner = merged.get(name)
        merged[name] = _nested(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged

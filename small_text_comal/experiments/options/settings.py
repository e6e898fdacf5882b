"""One set of settings from a preset, an experiment file and options: the later wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from small_text_comal.experiments.data.dataset_spec import parse_dataset
from small_text_comal.experiments.data.loaders import loader_names
from small_text_comal.experiments.data.names import known_name
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.options.config_file import config_from_mapping, with_known_names
from small_text_comal.experiments.options.presets import preset

__all__ = ["merged_config"]


def merged_config(
    content: Mapping[str, Any], options: Mapping[str, Any], *, preset_name: str | None = None
) -> ExperimentConfig:
    """Make the config of an experiment.

    Parameters
    ----------
    content : of an experiment file, {} without one; may name its preset
    options : of the command line, as nested tables; "dataset_options" go to every data set
    preset_name : in place of the file's

    Raises
    ------
    ValueError
        On unknown names, values out of range, or a preset without the place of its data.
    """
    base = with_known_names(content, also=["preset"])
    written = str(base.pop("preset", ""))
    chosen = preset_name or written
    datasets = [_entry(entry, chosen) for entry in options.get("datasets") or base.get("datasets", [])]
    if chosen:
        paper = dict(preset(chosen))
        defaults = paper.pop("dataset")
        if not datasets:
            raise ValueError(f"preset {chosen!r} needs the folder of its data: --dataset {defaults['loader']}:FOLDER")
        datasets = [_with_preset(entry, defaults) for entry in datasets]
        base = _nested(paper, base)
    changes = {name: value for name, value in options.items() if name not in ("datasets", "dataset_options")}
    merged = _nested(base, changes)
    merged["datasets"] = [_with_options(entry, options) for entry in datasets]
    return config_from_mapping(merged)


def _entry(entry: str | Mapping[str, Any], preset_name: str) -> dict[str, Any]:
    """A data set as a table; with a preset, its place alone is enough."""
    if isinstance(entry, Mapping):
        return dict(entry)
    if preset_name and ":" not in entry:
        return {"path": entry}
    spec = parse_dataset(entry)
    return {"loader": spec.loader, **({"path": spec.path} if spec.path else {})}


def _with_preset(entry: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """A data set in the preset's format has its sizes as well, one in another format is left alone."""
    loader = known_name(
        str(entry.get("loader", defaults["loader"])), loader_names(), kind="dataset format or short name"
    )
    return {**defaults, **entry, "loader": loader} if loader == defaults["loader"] else dict(entry)


def _with_options(entry: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options win over a data set's own entries: it keeps none that says the same (seeds, strategies, max_length)."""
    given = {*options, *options.get("encoder", {})}
    kept = {name: value for name, value in entry.items() if name not in given}
    return {**kept, **options.get("dataset_options", {})}


def _nested(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes`, tables merged, everything else replaced.

    >>> _nested({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    """
    merged = dict(base)
    for name, value in changes.items():
        inner = merged.get(name)
        merged[name] = _nested(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged

"""One set of settings from a preset, an experiment file and options: the later wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from small_text_comal.experiments.config import ExperimentConfig
from small_text_comal.experiments.config_file import config_from_mapping
from small_text_comal.experiments.dataset_spec import parse_dataset
from small_text_comal.experiments.presets import preset

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
    base = {name: value for name, value in content.items() if name != "preset"}
    chosen = preset_name or content.get("preset")
    datasets = [_entry(entry, chosen) for entry in _listed(options.get("datasets") or base.get("datasets", []))]
    if chosen:
        paper = dict(preset(chosen))
        defaults = paper.pop("dataset")
        if not datasets:
            raise ValueError(f"preset {chosen!r} needs the folder of its data: --dataset {defaults['loader']}:FOLDER")
        datasets = [{**defaults, **entry} if entry["loader"] == defaults["loader"] else entry for entry in datasets]
        base = _nested(paper, base)
    changes = {name: value for name, value in options.items() if name not in ("datasets", "dataset_options")}
    merged = _nested(base, changes)
    merged["datasets"] = [{**entry, **options.get("dataset_options", {})} for entry in datasets]
    return config_from_mapping(merged)


def _listed(datasets: Any) -> list[Any]:
    return [datasets] if isinstance(datasets, str | Mapping) else list(datasets)


def _entry(entry: Any, preset_name: str | None) -> dict[str, Any]:
    """A data set as a table; with a preset, its place alone is enough."""
    if isinstance(entry, Mapping):
        return dict(entry)
    if preset_name and ":" not in entry:
        return {"loader": preset(preset_name)["dataset"]["loader"], "path": entry}
    spec = parse_dataset(entry)
    return {"loader": spec.loader, **({"path": spec.path} if spec.path else {})}


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

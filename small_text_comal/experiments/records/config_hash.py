"""When records belong together: the settings that decide a run's numbers, and their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.options.option_types import as_declared

__all__ = ["config_hash", "difference", "run_settings"]

# what may change without changing what a finished round would have been
FREE = ("output", "strategies", "seeds", "rounds", "datasets", "full_data", "cache_folder", "threads")
FREE_OF_DATASET = ("path", "strategies", "seeds")


def run_settings(config: ExperimentConfig, spec: DatasetSpec, data_fingerprint: str) -> dict[str, Any]:
    """Return all settings that decide the numbers of a run on one data set, as plain values.

    Strategies, seeds and rounds may be added to a folder later; the place of the data on disk may change, its content
    (`data_fingerprint`) may not.
    """
    settings = {name: value for name, value in asdict(config).items() if name not in FREE}
    for name in ("encoder", "training", "branch"):  # a learning rate of 1 is one of 1.0, which JSON writes otherwise
        settings[name] = as_declared(type(getattr(config, name)), settings[name], where=f"[{name}]")
    settings["dataset"] = {name: value for name, value in asdict(spec).items() if name not in FREE_OF_DATASET}
    settings["data"] = data_fingerprint
    return json.loads(json.dumps(settings))


def config_hash(settings: Mapping[str, Any]) -> str:
    """Return 12 hex digits that change with any setting.

    Examples
    --------
    >>> config_hash({"a": 1, "b": 2}) == config_hash({"b": 2, "a": 1}) != config_hash({"a": 1, "b": 3})
    True
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def difference(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return "name: old -> new" for every setting that differs, nested names with dots.

    Examples
    --------
    >>> difference({"a": {"b": 1}}, {"a": {"b": 2}})
    ['a.b: 1 -> 2']
    """
    found = []
    for name in sorted(set(old) | set(new)):
        left, right = old.get(name), new.get(name)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found += difference(left, right, f"{prefix}{name}.")
        elif left != right:
            found.append(f"{prefix}{name}: {left!r} -> {right!r}")
    return found

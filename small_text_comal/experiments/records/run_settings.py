"""When records belong together: the settings that decide a run's numbers, and their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.options.option_types import as_declared
from small_text_comal.experiments.options.rooms import ROOMS

__all__ = ["RunSettings", "difference", "run_settings"]


@dataclass(frozen=True)
class RunSettings:
    """All settings that decide the numbers of the runs on one data set.

    Parameters
    ----------
    dataset : name of the data set
    values : the settings, as plain values
    """

    dataset: str
    values: dict[str, Any]

    @property
    def hash(self) -> str:
        """12 hex digits that change with any setting.

        Examples
        --------
        >>> RunSettings("d", {"a": 1, "b": 2}).hash == RunSettings("d", {"b": 2, "a": 1}).hash
        True
        """
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()[:12]


def run_settings(config: ExperimentConfig, spec: DatasetSpec, data_fingerprint: str) -> RunSettings:
    """Return the settings of the runs on one data set, without the options that are free to change.

    Strategies, seeds and rounds may be added to a folder later; the data may be moved on disk, but their content
    (`data_fingerprint`) must stay the same.
    """
    values: dict[str, Any] = {"dataset": _fixed(spec), "data": data_fingerprint}
    for room in ROOMS:
        fixed = _fixed(getattr(config, room.name))
        values |= {room.table: fixed} if room.table else fixed
    return RunSettings(spec.name, json.loads(json.dumps(values)))


def _fixed(options: Any) -> dict[str, Any]:
    """Return the options that are not free, in their declared types: JSON writes a rate of 1 and of 1.0 differently."""
    values = {one.name: getattr(options, one.name) for one in fields(options) if not one.metadata.get("free")}
    return as_declared(type(options), values, where=type(options).__name__)


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

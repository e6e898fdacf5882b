"""What an output folder says about its data sets beside the records: statistics, settings, labels, notes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from small_text_comal.experiments.records.records import RecordsError
from small_text_comal.experiments.running.run import only_writer

__all__ = ["add_to_description", "read_description"]

DESCRIPTION = "experiment.json"


def read_description(output: Path) -> dict[str, Any]:
    """Return what `compare` wrote about an output folder; {} where nothing was written yet.

    Raises
    ------
    RecordsError
        When the file is damaged.
    """
    path = output / DESCRIPTION
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        found = error
    if not isinstance(found, dict):
        raise RecordsError(
            f"{path} is damaged: expected a JSON object, got {found!r}. Remove it: compare writes it anew"
        )
    return found


def add_to_description(output: Path, datasets: Mapping[str, Any], skipped: Mapping[str, str]) -> None:
    """Describe data sets by name, and skipped strategies with the reason; those of earlier sessions stay described.

    Raises
    ------
    RecordsError
        When the file is damaged, or another process keeps writing it.
    """
    path = output / DESCRIPTION
    with only_writer(path):
        found = read_description(output)
        description = {
            "format": 1,
            "datasets": {**found.get("datasets", {}), **datasets},
            "skipped": {**found.get("skipped", {}), **skipped},
        }
        unfinished = path.with_suffix(".json.part")
        unfinished.write_text(json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8")
        os.replace(unfinished, path)

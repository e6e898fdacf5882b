"""An output folder: the records of its runs, the settings they belong to, and what `compare` writes beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from small_text_comal.experiments.data.names import known_name
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.records.only_writer import only_writer
from small_text_comal.experiments.records.plan import Run, slug
from small_text_comal.experiments.records.records import RecordFile, RecordsError, read_records
from small_text_comal.experiments.records.run_settings import RunSettings, difference

__all__ = ["OutputFolder", "check_mixture"]

Records = list[dict[str, Any]]


class OutputFolder:
    """What lies in an output folder.

    It alone decides whether records belong to settings: every record has the hash of the settings it was made with.

    Parameters
    ----------
    path : of the folder, which need not exist yet
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._description = self.path / "experiment.json"

    def record_path(self, run: Run) -> Path:
        """Return the file of a run's records."""
        return self.path / run.file

    def error_path(self, run: Run) -> Path:
        """Return the file that holds the traceback of a run that failed."""
        return self.record_path(run).with_suffix(".error.txt")

    def record_files(self) -> list[Path]:
        """Return the record files of all runs.

        Raises
        ------
        FileNotFoundError
            When there are none.
        """
        found = sorted((self.path / "records").glob("*/*/*.jsonl"))
        if not found:
            raise FileNotFoundError(f"no records in {self.path}: run small-text-comal compare first")
        return found

    def records(self, run: Run, config_hash: str) -> Records:
        """Return the records of a run.

        Raises
        ------
        RecordsError
            When the file holds another run, or was written with other settings than those of the hash.
        """
        path = self.record_path(run)
        records = read_records(path).records
        _check_records(path, records, run, config_hash)
        return records

    @contextmanager
    def writing(self, run: Run, config_hash: str) -> Iterator[RecordFile]:
        """Open the records of a run, as their only writer.

        Raises
        ------
        RecordsError
            As `records` does, and when another process keeps writing them.
        """
        path = self.record_path(run)
        with only_writer(path):
            file = RecordFile(path)
            _check_records(path, file.records, run, config_hash)
            yield file

    def description(self) -> dict[str, Any]:
        """Return what `compare` wrote about its data sets, in "datasets" by name, and the strategies it "skipped".

        Raises
        ------
        RecordsError
            When the file is damaged.
        """
        if not self._description.exists():
            return {"datasets": {}, "skipped": {}}
        try:
            found = json.loads(self._description.read_text(encoding="utf-8"))
        except ValueError as error:
            found = error
        if not isinstance(found, dict):
            raise RecordsError(
                f"{self._description} is damaged: expected a JSON object, got {found!r}. Remove it: compare writes a "
                "new one"
            )
        return {"datasets": {}, "skipped": {}, **found}

    def described(self, dataset: str) -> dict[str, Any]:
        """Return what `compare` wrote about a data set.

        Raises
        ------
        UserError
            On a data set that the folder does not have, with the nearest.
        """
        known = self.description()["datasets"]
        return known[known_name(dataset, known, kind="dataset")]

    def describe(self, datasets: Mapping[str, Any], skipped: Mapping[str, str]) -> None:
        """Write about data sets and skipped strategies; what earlier sessions wrote about others stays.

        Raises
        ------
        RecordsError
            When the file is damaged, or another process keeps writing it.
        """
        with only_writer(self._description):
            found = self.description()
            description = {
                "format": 1,
                "datasets": {**found["datasets"], **datasets},
                "skipped": {**found["skipped"], **skipped},
            }
            unfinished = self._description.with_suffix(".json.part")
            unfinished.write_text(json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8")
            os.replace(unfinished, self._description)

    def check(self, settings: RunSettings) -> None:
        """Refuse to mix `settings` with records of other settings, including runs that this session leaves alone.

        Raises
        ------
        RecordsError
            Names the settings that differ.
        """
        name = settings.dataset
        for path in sorted((self.path / "records" / slug(name)).glob("*/*.jsonl")):
            records = read_records(path).records
            if records and records[0]["config"] != settings.hash:
                old = self.description()["datasets"].get(name, {}).get("settings", {})
                changes = difference(old, settings.values) if old else []
                changes = changes or [f"hash: {records[0]['config']} -> {settings.hash}"]
                raise RecordsError(
                    f"{self.path} holds records of another config of {name} ({'; '.join(changes)}): choose another "
                    "output folder, or undo the change"
                )

    def check_unchanged(self, settings: RunSettings, *, source: str) -> None:
        """Refuse data or settings that are not those of the description.

        Parameters
        ----------
        settings : as they are now
        source : where the data are read from, for the message

        Raises
        ------
        RecordsError
            Names the settings that differ.
        """
        described = self.description()["datasets"][settings.dataset]
        if settings.hash != described["hash"]:
            changes = "; ".join(difference(described["settings"], settings.values))
            raise RecordsError(
                f"{settings.dataset} was recorded with another config ({changes}), so its records cannot be read with "
                f"this data: undo the change (data are read from {source})"
            )


def _check_records(path: Path, records: Records, run: Run, config_hash: str) -> None:
    if not records:
        return
    first = records[0]
    found = Run(first["dataset"], first["strategy"], first["seed"])
    if found != run:
        raise RecordsError(f"{path} holds records of {found}, expected {run}: choose another output folder")
    if first["config"] != config_hash:
        raise RecordsError(
            f"{path} holds records of another config (hash {first['config']}, this one has {config_hash}): choose "
            "another output folder"
        )


def check_mixture(runs: Mapping[Path, Records]) -> None:
    """Check that the runs of one or more folders can be averaged.

    Parameters
    ----------
    runs : records by file

    Raises
    ------
    UserError
        When a data set was run with different settings, and when a run is there twice, which would count as two seeds.
    """
    settings: dict[str, tuple[str, Path]] = {}
    seen: dict[tuple[Any, ...], Path] = {}
    for path, (first, *_) in runs.items():
        config, other = settings.setdefault(first["dataset"], (first["config"], path))
        if config != first["config"]:
            raise UserError(
                f"{first['dataset']} was run with different settings in {other} and {path}: draw these folders "
                "separately, or give the data sets different names"
            )
        other = seen.setdefault((first["dataset"], first["strategy"], first["seed"]), path)
        if other != path:
            raise UserError(f"{other} and {path} hold the same run: name folders that have different runs")

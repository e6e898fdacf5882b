"""Records of finished rounds: JSON lines that survive a kill at any moment and a full disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["ReadRecords", "RecordFile", "RecordsError", "fault", "read_records"]

IDENTITY = {"config": str, "dataset": str, "strategy": str, "seed": int}  # the same in all records of a run
NEEDED = {
    **IDENTITY,
    **{"labels": int, "metrics": dict, "seconds": dict, "queried": list, "threads": int, "versions": dict},
}


class RecordsError(RuntimeError):
    """Records cannot be continued or written; the message says what to do. The command line shows it in one line."""


class ReadRecords(NamedTuple):
    """What a record file holds.

    Parameters
    ----------
    records : the whole lines, in order
    length : bytes of these lines; any further bytes are a line that was never finished
    note : says that such a line was dropped, or None
    """

    records: list[dict[str, Any]]
    length: int
    note: str | None


def read_records(path: Path) -> ReadRecords:
    """Read a record file; a missing file has no records.

    A line is whole when it ends in a line feed: a kill in the middle of a write leaves a last line without one.

    Raises
    ------
    RecordsError
        When a whole line is not the record that belongs there: a kill alone cannot have damaged the file.
    """
    content = path.read_bytes() if path.exists() else b""
    length = content.rfind(b"\n") + 1
    records: list[dict[str, Any]] = []
    for number, line in enumerate(content[:length].splitlines(), start=1):
        record = _parsed(line)
        if (wrong := fault(record, records)) is not None:
            raise RecordsError(
                f"{path}, line {number} is damaged: {wrong}. Repair or remove the file (the run then starts again)"
            )
        records.append(record)
    torn = len(content) - length
    note = f"{path}: the last {torn} bytes were a half-written record and were dropped" if torn else None
    return ReadRecords(records, length, note)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return line[:60]


def fault(record: Any, earlier: Sequence[Mapping[str, Any]]) -> str | None:
    """Return what is wrong with a record that follows the `earlier` ones of its run, or None.

    Examples
    --------
    >>> fault({"round": 2}, [])
    'expected round 0, got 2'
    """
    if not isinstance(record, dict):
        return f"expected a record, got {record!r}"
    if record.get("round") != len(earlier):
        return f"expected round {len(earlier)}, got {record.get('round')!r}"
    for name, kind in (NEEDED if earlier else {**NEEDED, "initial": list}).items():
        if not isinstance(record.get(name), kind):
            return f"expected {name} as {kind.__name__}, got {record.get(name)!r}"
    first = earlier[0] if earlier else record
    for name in IDENTITY:
        if record[name] != first[name]:
            return f"expected {name} {first[name]!r} as in line 1, got {record[name]!r}"
    for name in ("metrics", "seconds"):
        if record[name].keys() != first[name].keys():
            return f"expected {name} {list(first[name])} as in line 1, got {list(record[name])}"
    labeled = [*first["initial"], *(row for other in earlier for row in other["queried"])]
    if record["labels"] != len(labeled):
        return f"expected {len(labeled)} labels, as queried in the lines before, got {record['labels']}"
    if len({*labeled, *record["queried"]}) < len(labeled) + len(record["queried"]):
        return "expected queried documents without a label, got some that have one"
    return None


class RecordFile:
    """Appends records to a file, each durable when `append` returns.

    Parameters
    ----------
    path : file, made with its folder when needed

    Raises
    ------
    RecordsError
        When the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.records, self._length, self.note = read_records(path)

    def extend(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Append those of a run's `records` that the file does not have yet."""
        for record in records[len(self.records) :]:
            self.append(record)

    def append(self, record: Mapping[str, Any]) -> None:
        """Write `record` after the last whole one.

        Raises
        ------
        RecordsError
            When it cannot be written, as on a full disk; the file then holds all earlier records and nothing else.
        """
        line = (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.ftruncate(descriptor, self._length)
            os.lseek(descriptor, self._length, os.SEEK_SET)
            self._write(descriptor, line)
        finally:
            os.close(descriptor)
        self._length += len(line)
        self.records.append(dict(record))

    def _write(self, descriptor: int, line: bytes) -> None:
        written = 0
        try:
            while written < len(line):
                written += os.write(descriptor, line[written:])
            os.fsync(descriptor)
        except OSError as error:
            os.ftruncate(descriptor, self._length)
            raise RecordsError(
                f"cannot write to {self.path}: {error.strerror}. Its {len(self.records)} records are whole; free some "
                "space and run the same command again to resume"
            ) from error

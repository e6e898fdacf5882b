"""Records of finished rounds: JSON lines that survive a kill at any moment and a full disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["ReadRecords", "RecordFile", "RecordsError", "read_records"]


class RecordsError(RuntimeError):
    """Records cannot be continued or written; the message says what to do."""


class ReadRecords(NamedTuple):
    """What a record file holds.

    Parameters
    ----------
    records : the whole lines, in order
    length : bytes of these lines; what lies behind them is a line that was never finished
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
        When a whole line is not a JSON object: something else than a kill damaged the file.
    """
    content = path.read_bytes() if path.exists() else b""
    length = content.rfind(b"\n") + 1
    records = []
    for number, line in enumerate(content[:length].splitlines(), start=1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise RecordsError(
                f"{path}, line {number} is damaged: expected a record, got {line[:60]!r}. Repair or remove the file "
                "(the run then starts anew)"
            )
        records.append(record)
    torn = len(content) - length
    note = f"{path}: the last {torn} bytes were a half-written record and were dropped" if torn else None
    return ReadRecords(records, length, note)


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

    def append(self, record: Mapping[str, Any]) -> None:
        """Write `record` behind the last whole one.

        Raises
        ------
        RecordsError
            When it cannot be written, as on a full disk; the file then holds all former records and nothing else.
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
                f"cannot write to {self.path}: {error.strerror}. Its {len(self.records)} records are whole; make room "
                "and run the same command again to go on"
            ) from error

"""The files of a corpus that lies in a folder: train, validation and test by name."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

from small_text_comal.experiments.corpus import Documents, RawCorpus

__all__ = ["open_text", "read_lines", "read_parts", "require_file"]

VALIDATION_NAMES = ("validation", "valid", "val", "dev")


def read_parts(path: Path, suffix: str, read: Callable[[Path], Documents]) -> RawCorpus:
    """Read ``train``, ``validation`` (also valid, val, dev) and ``test`` + `suffix` of a folder, or one file as train.

    Raises
    ------
    FileNotFoundError
        When there is neither a file nor a folder with ``train`` + `suffix`.
    """
    if path.is_file():
        return RawCorpus(read(path))
    train = require_file(path, [f"train{suffix}"])
    validation = [path / f"{name}{suffix}" for name in VALIDATION_NAMES if (path / f"{name}{suffix}").is_file()]
    test = path / f"test{suffix}"
    return RawCorpus(
        read(train),
        read(validation[0]) if validation else None,
        read(test) if test.is_file() else None,
    )


def require_file(folder: Path, names: list[str]) -> Path:
    """Return the first of `names` that is a file in `folder`, plain or with ``.gz`` or ``.bz2`` behind it."""
    candidates = [folder / f"{name}{packed}" for name in names for packed in ("", ".gz", ".bz2")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    there = sorted(file.name for file in folder.iterdir())[:8] if folder.is_dir() else "no such folder"
    raise FileNotFoundError(f"expected {' or '.join(names)} in {folder}, found {there}")


def open_text(file: Path, *, encoding: str = "utf-8") -> TextIO:
    """Open a text file for reading, unpacking ``.gz`` and ``.bz2`` on the way."""
    opener = {".gz": gzip.open, ".bz2": bz2.open}.get(file.suffix, open)
    return cast(TextIO, opener(file, "rt", encoding=encoding))  # type: ignore[operator]


def read_lines(file: Path) -> list[str]:
    """Return the lines of a text file without their line ends.

    Lines end at a line feed only: `str.splitlines` would also cut at form feeds and Unicode separators inside texts.
    """
    with open_text(file) as lines:
        return [line.rstrip("\r\n") for line in lines]

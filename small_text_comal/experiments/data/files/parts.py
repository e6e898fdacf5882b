"""The files of a corpus in a folder: train, validation and test by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from small_text_comal.experiments.data.corpus import LabeledTexts, RawCorpus

__all__ = ["VALIDATION_NAMES", "find_file", "read_parts", "require_file"]

VALIDATION_NAMES = ("validation", "valid", "val", "dev")


def read_parts(path: Path, suffix: str, read: Callable[[Path], LabeledTexts]) -> RawCorpus:
    """Read ``train``, ``validation`` (also valid, val, dev) and ``test`` + `suffix` of a folder, or one file as train.

    Raises
    ------
    FileNotFoundError
        When there is neither a file nor a folder with ``train`` + `suffix`.
    """
    if path.is_file():
        return RawCorpus(read(path))
    train = require_file(path, [f"train{suffix}"])
    validation = find_file(path, [f"{name}{suffix}" for name in VALIDATION_NAMES])
    test = find_file(path, [f"test{suffix}"])
    return RawCorpus(read(train), read(validation) if validation else None, read(test) if test else None)


def find_file(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the first of `names` that is a file in `folder`, plain or with ``.gz`` or ``.bz2`` appended, or None."""
    candidates = (folder / f"{name}{packed}" for name in names for packed in ("", ".gz", ".bz2"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def require_file(folder: Path, names: Sequence[str]) -> Path:
    """Return what `find_file` finds.

    Raises
    ------
    FileNotFoundError
        When there is none; says what the folder holds.
    """
    found = find_file(folder, names)
    if found is None:
        there = sorted(file.name for file in folder.iterdir())[:8] if folder.is_dir() else "no such folder"
        raise FileNotFoundError(f"expected {' or '.join(names)} in {folder}, found {there}")
    return found

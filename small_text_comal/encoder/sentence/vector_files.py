"""Files of vectors that processes share: (n, D) vectors with a key for each, written whole or not at all.

A file is written under another name, flushed to the disk and renamed, so no reader ever sees half of it. Its format,
fingerprint, sizes and checksum are verified when it is opened; one that fails is reported and left alone. Small files
are merged by whoever finds many: the merged file is complete before the first of its parts is removed, so a reader,
another writer or a second merging process never misses a vector, and a process that is killed loses nothing.
"""

from __future__ import annotations

import json
import os
import stat
import time
import uuid
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

__all__ = ["Segment", "read_segment", "remove_abandoned", "segment_files", "write_segment"]

_FORMAT = "small-text-comal vectors 1"
_ABANDONED = 3600  # seconds after which a file that is still not complete never will be


class Segment(NamedTuple):
    """Keys of n documents and their vectors (n, D), memory-mapped."""

    keys: list[bytes]
    vectors: Tensor


def segment_files(folder: Path) -> list[Path]:
    """Return the files in `folder`, sorted by name; none where there is no folder."""
    return sorted(folder.glob("*.safetensors"))


def write_segment(folder: Path, segment: Segment, fingerprint: str) -> Path:
    """Write a file into `folder` and return its path once its content is on the disk.

    Raises
    ------
    OSError
        When the folder cannot be made or the disk refuses; nothing stays behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keys = torch.frombuffer(bytearray(b"".join(segment.keys)), dtype=torch.uint8).view(len(segment.keys), -1)
    tensors = {"keys": keys, "vectors": segment.vectors.contiguous()}
    header = {"format": _FORMAT, "fingerprint": fingerprint, "crc32": _checksum(tensors)}
    path = folder / f"{uuid.uuid4().hex}.safetensors"
    partial = path.with_suffix(".partial")
    try:
        with open(partial, "xb") as file:
            file.write(save(tensors, {"segment": json.dumps(header)}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def read_segment(path: Path, fingerprint: str, dtype: torch.dtype, dimension: int | None) -> Segment | None:
    """Return the content of a file; None, with a warning, when it is not one of this encoder's or is damaged.

    Parameters
    ----------
    path : the file; links, pipes and the like are not opened
    fingerprint : of the encoder
    dtype : of the vectors
    dimension : D, None where it is not known yet

    Raises
    ------
    FileNotFoundError
        When the file is gone: it was merged into another.
    """
    segment = _read(path, fingerprint, dtype) if stat.S_ISREG(path.lstat().st_mode) else None
    if segment is None:
        problem = "is damaged or not a file of this encoder's vectors"
    elif dimension is not None and segment.vectors.shape[1] != dimension:
        problem = f"holds vectors of size {segment.vectors.shape[1]}, and this encoder's have size {dimension}"
    else:
        return segment
    warnings.warn(f"{path} {problem}: it is not used; you can delete it", stacklevel=6)
    return None


def _read(path: Path, fingerprint: str, dtype: torch.dtype) -> Segment | None:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("segment", "{}"))
            tensors = {name: file.get_tensor(name) for name in ("keys", "vectors")}
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, ValueError):
        return None
    keys, vectors = tensors["keys"], tensors["vectors"]
    if header != {"format": _FORMAT, "fingerprint": fingerprint, "crc32": _checksum(tensors)}:
        return None
    if vectors.dtype != dtype or vectors.ndim != 2 or keys.ndim != 2 or len(keys) != len(vectors):
        return None
    return Segment([bytes(key) for key in keys.numpy()], vectors)


def remove_abandoned(folder: Path) -> None:
    """Remove what a killed writer left half-written, after an hour."""
    for partial in folder.glob("*.partial"):
        with suppress(OSError):  # its writer lives after all, and was done first
            if time.time() - partial.stat().st_mtime > _ABANDONED:
                partial.unlink()


def _checksum(tensors: dict[str, Tensor]) -> int:
    crc = 0
    for name in ("keys", "vectors"):
        crc = zlib.crc32(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data, crc)
    return crc

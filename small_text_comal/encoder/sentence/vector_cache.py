"""One vector a document, computed once for all rounds, runs and processes.

A document is known by its content, an encoder by a fingerprint of all that decides its vectors. Vectors stay in memory
up to a limit; with a folder, they are memory-mapped files there, which other processes use as well (`vector_files`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.sentence.vector_files import (
    Segment,
    read_segment,
    remove_abandoned,
    segment_files,
    write_segment,
)

__all__ = ["VectorCache", "VectorStore", "text_key"]

_SEGMENT_DOCUMENTS = 2048  # after which a segment is closed: what a killed process loses at most
_SMALL_FILE = 32 * 2**20  # bytes; larger files are not merged any more
_SMALL_FILES = 16  # more are merged into one
_LISTINGS = 10  # of a folder in which others go on merging


def text_key(text: str) -> bytes:
    """Return 16 bytes that tell a text from any other."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class VectorCache:
    """The vectors of any number of encoders, each under its fingerprint.

    Parameters
    ----------
    arguments : storage type, memory limit (of one encoder's vectors), folder; None: float32 in memory

    Notes
    -----
    Pickling keeps the options and drops the content.

    Examples
    --------
    >>> store = VectorCache().store("model a")
    >>> store.put([text_key("a text")], np.ones((1, 3)))
    >>> store.missing([text_key("a text"), text_key("another")])
    [1]
    """

    def __init__(self, arguments: FeatureCacheArguments | None = None) -> None:
        self.arguments = arguments or FeatureCacheArguments(dtype="float32")
        self._stores: dict[str, VectorStore] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"arguments": self.arguments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["arguments"])  # type: ignore[misc]

    def store(self, fingerprint: str) -> VectorStore:
        """Return the vectors of one encoder, with what other processes wrote since; a new one without caching."""
        if not self.arguments.enabled:
            return VectorStore(fingerprint, FeatureCacheArguments(dtype="float32"))
        if fingerprint not in self._stores:
            self._stores[fingerprint] = VectorStore(fingerprint, self.arguments)
        self._stores[fingerprint].refresh()
        return self._stores[fingerprint]


class VectorStore:
    """Vectors (D) of one encoder by document key.

    Values read are those that were stored, in the storage type: the first that this process saw for a document.
    """

    def __init__(self, fingerprint: str, arguments: FeatureCacheArguments) -> None:
        self.fingerprint = fingerprint
        self.dimension: int | None = None
        self._dtype = getattr(torch, arguments.dtype)
        self._limit = arguments.memory_limit
        folder = arguments.folder
        self._folder = None if folder is None else self._own_folder(Path(folder).expanduser())
        self._pending: dict[bytes, Tensor] = {}
        self._blocks: list[Tensor] = []
        self._places: dict[bytes, tuple[int, int]] = {}  # block, row
        self._files: dict[Path, int] = {}  # block; -1 for a file that is not used
        self._memory_bytes = 0

    def _own_folder(self, root: Path) -> Path:
        return root / f"vectors-{self.fingerprint[:40]}-{str(self._dtype).removeprefix('torch.')}"

    def __len__(self) -> int:
        return len(self._places) + len(self._pending)

    def missing(self, keys: Sequence[bytes]) -> list[int]:
        """Return the first position in `keys` of each document that is not stored."""
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        return sorted(i for key, i in first.items() if key not in self._places and key not in self._pending)

    def get(self, keys: Sequence[bytes]) -> np.ndarray:
        """Return the vectors (n, D) float32 of documents; KeyError for one that is not stored."""
        vectors = np.empty((len(keys), self.dimension or 0), dtype=np.float32)
        rows_of: dict[int, list[tuple[int, int]]] = {}
        for i, key in enumerate(keys):
            if key in self._pending:
                vectors[i] = self._pending[key].float().numpy()
            else:
                block, row = self._places[key]
                rows_of.setdefault(block, []).append((i, row))
        for block, pairs in rows_of.items():
            positions, rows = zip(*pairs, strict=True)
            vectors[list(positions)] = self._blocks[block][list(rows)].float().numpy()
        return vectors

    def put(self, keys: Sequence[bytes], vectors: np.ndarray) -> None:
        """Store the vectors (n, D) of documents.

        Raises
        ------
        ValueError
            When they are of another size than those that are stored.
        """
        self.dimension = self.dimension or vectors.shape[1]
        if vectors.shape[1] != self.dimension:
            raise ValueError(
                f"expected vectors of size {self.dimension}, as this encoder gave before, got size {vectors.shape[1]}: "
                "did it change? Give it another name then"
            )
        for key, vector in zip(keys, torch.from_numpy(vectors).to(self._dtype), strict=True):
            self._pending.setdefault(key, vector.clone())
        if len(self._pending) >= _SEGMENT_DOCUMENTS:
            self._close_segment()

    def flush(self) -> None:
        """Close the current segment, and merge files where there are many small ones."""
        self._close_segment()
        self.refresh()

    def _close_segment(self) -> None:
        if not self._pending:
            return
        segment = Segment(list(self._pending), torch.stack(list(self._pending.values())))
        self._pending = {}
        if self._folder is None and self._memory_bytes + segment.vectors.nbytes > self._limit:
            root = tempfile.mkdtemp(prefix="small-text-comal-")
            weakref.finalize(self, shutil.rmtree, root, ignore_errors=True)
            self._folder = self._own_folder(Path(root))
        if self._folder is None or not self._write(self._folder, segment):
            self._memory_bytes += segment.vectors.nbytes
            self._index(segment)

    def _write(self, folder: Path, segment: Segment) -> bool:
        try:
            path = write_segment(folder, segment, self.fingerprint)
            return self._open(path)
        except OSError as error:
            warnings.warn(f"the vector cache cannot write to {folder} ({error}): vectors stay in memory", stacklevel=5)
            return False

    def _index(self, segment: Segment) -> int:
        self.dimension = segment.vectors.shape[1]
        self._blocks.append(segment.vectors)
        block = len(self._blocks) - 1
        for row, key in enumerate(segment.keys):
            if key not in self._pending:
                self._places.setdefault(key, (block, row))
        return block

    def _open(self, path: Path) -> bool:
        segment = read_segment(path, self.fingerprint, self._dtype, self.dimension)
        self._files[path] = -1 if segment is None else self._index(segment)
        return segment is not None

    def refresh(self) -> None:
        """Take in the files that other processes wrote since, and merge where there are many small ones."""
        if self._folder is None:
            return
        for _ in range(_LISTINGS):
            try:
                for path in segment_files(self._folder):
                    if path not in self._files:
                        self._open(path)
                break
            except FileNotFoundError:  # another process has just merged it
                continue
        self._merge(self._folder)
        remove_abandoned(self._folder)

    def _merge(self, folder: Path) -> None:
        """Merge small files until few are left, a handful at a time, since each merge holds its files in memory."""
        if os.name == "nt":  # where a mapped file cannot be removed
            return
        with suppress(OSError):  # merging can wait: another process is at it, or the disk is full
            while len(small := self._small_files(folder)) > _SMALL_FILES:
                if not self._merge_files(folder, small[: _SMALL_FILES + 1]):
                    break

    def _small_files(self, folder: Path) -> list[Path]:
        sizes = {path: os.path.getsize(path) for path in segment_files(folder) if self._files.get(path, -1) >= 0}
        return sorted((path for path, size in sizes.items() if size < _SMALL_FILE), key=lambda path: sizes[path])

    def _merge_files(self, folder: Path, paths: list[Path]) -> bool:
        """Replace files by one that holds every vector they hold, in the values this process uses."""
        parts = [read_segment(path, self.fingerprint, self._dtype, self.dimension) for path in paths]
        damaged = [path for path, part in zip(paths, parts, strict=True) if part is None]
        self._files.update(dict.fromkeys(damaged, -1))  # since it was opened
        if damaged:
            return True  # try the others
        keys = list(dict.fromkeys(key for part in parts if part is not None for key in part.keys))
        merged = Segment(keys, torch.from_numpy(self.get(keys)).to(self._dtype))
        return self._replace(paths, write_segment(folder, merged, self.fingerprint))

    def _replace(self, parts: list[Path], merged: Path) -> bool:
        """Look vectors up in the merged file, and remove its parts."""
        segment = read_segment(merged, self.fingerprint, self._dtype, self.dimension)
        if segment is None:
            return False
        for key in segment.keys:
            self._places.pop(key, None)
        self._files[merged] = self._index(segment)
        for part in parts:
            self._blocks[self._files.pop(part)] = torch.empty(0)
            part.unlink(missing_ok=True)
        return True

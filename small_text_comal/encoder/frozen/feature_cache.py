"""Hidden states of documents after the frozen layers, computed once for all rounds, runs and processes.

A document is known by its content, a model by a fingerprint of the weights that computed the states. States lie
packed, without padding, in segments. Without a folder, segments stay in memory up to a limit and are then written to a
temporary folder; with a folder, they are files there, memory-mapped, that other processes use as well.

A segment file is written under another name and renamed when it is complete, so no reader ever sees half a file. Its
checksum, fingerprint and sizes are verified when it is opened; a file that fails is not used, and is not deleted.
Half a file that a killed process left is removed after an hour.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import uuid
import warnings
import weakref
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from small_text_comal.config import FeatureCacheArguments

__all__ = ["FeatureCache"]

_FORMAT = "small-text-comal hidden states 1"
_SEGMENT_BYTES = 32 * 2**20  # of states before a segment is closed
_BEYOND_FLOAT16 = "beyond-float16"  # marks the folder of a model whose states are too large for float16
_ABANDONED = 3600  # seconds after which an incomplete file has no writer any more


class _Place(NamedTuple):
    segment: Tensor  # (S of all its documents, H)
    start: int
    stop: int


class FeatureCache:
    """A store of hidden states (S, H) by document content, for one model at a time.

    Parameters
    ----------
    arguments : storage type, memory limit, folder

    Notes
    -----
    When several models take turns, each `use` drops the other models' states: a model that reads must compare its
    fingerprint with the cache's. Pickling keeps the options and drops the content. A reader always gets the stored
    values, in the storage type, so a score does not depend on whether its document was cached before.

    Examples
    --------
    >>> cache = FeatureCache(FeatureCacheArguments(dtype="float32"))
    >>> cache.use("model a")
    >>> cache.put([b"k" * 16], [torch.ones(3, 2)])
    >>> tuple(cache.get(b"k" * 16).shape), cache.missing([b"k" * 16, b"x" * 16])
    ((3, 2), [1])
    """

    def __init__(self, arguments: FeatureCacheArguments | None = None) -> None:
        self.arguments = arguments or FeatureCacheArguments()
        self._remove_temporary: Callable[[], Any] = lambda: None
        self._reset("")

    def _reset(self, fingerprint: str) -> None:
        self._remove_temporary()
        self.fingerprint = fingerprint
        self.dtype = getattr(torch, self.arguments.dtype)
        self._places: dict[bytes, _Place] = {}
        self._pending: dict[bytes, Tensor] = {}
        self._memory_bytes = 0
        self._known_files: set[str] = set()
        self._folder: Path | None = None

    def __reduce__(self) -> tuple[type[FeatureCache], tuple[FeatureCacheArguments]]:
        return type(self), (self.arguments,)

    def __len__(self) -> int:
        return len(self._places) + len(self._pending)

    @property
    def memory_bytes(self) -> int:
        """Bytes of states held in memory (memory-mapped files do not count)."""
        return self._memory_bytes + self._pending_bytes()

    def _pending_bytes(self) -> int:
        return sum(states.nbytes for states in self._pending.values())

    def use(self, fingerprint: str) -> None:
        """Serve the model with this fingerprint; the states of another model are dropped (its files stay)."""
        if fingerprint != self.fingerprint:
            self._reset(fingerprint)
        if self.arguments.folder is not None:
            self._open_new_files()

    def missing(self, keys: Sequence[bytes]) -> list[int]:
        """Return the positions in `keys` of the documents that are not stored."""
        return [i for i, key in enumerate(keys) if key not in self._places and key not in self._pending]

    def get(self, key: bytes) -> Tensor:
        """Return the stored states (S, H) of a document, in the storage type.

        Raises
        ------
        KeyError
            When the document is not stored.
        """
        if key in self._pending:
            return self._pending[key]
        place = self._places[key]
        return place.segment[place.start : place.stop].to(self.dtype)  # older segments may be float16

    def put(self, keys: Sequence[bytes], states: Sequence[Tensor]) -> None:
        """Store the states (S, H) of documents; states that float16 cannot hold switch the cache to bfloat16."""
        for key, value in zip(keys, states, strict=True):
            stored = value.detach().to("cpu", self.dtype, copy=True)
            if self.dtype == torch.float16 and not torch.isfinite(stored).all():
                self._switch_to_bfloat16()
                stored = value.detach().to("cpu", self.dtype, copy=True)
            self._pending[key] = stored
        if self._pending_bytes() >= _SEGMENT_BYTES:
            self.close_segment()

    def _switch_to_bfloat16(self) -> None:
        warnings.warn(
            "this encoder's hidden states exceed float16: the feature cache stores bfloat16 from now on "
            "(FeatureCacheArguments(dtype='float32') stores them exactly)",
            stacklevel=4,
        )
        if self.arguments.folder is not None:
            try:
                (self.folder() / _BEYOND_FLOAT16).touch()  # else each new process would start with float16 again
            except OSError as error:
                _note_no_folder("write to", error)
        self._use_bfloat16()
        if self.arguments.folder is not None:
            self._open_new_files()

    def _use_bfloat16(self) -> None:
        self.arguments, self.dtype, self._folder = replace(self.arguments, dtype="bfloat16"), torch.bfloat16, None
        self._pending = {key: states.to(self.dtype) for key, states in self._pending.items()}

    def close_segment(self) -> None:
        """Pack what was put since the last segment: into a file if there is a folder, or no memory left for it."""
        if not self._pending:
            return
        keys = list(self._pending)
        packed = torch.cat(list(self._pending.values()))
        lengths = torch.tensor([len(self._pending[key]) for key in keys])
        to_file = self.arguments.folder is not None or self._memory_bytes + packed.nbytes > self.arguments.memory_limit
        mapped = self._write(keys, packed, lengths) if to_file else None
        if mapped is None:
            self._memory_bytes += packed.nbytes
        self._index(keys, packed if mapped is None else mapped, lengths)
        self._pending = {}

    def _index(self, keys: list[bytes], packed: Tensor, lengths: Tensor) -> None:
        start = 0
        for key, length in zip(keys, lengths.tolist(), strict=True):
            self._places[key] = _Place(packed, start, start + length)
            start += length

    def folder(self) -> Path:
        """Return the folder of this model's segment files; it is created on first use."""
        if self._folder is None:
            root = self.arguments.folder
            if root is None:
                root = tempfile.mkdtemp(prefix="small-text-comal-")
                self._remove_temporary = weakref.finalize(self, shutil.rmtree, root, ignore_errors=True)
            self._folder = Path(root).expanduser() / f"{self.fingerprint[:40]}-{str(self.dtype).removeprefix('torch.')}"
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def _write(self, keys: list[bytes], packed: Tensor, lengths: Tensor) -> Tensor | None:
        """Write a segment and return it memory-mapped; None when that fails (the states stay in memory)."""
        try:
            path = self.folder() / f"{uuid.uuid4().hex}.safetensors"
            _write_segment(path, keys, packed, lengths, self.fingerprint)
        except (OSError, SafetensorError) as error:
            _note_no_folder("write to", error)
            return None
        self._known_files.add(path.name)
        segment = _read_segment(path, self.fingerprint, packed.dtype)
        return None if segment is None else segment[1]

    def _open_new_files(self) -> None:
        try:
            if self.dtype == torch.float16 and (self.folder() / _BEYOND_FLOAT16).exists():
                self._use_bfloat16()
            paths = sorted(self.folder().glob("*.safetensors"))
            _remove_abandoned(self.folder())
        except OSError as error:
            return _note_no_folder("read", error)
        for path in paths:
            if path.name in self._known_files:
                continue
            self._known_files.add(path.name)
            segment = _read_segment(path, self.fingerprint, self.dtype)
            if segment is None:
                warnings.warn(
                    f"{path} is damaged or not a feature cache segment of this model: it is not used, and its "
                    "documents are computed again; you can delete it",
                    stacklevel=4,
                )
            else:
                self._index(*segment)


def _note_no_folder(what: str, error: Exception) -> None:
    warnings.warn(f"the feature cache cannot {what} its folder ({error}): states stay in memory", stacklevel=5)


def _remove_abandoned(folder: Path) -> None:
    for partial in folder.glob("*.partial"):
        with suppress(OSError):  # its writer was still running, and renamed it first
            if time.time() - partial.stat().st_mtime > _ABANDONED:
                partial.unlink()


def _write_segment(path: Path, keys: list[bytes], packed: Tensor, lengths: Tensor, fingerprint: str) -> None:
    tensors = {
        "keys": torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8).view(len(keys), -1),
        "lengths": lengths,
        "states": packed,
    }
    header = {"format": _FORMAT, "fingerprint": fingerprint, "crc32": str(_checksum(tensors))}
    partial = path.with_suffix(".partial")
    try:
        save_file(tensors, partial, {"segment": json.dumps(header)})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _read_segment(path: Path, fingerprint: str, dtype: torch.dtype) -> tuple[list[bytes], Tensor, Tensor] | None:
    """Keys, memory-mapped states and lengths of a segment file, or None when anything about it is wrong."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("segment", "{}"))
            tensors = {name: file.get_tensor(name) for name in ("keys", "lengths", "states")}
    except (SafetensorError, OSError, ValueError):
        return None
    keys, states, lengths = tensors["keys"], tensors["states"], tensors["lengths"]
    is_this_models = {"format": _FORMAT, "fingerprint": fingerprint, "crc32": str(_checksum(tensors))} == header
    sizes_fit = keys.ndim == 2 and len(keys) == len(lengths) and int(lengths.sum()) == len(states)
    if not is_this_models or not sizes_fit or states.dtype != dtype:
        return None
    raw, width = keys.numpy().tobytes(), keys.shape[1]
    return [raw[i : i + width] for i in range(0, len(raw), width)], states, lengths


def _checksum(tensors: dict[str, Tensor]) -> int:
    crc = 0
    for name in ("keys", "lengths", "states"):
        crc = zlib.crc32(tensors[name].contiguous().view(torch.uint8).numpy().data, crc)
    return crc

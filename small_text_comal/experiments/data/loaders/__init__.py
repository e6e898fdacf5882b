"""Every format that can be read, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from small_text_comal.experiments.data.corpus import RawCorpus
from small_text_comal.experiments.data.loaders.aapd import read_aapd
from small_text_comal.experiments.data.loaders.csv_table import read_csv
from small_text_comal.experiments.data.loaders.eurlex import read_eurlex
from small_text_comal.experiments.data.loaders.huggingface import SHORT_NAMES, read_huggingface
from small_text_comal.experiments.data.loaders.jsonl import read_jsonl
from small_text_comal.experiments.data.loaders.justdance import read_justdance
from small_text_comal.experiments.data.loaders.rcv1 import read_rcv1
from small_text_comal.experiments.data.loaders.reuters import read_reuters
from small_text_comal.experiments.data.names import known_name

__all__ = ["FOLDER_LOADERS", "load_raw_corpus", "loader_names"]

# each takes a path and, keyword-only, its own options
FOLDER_LOADERS: dict[str, Callable[..., RawCorpus]] = {
    "jsonl": read_jsonl,
    "csv": read_csv,
    "aapd": read_aapd,
    "rcv1": read_rcv1,
    "eurlex": read_eurlex,
    "justdance": read_justdance,
    "reuters": read_reuters,
}


def loader_names() -> list[str]:
    """Return the names of all formats, and of the data sets that are known by a short name."""
    return sorted([*FOLDER_LOADERS, "hf", *SHORT_NAMES])


def load_raw_corpus(loader: str, path: str | None, options: Mapping[str, Any]) -> RawCorpus:
    """Read a corpus.

    Parameters
    ----------
    loader : a format ("jsonl", "aapd", ...), "hf", or a short name ("goemotions")
    path : folder or file; for "hf" a name on the hub; not needed with a short name
    options : keywords of the loader

    Raises
    ------
    ValueError, FileNotFoundError
        On an unknown name (with the nearest), an option that the loader does not have or not of this type, a missing
        path or broken files.
    """
    name = known_name(loader, loader_names(), kind="dataset format or short name")
    if path is None and name not in SHORT_NAMES:
        raise ValueError(f"dataset format {name!r} needs a path: write {name}:PATH")
    read = FOLDER_LOADERS.get(name, read_huggingface)
    chosen = _checked_options(read, options, kind=f"option of format {name!r}")
    if name in FOLDER_LOADERS:
        return read(_existing(str(path)), **chosen)
    return read(path or name, **chosen)


def _checked_options(read: Callable[..., RawCorpus], options: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
    """Options under their plain names; each is of the type of its default."""
    parameters = signature(read).parameters
    defaults = {name: option.default for name, option in parameters.items() if option.kind is option.KEYWORD_ONLY}
    chosen = {known_name(option, defaults, kind=kind): value for option, value in options.items()}
    for name, value in chosen.items():
        expected = str if defaults[name] is None else type(defaults[name])
        if type(value) is not expected:
            raise ValueError(f"{kind}, {name}: expected {expected.__name__}, got {value!r}")
    return chosen


def _existing(path: str) -> Path:
    folder = Path(path)
    if not folder.exists():
        raise FileNotFoundError(f"no file or folder {folder} (current folder: {Path.cwd()})")
    return folder

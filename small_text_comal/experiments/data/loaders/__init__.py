"""Every format that can be read, by name: a new format is a new file beside this one and a line in `LOADERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

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
from small_text_comal.experiments.data.user_error import UserError

__all__ = ["LOADERS", "Loader", "known_loader", "load_raw_corpus"]


class Loader(NamedTuple):
    """A data format.

    Parameters
    ----------
    read : takes a path and, keyword-only, the format's own options
    is_on_disk : whether the path must be a file or folder of this machine
    path : where the user gives none
    """

    read: Callable[..., RawCorpus]
    is_on_disk: bool = True
    path: str | None = None


LOADERS = {
    "jsonl": Loader(read_jsonl),
    "csv": Loader(read_csv),
    "aapd": Loader(read_aapd),
    "rcv1": Loader(read_rcv1),
    "eurlex": Loader(read_eurlex),
    "justdance": Loader(read_justdance),
    "reuters": Loader(read_reuters),
    "hf": Loader(read_huggingface, is_on_disk=False),
    **{name: Loader(read_huggingface, is_on_disk=False, path=name) for name in SHORT_NAMES},
}


def known_loader(name: str) -> str:
    """Return the name in `LOADERS` that `name` means, whatever its capitals and hyphens."""
    return known_name(name, LOADERS, kind="dataset format or short name")


def load_raw_corpus(loader: str, path: str | None, options: Mapping[str, Any]) -> RawCorpus:
    """Read a corpus.

    Parameters
    ----------
    loader : a format ("jsonl", "aapd", ...), "hf", or a short name ("goemotions")
    path : folder or file; for "hf" a name on the hub; not needed with a short name
    options : keywords of the loader

    Raises
    ------
    UserError, FileNotFoundError
        On an unknown name (with the nearest), an option that the loader does not have or not of this type, a missing
        path or broken files.
    """
    name = known_loader(loader)
    read, is_on_disk, default_path = LOADERS[name]
    place = path or default_path
    if place is None:
        raise UserError(f"dataset format {name!r} needs a path: write {name}:PATH")
    chosen = _checked_options(read, options, kind=f"option of format {name!r}")
    if is_on_disk and not Path(place).exists():
        raise FileNotFoundError(f"no file or folder {place} (current folder: {Path.cwd()})")
    return read(Path(place) if is_on_disk else place, **chosen)


def _checked_options(read: Callable[..., RawCorpus], options: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
    """Return the options under the names that the format gives them, each of the type of its default."""
    parameters = signature(read).parameters
    defaults = {name: option.default for name, option in parameters.items() if option.kind is option.KEYWORD_ONLY}
    chosen = {known_name(option, defaults, kind=kind): value for option, value in options.items()}
    for name, value in chosen.items():
        expected = str if defaults[name] is None else type(defaults[name])
        if type(value) is not expected:
            raise UserError(f"{kind}, {name}: expected {expected.__name__}, got {value!r}")
    return chosen

"""EURLex-4K as distributed with raw texts: a file of texts and a file of label lists for train and for test."""

from __future__ import annotations

from pathlib import Path

from small_text_comal.experiments.data.corpus import LabeledTexts, RawCorpus
from small_text_comal.experiments.data.files.parts import require_file
from small_text_comal.experiments.data.loaders.aapd import read_line_pair

__all__ = ["read_eurlex"]


def read_eurlex(path: Path) -> RawCorpus:
    """Read ``train_texts.txt``/``train_labels.txt`` and ``test_texts.txt``/``test_labels.txt`` of a folder.

    ``train_raw_texts.txt``/``test_raw_texts.txt`` are taken where the others are missing. Labels stand on a line with
    spaces between them ("agricultural_trade fruit_vegetable").
    """
    return RawCorpus(_part(path, "train"), None, _part(path, "test"))


def _part(path: Path, part: str) -> LabeledTexts:
    texts = require_file(path, [f"{part}_texts.txt", f"{part}_raw_texts.txt"])
    return read_line_pair(texts, require_file(path, [f"{part}_labels.txt"]))

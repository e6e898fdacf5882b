"""JSON lines: one document per line, with a text and a list of label names."""

from __future__ import annotations

import json
from pathlib import Path

from small_text_comal.experiments.data.corpus import LabeledTexts, RawCorpus
from small_text_comal.experiments.data.files.checked_document import checked_document
from small_text_comal.experiments.data.files.parts import read_parts
from small_text_comal.experiments.data.files.text_lines import text_lines
from small_text_comal.experiments.data.user_error import UserError

__all__ = ["read_jsonl"]


def read_jsonl(path: Path, *, text_column: str = "text", label_column: str = "labels") -> RawCorpus:
    """Read a ``.jsonl`` file, or a folder with ``train.jsonl``, ``test.jsonl`` and maybe ``dev.jsonl``.

    Parameters
    ----------
    path : file or folder, UTF-8
    text_column, label_column : keys of the text (a string) and of the labels (a list of strings, or of
        numbers from 0) in each line

    Raises
    ------
    FileNotFoundError, UserError
        Name the file, the line and what was expected there.
    """
    return read_parts(path, ".jsonl", lambda file: _documents(file, text_column, label_column))


def _documents(file: Path, text_column: str, label_column: str) -> LabeledTexts:
    documents = LabeledTexts([], [])
    for number, line in enumerate(text_lines(file), start=1):
        if line.strip():
            text, labels = _document(line, (text_column, label_column), where=f"{file}, line {number}")
            documents.texts.append(text)
            documents.labels.append(labels)
    return documents


def _document(line: str, columns: tuple[str, str], *, where: str) -> tuple[str, list[str]]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not JSON ({error})") from None
    if not isinstance(entry, dict):
        raise UserError(f"{where}: expected a JSON object, got {type(entry).__name__}")
    missing = [key for key in columns if key not in entry]
    if missing:
        raise UserError(f"{where}: no {missing[0]!r} among {sorted(entry)}; name the columns in the dataset's options")
    return checked_document(entry[columns[0]], entry[columns[1]], columns=columns, where=where)

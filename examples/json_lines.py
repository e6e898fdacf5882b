"""Multi-label documents from JSON lines, split into a pool, a validation and a test set."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from small_text_comal import label_covering_initialization

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.2


class Documents(NamedTuple):
    """N texts and their labels, a 0/1 CSR matrix (N, C)."""

    texts: list[str]
    y: csr_matrix


class Corpus(NamedTuple):
    """The C label names; the pool to query from; validation documents, which are never test documents."""

    labels: list[str]
    pool: Documents
    validation: Documents
    test: Documents


def read_json_lines(path: Path) -> list[tuple[str, list[str]]]:
    """Return (text, label names) of every line like ``{"text": "...", "labels": ["...", "..."]}``.

    Raises
    ------
    ValueError
        On a line that is no such object or has no text, with file and line number; on a file without documents.
    """
    documents = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            documents.append(_document(line, f"{path}, line {number}"))
    if not documents:
        raise ValueError(f"{path}: expected one JSON object a line, got no document")
    return documents


def _document(line: str, where: str) -> tuple[str, list[str]]:
    expected = f'{where}: expected {{"text": "...", "labels": ["...", ...]}}'
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{expected}, got no JSON ({error})") from None
    if not isinstance(record, dict) or not {"text", "labels"} <= record.keys():
        raise ValueError(f"{expected}, got {line.strip()[:80]}")
    text, labels = record["text"], record["labels"]
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{expected}, got labels {labels!r}: write a list of names, [] for a document without labels")
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{expected}, got text {text!r}: remove the document or give it a text")
    return text, labels


def load_corpus(data: Path, test_data: Path | None = None, *, seed: int = 0) -> Corpus:
    """Read the documents and split them.

    Without `test_data`, a share of `data` becomes the test set; the validation set is a share of the rest. The pool
    keeps a document of every label, so every label can be learned.

    Raises
    ------
    OSError, ValueError
        On files that cannot be read, and on a label that only test documents have.
    """
    train = read_json_lines(data)
    labels = sorted({label for _, names in train for label in names})
    if not labels:
        raise ValueError(f"{data}: expected documents with labels, got {len(train)} documents without any")
    pool = _encode(train, labels)
    rng = np.random.default_rng(seed)
    if test_data is None:
        pool, test = _split_off(pool, TEST_SHARE, rng)
    else:
        documents = read_json_lines(test_data)
        unknown = sorted({label for _, names in documents for label in names}.difference(labels))
        if unknown:
            raise ValueError(
                f"{test_data}: expected the labels of {data}, got {', '.join(map(repr, unknown))}, which no document "
                "there has: move such a document there, or take the label out of the test documents"
            )
        test = _encode(documents, labels)
    pool, validation = _split_off(pool, VALIDATION_SHARE, rng)
    return Corpus(labels, pool, validation, test)


def _encode(documents: list[tuple[str, list[str]]], labels: list[str]) -> Documents:
    column = {label: number for number, label in enumerate(labels)}
    y = np.zeros((len(documents), len(labels)), dtype=int)
    for row, (_, names) in enumerate(documents):
        y[row, [column[name] for name in names]] = 1
    return Documents([text for text, _ in documents], csr_matrix(y))


def _split_off(documents: Documents, share: float, rng: np.random.Generator) -> tuple[Documents, Documents]:
    size = len(documents.texts)
    kept = np.sort(label_covering_initialization(documents.y, size - max(1, round(share * size)), seed=rng))
    return _take(documents, kept), _take(documents, np.setdiff1d(np.arange(size), kept))


def _take(documents: Documents, rows: Iterable[int]) -> Documents:
    rows = np.asarray(rows)
    return Documents([documents.texts[row] for row in rows], documents.y[rows])

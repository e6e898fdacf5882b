"""What a loader returns and what an experiment uses: texts, label names and a CSR matrix of labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

__all__ = ["Corpus", "LabeledTexts", "RawCorpus", "Statistics", "TextSet", "corpus_statistics", "fingerprint"]


class LabeledTexts(NamedTuple):
    """Documents as read: N texts and, for each, the names of its labels."""

    texts: list[str]
    labels: list[list[str]]

    def take(self, positions: Iterable[int]) -> LabeledTexts:
        """Return the documents at `positions`, in that order."""
        chosen = list(positions)
        return LabeledTexts([self.texts[i] for i in chosen], [self.labels[i] for i in chosen])


class RawCorpus(NamedTuple):
    """What a loader reads: the parts that the distribution has; None where it has no such part."""

    train: LabeledTexts
    validation: LabeledTexts | None = None
    test: LabeledTexts | None = None


@dataclass(frozen=True)
class TextSet:
    """Encoded documents.

    Parameters
    ----------
    texts : N texts
    y : CSR (N, C) of int64 ones
    rows : (N,) row of each document in the part it was read from, counted from 0; with `resplit`, counted through
        train, validation and test
    """

    texts: list[str]
    y: csr_matrix
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, positions: np.ndarray) -> TextSet:
        """Return the documents at `positions`, in that order."""
        return TextSet([self.texts[i] for i in positions], self.y[positions], self.rows[positions])


@dataclass(frozen=True)
class Corpus:
    """A corpus ready for an experiment.

    Parameters
    ----------
    name : display name
    label_names : C names, sorted; every one has a document in `train`
    train : the pool, and the validation set where the corpus has no validation part
    validation : the validation part of the corpus, or None
    test : never used for training or queries
    notes : what was left out and why, for the user
    """

    name: str
    label_names: tuple[str, ...]
    train: TextSet
    validation: TextSet | None
    test: TextSet
    notes: tuple[str, ...] = field(default=())


def encode_labels(labels: Sequence[Sequence[str]], label_names: Sequence[str]) -> csr_matrix:
    """Return the CSR matrix (N, C) of the labels; names that are not in `label_names` are left out.

    Examples
    --------
    >>> encode_labels([["b"], [], ["a", "b"]], ["a", "b"]).toarray().tolist()
    [[0, 1], [0, 0], [1, 1]]
    """
    column = {name: j for j, name in enumerate(label_names)}
    rows = [sorted({column[name] for name in names if name in column}) for names in labels]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
    indices = np.array([j for row in rows for j in row], dtype=np.int64)
    return csr_matrix((np.ones(len(indices), np.int64), indices, indptr), shape=(len(rows), len(label_names)))


class Statistics(NamedTuple):
    """The columns of the paper's Table 1 that describe the data."""

    name: str
    train: int
    validation: int
    test: int
    labels: int
    mean_labels: float
    mean_words: float


def corpus_statistics(corpus: Corpus, *, validation_size: int = 0) -> Statistics:
    """Return the statistics of the paper's Table 1.

    Parameters
    ----------
    corpus : as loaded
    validation_size : documents that each seed takes out of `train` for validation, where the corpus has no such part

    Examples
    --------
    >>> part = TextSet(["x y", "z"], csr_matrix([[1, 1], [1, 0]]), np.arange(2))
    >>> corpus_statistics(Corpus("toy", ("a", "b"), part, None, part)).mean_labels
    1.5
    """
    parts = [corpus.train, corpus.test] + ([corpus.validation] if corpus.validation else [])
    n_documents = sum(len(part) for part in parts)
    words = sum(len(text.split()) for part in parts for text in part.texts)
    own = len(corpus.validation) if corpus.validation else 0
    return Statistics(
        name=corpus.name,
        train=len(corpus.train) - (0 if own else validation_size),
        validation=own or validation_size,
        test=len(corpus.test),
        labels=len(corpus.label_names),
        mean_labels=sum(part.y.nnz for part in parts) / max(n_documents, 1),
        mean_words=words / max(n_documents, 1),
    )


def fingerprint(corpus: Corpus) -> str:
    """Return 16 hex digits that change with any text, label or part of the corpus, but not with its place on disk."""
    digest = hashlib.sha256(repr(corpus.label_names).encode())
    for part in (corpus.train, corpus.validation, corpus.test):
        digest.update(b"|part|")
        if part is not None:
            for text in part.texts:
                digest.update(len(text).to_bytes(8, "little") + text.encode("utf-8", "surrogatepass"))
            digest.update(part.y.indptr.astype("<i8").tobytes() + part.y.indices.astype("<i8").tobytes())
    return digest.hexdigest()[:16]

"""RCV1-v2 (Lewis et al., JMLR 2004) as distributed: token files and the file of topics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from small_text_comal.experiments.data.corpus import LabeledTexts, RawCorpus
from small_text_comal.experiments.data.files.parts import find_file, require_file
from small_text_comal.experiments.data.files.text_lines import text_lines
from small_text_comal.experiments.data.user_error import UserError

__all__ = ["read_rcv1"]

TRAIN = "lyrl2004_tokens_train.dat"
TEST = tuple(f"lyrl2004_tokens_test_pt{part}.dat" for part in range(4))
TOPICS = "rcv1-v2.topics.qrels"


def read_rcv1(path: Path, *, validation_size: int = 2_000, test_size: int = 10_000, seed: int = 0) -> RawCorpus:
    """Read the training tokens, and a random part of the 781,265 test documents.

    The paper tests on 10,000 documents and validates on 2,000 others; both are drawn here, without overlap, from the
    distribution's four test files, which are streamed and never held in memory. A run of equal tokens is written once,
    as in the authors' code: the distribution puts a document's repeated stems next to each other.

    Parameters
    ----------
    path : folder with the token files and the topics, plain or gzipped
    validation_size, test_size : documents drawn; fewer where the files hold fewer, in the same proportion
    seed : of the draw

    Raises
    ------
    FileNotFoundError, UserError
        When a file is missing, a document has no topic, or a size is below 1.
    """
    if validation_size < 1 or test_size < 1:
        raise UserError(f"validation_size, test_size: expected integers >= 1, got {validation_size} and {test_size}")
    topics = _read_topics(require_file(path, [TOPICS]))
    train = _with_topics(_stream(require_file(path, [TRAIN])), topics)
    files = [file for name in TEST if (file := find_file(path, [name])) is not None]
    if not files:
        return RawCorpus(train)
    n_documents = sum(1 for file in files for _ in _stream(file))
    share = min(1.0, n_documents / (validation_size + test_size))
    order = np.random.default_rng(seed).permutation(n_documents)
    n_test, n_validation = int(test_size * share), int(validation_size * share)
    test = _draw(files, topics, np.sort(order[:n_test]))
    return RawCorpus(train, _draw(files, topics, np.sort(order[n_test : n_test + n_validation])), test)


def _read_topics(file: Path) -> dict[str, list[str]]:
    topics: dict[str, list[str]] = {}
    for number, line in enumerate(text_lines(file), start=1):
        cells = line.split()
        if len(cells) not in (0, 3):
            raise UserError(f'{file}, line {number}: expected "TOPIC DOCUMENT 1", got {line.rstrip()!r}')
        if cells:
            topics.setdefault(cells[1], []).append(cells[0])
    return topics


def _stream(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the number and the text of each document of a token file."""
    number: str | None = None
    tokens: list[str] = []
    for line in text_lines(file):
        cells = line.split()
        if cells[:1] == [".I"] and len(cells) == 2:
            if number is not None:
                yield number, _without_repeats(tokens)
            number, tokens = cells[1], []
        elif cells and cells != [".W"]:
            tokens.extend(cells)
    if number is not None:
        yield number, _without_repeats(tokens)


def _without_repeats(tokens: list[str]) -> str:
    """Join tokens, a run of equal ones written once.

    >>> _without_repeats(["recov", "recov", "excit", "recov"])
    'recov excit recov'
    """
    return " ".join(token for token, _ in groupby(tokens))


def _draw(files: list[Path], topics: dict[str, list[str]], positions: np.ndarray) -> LabeledTexts:
    wanted = set(positions.tolist())
    everything = (document for file in files for document in _stream(file))
    return _with_topics((document for i, document in enumerate(everything) if i in wanted), topics)


def _with_topics(documents: Iterator[tuple[str, str]], topics: dict[str, list[str]]) -> LabeledTexts:
    found = LabeledTexts([], [])
    for number, text in documents:
        if number not in topics:
            raise UserError(f"document {number} has no line in {TOPICS}: do both come from the same distribution?")
        found.texts.append(text)
        found.labels.append(topics[number])
    return found

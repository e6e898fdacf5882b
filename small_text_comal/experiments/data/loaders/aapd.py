"""AAPD (Yang et al., COLING 2018) as distributed: abstracts in one file, their subjects line by line in another."""

from __future__ import annotations

from pathlib import Path

from small_text_comal.experiments.data.corpus import LabeledTexts, RawCorpus
from small_text_comal.experiments.data.files.parts import require_file
from small_text_comal.experiments.data.files.text_lines import text_lines
from small_text_comal.experiments.data.user_error import UserError

__all__ = ["read_aapd", "read_line_pair"]


def read_aapd(path: Path) -> RawCorpus:
    """Read ``text_train``/``label_train``, ``text_val``/``label_val`` and ``text_test``/``label_test`` of a folder.

    Labels stand on a line with spaces between them ("cs.it math.it").

    Raises
    ------
    FileNotFoundError, UserError
        When a file is missing, or a text file has not as many lines as its label file.
    """
    return RawCorpus(*(_part(path, part) for part in ("train", "val", "test")))


def _part(path: Path, part: str) -> LabeledTexts:
    return read_line_pair(require_file(path, [f"text_{part}"]), require_file(path, [f"label_{part}"]))


def read_line_pair(text_file: Path, label_file: Path) -> LabeledTexts:
    """Read texts from one file and space-separated labels from the same lines of another."""
    texts, labels = list(text_lines(text_file)), list(text_lines(label_file))
    if len(texts) != len(labels):
        raise UserError(
            f"expected as many lines in {text_file} as in {label_file}, got {len(texts)} and {len(labels)}: "
            "do both come from the same distribution?"
        )
    return LabeledTexts([text.strip() for text in texts], [line.split() for line in labels])

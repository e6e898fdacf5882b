"""Data sets of the Hugging Face hub, or a folder written by their `save_to_disk`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from small_text_comal.experiments.data.corpus import LabeledTexts, RawCorpus
from small_text_comal.experiments.data.files.checked_document import checked_document
from small_text_comal.experiments.data.files.parts import VALIDATION_NAMES
from small_text_comal.experiments.data.user_error import UserError

__all__ = ["SHORT_NAMES", "read_huggingface"]

# short name -> (name on the hub, configuration there)
SHORT_NAMES = {
    "goemotions": ("google-research-datasets/go_emotions", "simplified"),
    "unfair-tos": ("coastalcph/lex_glue", "unfair_tos"),
    "eurlex-lexglue": ("coastalcph/lex_glue", "eurlex"),
}


def read_huggingface(
    name: str | Path, *, subset: str | None = None, text_column: str = "text", label_column: str = "labels"
) -> RawCorpus:
    """Read a data set through the `datasets` library: by short name, by its name on the hub, or from a folder.

    Parameters
    ----------
    name : "goemotions", "unfair-tos", "eurlex-lexglue", "owner/name", or a folder written by `save_to_disk`
    subset : configuration on the hub
    text_column : a string, or a list of strings, which are joined by line ends
    label_column : a list of label numbers (named by the data set's features where it has names) or of strings; -1,
        which stands for labels that are kept secret, is refused

    Raises
    ------
    UserError
        When the columns are missing, a document has another form, or the data set has no part "train".
    """
    import datasets

    if Path(name).is_dir():
        parts = datasets.load_from_disk(str(name))
    else:
        hub_name, known_subset = SHORT_NAMES.get(str(name), (str(name), None))
        try:
            parts = datasets.load_dataset(hub_name, subset or known_subset)
        except ValueError as error:  # a configuration that the data set does not have
            raise UserError(f"{name}: {error}") from None
    if isinstance(parts, datasets.Dataset):
        parts = {"train": parts}
    if "train" not in parts:
        raise UserError(f"{name}: expected a part 'train', got {sorted(parts)}")
    validation = next((part for part in VALIDATION_NAMES if part in parts), "")
    read = {
        part: _documents(parts[part].with_format(None), (text_column, label_column), where=f"{name}, {part}")
        for part in ("train", validation, "test")
        if part in parts
    }
    return RawCorpus(read["train"], read.get(validation), read.get("test"))


def _documents(part: Any, columns: tuple[str, str], *, where: str) -> LabeledTexts:
    missing = [column for column in columns if column not in part.features]
    if missing:
        raise UserError(
            f"{where}: no column {missing[0]!r} among {sorted(part.features)}; name the columns in the dataset's "
            "options"
        )
    names = _label_names(part.features[columns[1]])
    found = LabeledTexts([], [])
    for row, (text, labels) in enumerate(zip(*(part[column] for column in columns), strict=True)):
        if isinstance(text, list) and all(isinstance(piece, str) for piece in text):
            text = "\n".join(text)
        text, labels = checked_document(text, labels, columns=columns, where=f"{where}, row {row}")
        found.texts.append(text)
        found.labels.append([names[int(label)] for label in labels] if names else labels)
    return found


def _label_names(feature: Any) -> list[str] | None:
    """Names of a list of ClassLabel; None for lists of plain numbers or strings."""
    return getattr(getattr(feature, "feature", feature), "names", None)

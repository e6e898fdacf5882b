"""Data sets of the Hugging Face hub, or a folder written by their `save_to_disk`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from small_text_comal.experiments.corpus import Documents, RawCorpus
from small_text_comal.experiments.loaders.folder import VALIDATION_NAMES

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
    label_column : a list of label numbers (named by the data set's features where it has names) or of strings

    Raises
    ------
    ValueError
        When the columns are missing, or the data set has no part "train".
    """
    import datasets

    if Path(name).is_dir():
        parts = datasets.load_from_disk(str(name))
    else:
        hub_name, known_subset = SHORT_NAMES.get(str(name), (str(name), None))
        parts = datasets.load_dataset(hub_name, subset or known_subset)
    if "train" not in parts:
        raise ValueError(f"{name}: expected a part 'train', got {sorted(parts)}")
    read = {part: _documents(parts[part], text_column, label_column, name=str(name)) for part in parts}
    validation = [read[part] for part in VALIDATION_NAMES if part in read]
    return RawCorpus(read["train"], validation[0] if validation else None, read.get("test"))


def _documents(part: Any, text_column: str, label_column: str, *, name: str) -> Documents:
    missing = [column for column in (text_column, label_column) if column not in part.features]
    if missing:
        raise ValueError(
            f"{name}: no column {missing[0]!r} among {sorted(part.features)}; name the columns in the dataset's options"
        )
    names = _label_names(part.features[label_column])
    texts = [text if isinstance(text, str) else "\n".join(text) for text in part[text_column]]
    labels = [[names[label] if names else str(label) for label in row] for row in part[label_column]]
    return Documents(texts, labels)


def _label_names(feature: Any) -> list[str] | None:
    """Names of a list of ClassLabel; None for lists of plain numbers or strings."""
    return getattr(getattr(feature, "feature", feature), "names", None)

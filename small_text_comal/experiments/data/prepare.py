"""From what was read to what is used: checks, cuts, the test set, and the labels that can be learned."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from small_text_comal.experiments.data.corpus import Corpus, LabeledTexts, RawCorpus, TextSet, encode_labels
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.loaders import load_raw_corpus
from small_text_comal.experiments.data.paths import filled_path
from small_text_comal.experiments.data.user_error import UserError

__all__ = ["default_validation_size", "load_corpus", "prepare_corpus"]

SPLIT_SEED = 20240825  # fixed: every seed of an experiment is tested on the same documents


class _Part(NamedTuple):
    documents: LabeledTexts
    rows: np.ndarray

    def take(self, positions: np.ndarray) -> _Part:
        return _Part(self.documents.take(positions), self.rows[positions])

    def label_names(self) -> set[str]:
        return {name for names in self.documents.labels for name in names}


_Parts = dict[str, _Part]  # "train", and "validation" and "test" where they exist


def load_corpus(spec: DatasetSpec) -> Corpus:
    """Read the data set of `spec` and prepare it."""
    path = spec.path and filled_path(spec.path, where=f"dataset {spec.name}")
    return prepare_corpus(load_raw_corpus(spec.loader, path, spec.options), spec)


def prepare_corpus(raw: RawCorpus, spec: DatasetSpec) -> Corpus:
    """Check, cut and encode a corpus; its notes say what is left out.

    The label space is the labels of train after all cuts: a label that only other parts have can never be learned, and
    is left out of them. Cuts and the test set do not depend on an experiment's seed.

    Raises
    ------
    UserError
        On an empty text (unless dropped), a corpus without test part or `test_size`, one that is smaller than asked, an
        empty validation part, or a test set that has none of train's labels.
    """
    notes: list[str] = []
    if spec.resplit:
        raw = _merged(raw)
    parts = {
        where: _numbered(part, "all parts" if spec.resplit else where, spec, notes)
        for where, part in raw._asdict().items()
        if part is not None
    }
    parts = _without_rare_labels(parts, spec, notes)
    parts = _cut(_with_test(parts, spec), spec)
    known = parts["train"].label_names()
    _note_unseen(parts, known, spec, notes)
    _require_something_to_measure(parts, known, spec)
    names = sorted(known)
    encoded = {
        where: TextSet(part.documents.texts, encode_labels(part.documents.labels, names), part.rows)
        for where, part in parts.items()
    }
    return Corpus(
        spec.name, tuple(names), encoded["train"], encoded.get("validation"), encoded["test"], notes=tuple(notes)
    )


def _merged(raw: RawCorpus) -> RawCorpus:
    """Return one part with everything: train, validation, test."""
    parts = [part for part in raw if part is not None]
    texts = [text for part in parts for text in part.texts]
    return RawCorpus(LabeledTexts(texts, [names for part in parts for names in part.labels]))


def _numbered(part: LabeledTexts, where: str, spec: DatasetSpec, notes: list[str]) -> _Part:
    empty = [i for i, text in enumerate(part.texts) if not text.strip()]
    if empty and not spec.drop_empty:
        raise UserError(
            f"dataset {spec.name}: the text of document {empty[0]} of {where} is empty ({len(empty)} in all); remove "
            "them, or set drop_empty"
        )
    if empty:
        notes.append(f"{spec.name}: {len(empty)} documents of {where} without text were dropped")
    rows = np.setdiff1d(np.arange(len(part.texts)), empty)
    return _Part(part.take(rows), rows)


def _without_rare_labels(parts: _Parts, spec: DatasetSpec, notes: list[str]) -> _Parts:
    counts = Counter(name for labels in parts["train"].documents.labels for name in set(labels))
    rare = {name for name, count in counts.items() if count < spec.min_label_count}
    if rare:
        notes.append(f"{spec.name}: {len(rare)} labels with fewer than {spec.min_label_count} documents were dropped")
    return {where: _kept(part, rare, spec.drop_unlabeled) for where, part in parts.items()}


def _kept(part: _Part, dropped: set[str], drop_unlabeled: bool) -> _Part:
    labels = [[name for name in names if name not in dropped] for names in part.documents.labels]
    part = _Part(LabeledTexts(part.documents.texts, labels), part.rows)
    if not drop_unlabeled:
        return part
    return part.take(np.array([i for i, names in enumerate(labels) if names], dtype=int))


def _with_test(parts: _Parts, spec: DatasetSpec) -> _Parts:
    """Cut the test part to its size, or draw a test set from train where there is no such part."""
    rng = np.random.default_rng(SPLIT_SEED)
    if "test" in parts:
        return {**parts, "test": _drawn(parts["test"], spec.test_size, rng)}
    if spec.test_size is None:
        raise UserError(f"dataset {spec.name} has no test part: set test_size, and a test set of that size is drawn")
    train = parts["train"]
    n_documents = len(train.rows)
    if spec.test_size >= n_documents:
        raise UserError(f"dataset {spec.name}: test_size {spec.test_size} leaves nothing of {n_documents} documents")
    order = rng.permutation(n_documents)
    chosen, rest = np.sort(order[: spec.test_size]), np.sort(order[spec.test_size :])
    return {**parts, "train": train.take(rest), "test": train.take(chosen)}


def _cut(parts: _Parts, spec: DatasetSpec) -> _Parts:
    """Cut train to the pool (and the validation set that comes from it), and the validation part of the corpus."""
    rng = np.random.default_rng(SPLIT_SEED + 1)
    wanted = spec.pool_size
    if "validation" in parts:
        parts = {**parts, "validation": _drawn(parts["validation"], spec.validation_size, rng)}
    elif wanted is not None:
        # a tenth of pool and validation together is a ninth of the pool
        wanted += default_validation_size(spec, wanted * 10 // 9)
    return {**parts, "train": _drawn(parts["train"], wanted, rng)}


def _drawn(part: _Part, size: int | None, rng: np.random.Generator) -> _Part:
    """Return `size` random documents, in order; all where there are not more, or no size is given."""
    if size is None or size >= len(part.rows):
        return part
    return part.take(np.sort(rng.choice(len(part.rows), size, replace=False)))


def default_validation_size(spec: DatasetSpec, n_train: int) -> int:
    """Return how many documents of train a seed takes for validation, where the corpus has no validation part."""
    return spec.validation_size or max(1, min(500, n_train // 10))


def _note_unseen(parts: _Parts, known: set[str], spec: DatasetSpec, notes: list[str]) -> None:
    for where in ("validation", "test"):
        unseen = sorted(parts[where].label_names() - known) if where in parts else []
        if unseen:
            shown = ", ".join(unseen[:5]) + (", ..." if len(unseen) > 5 else "")
            notes.append(
                f"{spec.name}: {len(unseen)} labels of {where} that do not occur in train were left out: {shown}"
            )


def _require_something_to_measure(parts: _Parts, known: set[str], spec: DatasetSpec) -> None:
    if not known:
        raise UserError(f"dataset {spec.name}: no document of train has a label")
    if "validation" in parts and not len(parts["validation"].rows):
        raise UserError(
            f"dataset {spec.name}: its validation part is empty: remove it, and validation documents are taken out of "
            "train"
        )
    if not known & parts["test"].label_names():
        raise UserError(
            f"dataset {spec.name}: none of the {len(parts['test'].rows)} documents of test has a label that train has, "
            "so all scores would be 0: check the labels of test"
        )

"""From what was read to what is used: checks, cuts, a test set of its own, and the labels that can be learned."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from small_text_comal.experiments.data.corpus import Corpus, LabeledTexts, RawCorpus, TextSet, encode_labels
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.loaders import load_raw_corpus
from small_text_comal.experiments.data.paths import filled_path
from small_text_comal.experiments.data.user_error import UserError

__all__ = ["load_corpus", "prepare_corpus"]

SPLIT_SEED = 20240825  # fixed: every seed of an experiment is tested on the same documents


class _Part(NamedTuple):
    documents: LabeledTexts
    rows: np.ndarray


class _Parts(NamedTuple):
    train: _Part
    validation: _Part | None
    test: _Part | None


def load_corpus(spec: DatasetSpec) -> Corpus:
    """Read the data set of `spec` and make it ready."""
    path = spec.path and filled_path(spec.path, where=f"dataset {spec.name}")
    return prepare_corpus(load_raw_corpus(spec.loader, path, spec.options), spec)


def prepare_corpus(raw: RawCorpus, spec: DatasetSpec) -> Corpus:
    """Check, cut and encode a corpus; what is left out is said in its notes.

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
    parts = _Parts(
        _numbered(raw.train, "all parts" if spec.resplit else "train", spec, notes),
        raw.validation and _numbered(raw.validation, "validation", spec, notes),
        raw.test and _numbered(raw.test, "test", spec, notes),
    )
    parts = _without_rare_labels(parts, spec, notes)
    parts = _with_test(parts, spec)
    parts = _cut(parts, spec)
    assert parts.test is not None
    names = sorted({name for labels in parts.train.documents.labels for name in labels})
    if not names:
        raise UserError(f"dataset {spec.name}: no document of train has a label")
    _note_unseen(parts, set(names), spec, notes)
    _require_something_to_measure(parts, set(names), spec)
    return Corpus(
        name=spec.name,
        label_names=tuple(names),
        train=_encoded(parts.train, names),
        validation=parts.validation and _encoded(parts.validation, names),
        test=_encoded(parts.test, names),
        notes=tuple(notes),
    )


def _merged(raw: RawCorpus) -> RawCorpus:
    """One part with everything: train, validation, test."""
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


def _take(part: _Part, positions: np.ndarray) -> _Part:
    return _Part(part.documents.take(positions), part.rows[positions])


def _without_rare_labels(parts: _Parts, spec: DatasetSpec, notes: list[str]) -> _Parts:
    counts = Counter(name for labels in parts.train.documents.labels for name in set(labels))
    rare = {name for name, count in counts.items() if count < spec.min_label_count}
    if rare:
        notes.append(f"{spec.name}: {len(rare)} labels with fewer than {spec.min_label_count} documents were dropped")
    return _Parts(
        _kept(parts.train, rare, spec.drop_unlabeled),
        parts.validation and _kept(parts.validation, rare, spec.drop_unlabeled),
        parts.test and _kept(parts.test, rare, spec.drop_unlabeled),
    )


def _kept(part: _Part, dropped: set[str], drop_unlabeled: bool) -> _Part:
    labels = [[name for name in names if name not in dropped] for names in part.documents.labels]
    part = _Part(LabeledTexts(part.documents.texts, labels), part.rows)
    if not drop_unlabeled:
        return part
    return _take(part, np.array([i for i, names in enumerate(labels) if names], dtype=int))


def _with_test(parts: _Parts, spec: DatasetSpec) -> _Parts:
    rng = np.random.default_rng(SPLIT_SEED)
    if parts.test is not None:
        n_test = len(parts.test.rows)
        if spec.test_size is None or spec.test_size >= n_test:
            return parts
        return parts._replace(test=_take(parts.test, np.sort(rng.choice(n_test, spec.test_size, replace=False))))
    if spec.test_size is None:
        raise UserError(f"dataset {spec.name} has no test part: set test_size, and a test set of that size is drawn")
    n_documents = len(parts.train.rows)
    if spec.test_size >= n_documents:
        raise UserError(f"dataset {spec.name}: test_size {spec.test_size} leaves nothing of {n_documents} documents")
    order = rng.permutation(n_documents)
    test, train = np.sort(order[: spec.test_size]), np.sort(order[spec.test_size :])
    return _Parts(_take(parts.train, train), parts.validation, _take(parts.train, test))


def _cut(parts: _Parts, spec: DatasetSpec) -> _Parts:
    """Cut train to the pool (and the validation set that comes from it), and the corpus' own validation part."""
    rng = np.random.default_rng(SPLIT_SEED + 1)
    validation = parts.validation
    if validation is not None and spec.validation_size is not None and spec.validation_size < len(validation.rows):
        chosen = rng.choice(len(validation.rows), spec.validation_size, replace=False)
        validation = _take(validation, np.sort(chosen))
    if spec.pool_size is None:
        return parts._replace(validation=validation)
    wanted = spec.pool_size
    if validation is None:
        # a tenth of pool and validation together is a ninth of the pool
        wanted += default_validation_size(spec, spec.pool_size * 10 // 9)
    n_train = len(parts.train.rows)
    if wanted < n_train:
        train = _take(parts.train, np.sort(rng.choice(n_train, wanted, replace=False)))
        return _Parts(train, validation, parts.test)
    return parts._replace(validation=validation)


def default_validation_size(spec: DatasetSpec, n_train: int) -> int:
    """Return how many documents of train a seed takes for validation, where the corpus has no part of its own."""
    return spec.validation_size or max(1, min(500, n_train // 10))


def _note_unseen(parts: _Parts, known: set[str], spec: DatasetSpec, notes: list[str]) -> None:
    for where, part in zip(("validation", "test"), (parts.validation, parts.test), strict=True):
        unseen = sorted({name for labels in part.documents.labels for name in labels} - known) if part else []
        if unseen:
            shown = ", ".join(unseen[:5]) + (", ..." if len(unseen) > 5 else "")
            notes.append(f"{spec.name}: {len(unseen)} labels of {where} that train never has were left out: {shown}")


def _require_something_to_measure(parts: _Parts, known: set[str], spec: DatasetSpec) -> None:
    if parts.validation is not None and not len(parts.validation.rows):
        raise UserError(
            f"dataset {spec.name}: its validation part holds no document: remove the part, and train gives some"
        )
    assert parts.test is not None
    if not any(known.intersection(labels) for labels in parts.test.documents.labels):
        raise UserError(
            f"dataset {spec.name}: none of the {len(parts.test.rows)} documents of test has a label that train has, so "
            "all scores would be 0: check the labels of test"
        )


def _encoded(part: _Part, names: list[str]) -> TextSet:
    return TextSet(part.documents.texts, encode_labels(part.documents.labels, names), part.rows)

"""What is made of a corpus before an experiment: checks, cuts, label space, encoding, statistics."""

import numpy as np
import pytest
from experiment_fakes import documents, raw_corpus

from small_text_comal.experiments.data.corpus import (
    LabeledTexts,
    RawCorpus,
    corpus_statistics,
    encode_labels,
    fingerprint,
)
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.prepare import prepare_corpus


def spec(**options):
    return DatasetSpec(loader="jsonl", path="toy", **options)


def decoded(part, names):
    return [[names[j] for j in row.nonzero()[1]] for row in part.y]


def test_encoding_agrees_with_a_plain_loop():
    labels = [["b", "a", "b"], [], ["z"], ["c"]]
    expected = np.zeros((4, 3), dtype=int)
    for i, names in enumerate(labels):
        for name in names:
            if name in "abc":
                expected[i, "abc".index(name)] = 1
    assert (encode_labels(labels, "abc").toarray() == expected).all()


def test_labels_and_rows_follow_the_texts():
    raw = raw_corpus()
    corpus = prepare_corpus(raw, spec(pool_size=20, validation_size=5))
    assert len(corpus.train) == 25
    for text, names, row in zip(
        corpus.train.texts, decoded(corpus.train, corpus.label_names), corpus.train.rows, strict=True
    ):
        assert raw.train.texts[row] == text
        assert sorted(raw.train.labels[row]) == names


def test_an_empty_text_is_an_error_or_dropped_with_a_note():
    raw = RawCorpus(LabeledTexts(["a", " ", "b"], [["x"], ["x"], ["y"]]), None, LabeledTexts(["c"], [["x"]]))
    with pytest.raises(ValueError, match=r"text of document 1 of train is empty \(1 in all\); .* drop_empty"):
        prepare_corpus(raw, spec())
    corpus = prepare_corpus(raw, spec(drop_empty=True))
    assert corpus.train.texts == ["a", "b"]
    assert corpus.train.rows.tolist() == [0, 2]
    assert "1 documents of train without text were dropped" in corpus.notes[0]


def test_a_label_that_train_never_has_is_left_out_with_a_note():
    raw = RawCorpus(LabeledTexts(["a", "b"], [["x"], ["y"]]), None, LabeledTexts(["c"], [["x", "new", "newer"]]))
    corpus = prepare_corpus(raw, spec())
    assert corpus.label_names == ("x", "y")
    assert decoded(corpus.test, corpus.label_names) == [["x"]]
    assert "2 labels of test that do not occur in train were left out: new, newer" in corpus.notes[0]


def test_rare_labels_and_unlabeled_documents():
    train = LabeledTexts(list("abcd"), [["x"], ["x", "rare"], ["rare2"], ["x"]])
    raw = RawCorpus(train, None, LabeledTexts(["e"], [["rare", "x"]]))
    corpus = prepare_corpus(raw, spec(min_label_count=2))
    assert corpus.label_names == ("x",)
    assert len(corpus.train) == 4
    assert len(prepare_corpus(raw, spec(min_label_count=2, drop_unlabeled=True)).train) == 3


def test_resplit_pools_all_documents_and_counts_labels_over_them():
    raw = RawCorpus(documents(30), documents(10, seed=2, prefix="valid"), documents(10, seed=1, prefix="test"))
    cut = spec(resplit=True, pool_size=20, validation_size=8, test_size=15)
    corpus = prepare_corpus(raw, cut)
    assert (len(corpus.train), corpus.validation, len(corpus.test)) == (28, None, 15)
    everything = raw.train.texts + raw.validation.texts + raw.test.texts
    assert not set(corpus.train.texts) & set(corpus.test.texts)
    assert {text.split()[0] for text in corpus.test.texts + corpus.train.texts} == {"text", "valid", "test"}
    assert [everything[row] for row in corpus.test.rows] == corpus.test.texts
    assert fingerprint(prepare_corpus(raw, cut)) == fingerprint(corpus)


def test_rows_of_a_new_split_count_dropped_documents():
    halves = (LabeledTexts(["", text], [[], ["x"]]) for text in ("t1", "t3"))
    raw = RawCorpus(*halves, documents(9, prefix="test"))
    everything = raw.train.texts + raw.validation.texts + raw.test.texts
    corpus = prepare_corpus(raw, spec(resplit=True, drop_empty=True, test_size=3))
    assert "2 documents of all parts without text were dropped" in corpus.notes[0]
    for part in (corpus.train, corpus.test):
        assert [everything[row] for row in part.rows] == part.texts


def test_an_empty_validation_part_is_an_error():
    raw = raw_corpus()._replace(validation=LabeledTexts([], []))
    with pytest.raises(ValueError, match="validation part is empty"):
        prepare_corpus(raw, spec())


@pytest.mark.parametrize("test", [LabeledTexts([], []), LabeledTexts(["a", "b"], [["new"], []])])
def test_a_test_set_without_any_label_of_train_is_an_error(test):
    raw = raw_corpus()._replace(test=test)
    with pytest.raises(ValueError, match=f"none of the {len(test.texts)} documents of test has a label that train has"):
        prepare_corpus(raw, spec())


def test_a_test_set_is_drawn_where_there_is_none():
    raw = RawCorpus(documents(30))
    with pytest.raises(ValueError, match="has no test part: set test_size"):
        prepare_corpus(raw, spec())
    with pytest.raises(ValueError, match="test_size 30 leaves nothing of 30"):
        prepare_corpus(raw, spec(test_size=30))
    corpus = prepare_corpus(raw, spec(test_size=10))
    assert sorted(corpus.train.texts + corpus.test.texts) == sorted(raw.train.texts)
    assert len(corpus.test) == 10


def test_own_validation_and_test_parts_are_cut():
    raw = RawCorpus(documents(30), documents(10, prefix="valid"), documents(10, prefix="test"))
    corpus = prepare_corpus(raw, spec(validation_size=4, test_size=3))
    assert (len(corpus.train), len(corpus.validation), len(corpus.test)) == (30, 4, 3)


def test_data_without_any_label():
    with pytest.raises(ValueError, match="no document of train has a label"):
        prepare_corpus(RawCorpus(LabeledTexts(["a"], [[]]), None, LabeledTexts(["b"], [["x"]])), spec())


def test_statistics_agree_with_a_plain_count():
    raw = raw_corpus()
    corpus = prepare_corpus(raw, spec())
    found = corpus_statistics(corpus, validation_size=10)
    labels = raw.train.labels + raw.test.labels
    assert (found.train, found.validation, found.test, found.labels) == (50, 10, 20, 4)
    assert found.mean_labels == pytest.approx(sum(map(len, labels)) / len(labels))
    assert found.mean_words == 2


def test_fingerprint_sees_texts_labels_and_parts():
    base = raw_corpus()
    prints = {fingerprint(prepare_corpus(base, spec()))}
    base.train.texts[3] += "!"
    prints.add(fingerprint(prepare_corpus(base, spec())))
    base.train.labels[3].append("label0" if "label0" not in base.train.labels[3] else "other")
    prints.add(fingerprint(prepare_corpus(base, spec())))
    prints.add(fingerprint(prepare_corpus(base._replace(validation=base.test), spec())))
    assert len(prints) == 4

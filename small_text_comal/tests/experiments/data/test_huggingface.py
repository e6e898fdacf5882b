"""Data sets of the Hugging Face hub."""

import pytest

from small_text_comal.experiments.data.loaders import load_raw_corpus
from small_text_comal.experiments.data.loaders.huggingface import SHORT_NAMES


def test_huggingface_folder_with_named_labels(tmp_path):
    datasets = pytest.importorskip("datasets")
    kind = datasets.Sequence(datasets.ClassLabel(names=["joy", "anger"]))
    features = datasets.Features({"text": datasets.Value("string"), "labels": kind})
    part = datasets.Dataset.from_dict({"text": ["a", "b"], "labels": [[1, 0], []]}, features=features)
    datasets.DatasetDict({"train": part, "validation": part, "test": part}).save_to_disk(str(tmp_path / "d"))
    raw = load_raw_corpus("hf", str(tmp_path / "d"), {})
    assert raw.train == (["a", "b"], [["anger", "joy"], []])
    assert raw.validation == raw.test == raw.train
    with pytest.raises(ValueError, match="no column 'topics' among"):
        load_raw_corpus("hf", str(tmp_path / "d"), {"label_column": "topics"})


def test_huggingface_parts_besides_the_three_are_not_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    parts = {name: datasets.Dataset.from_dict({"text": ["a"], "labels": [["x"]]}) for name in ("train", "dev", "test")}
    parts["unsupervised"] = datasets.Dataset.from_dict({"text": ["a"], "labels": [[-1]]})
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path))
    document = (["a"], [["x"]])
    assert load_raw_corpus("hf", str(tmp_path), {}) == (document, document, document)


def test_huggingface_single_part_in_another_format_is_train(tmp_path):
    datasets = pytest.importorskip("datasets")
    part = datasets.Dataset.from_dict({"text": ["a", "b"], "labels": [[3, 1], []]}).with_format("numpy")
    part.save_to_disk(str(tmp_path))
    assert load_raw_corpus("hf", str(tmp_path), {}) == ((["a", "b"], [["3", "1"], []]), None, None)


@pytest.mark.parametrize(
    ("kind", "texts", "labels", "message"),
    [
        (None, ["a"], ["cat"], "row 0: expected a list of label names in 'labels', got str"),
        ("single", ["a"], [1], "row 0: expected a list of label names in 'labels', got int"),
        ("list", ["a", "b"], [[0], [-1]], "train, row 1: expected label names, or numbers from 0, in 'labels', got -1"),
        (None, ["a", None], [["x"], ["y"]], "row 1: expected a string in 'text', got NoneType"),
        (None, ["a", "b"], [["x"], None], "row 1: expected a list of label names in 'labels', got NoneType"),
        (None, [["a", None]], [["x"]], "row 0: expected a string in 'text', got list"),
    ],
)
def test_huggingface_errors_name_the_row(tmp_path, kind, texts, labels, message):
    datasets = pytest.importorskip("datasets")
    part = datasets.Dataset.from_dict({"text": texts, "labels": labels})
    named = datasets.ClassLabel(names=["joy", "anger"])
    if kind:
        part = part.cast_column("labels", named if kind == "single" else datasets.Sequence(named))
    part.save_to_disk(str(tmp_path))
    with pytest.raises(ValueError, match=message):
        load_raw_corpus("hf", str(tmp_path), {})


@pytest.mark.parametrize("short", sorted(SHORT_NAMES))
def test_huggingface_short_names_ask_the_hub_for_the_right_data(monkeypatch, short):
    datasets = pytest.importorskip("datasets")
    asked = []
    part = datasets.Dataset.from_dict({"text": [["a", "b"]], "labels": [["x"]]})

    def load_dataset(*names):
        asked.append(names)
        return datasets.DatasetDict({"train": part})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert load_raw_corpus(short, None, {}).train == (["a\nb"], [["x"]])
    assert asked == [SHORT_NAMES[short]]

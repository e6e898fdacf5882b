"""What all formats share, JSON lines and CSV."""

import gzip
import json

import pytest

from small_text_comal.experiments.data.loaders import LOADERS, load_raw_corpus


def test_jsonl_folder_has_its_parts(tmp_path):
    for name, text in (("train", "ä b"), ("dev", "c"), ("test", "d")):
        line = json.dumps({"id": 1, "text": text, "labels": ["x", "y"]}, ensure_ascii=False)
        (tmp_path / f"{name}.jsonl").write_text(line + "\n\n", encoding="utf-8")
    raw = load_raw_corpus("jsonl", str(tmp_path), {})
    assert raw.train == (["ä b"], [["x", "y"]])
    assert raw.validation.texts == ["c"]
    assert raw.test.texts == ["d"]


def test_jsonl_file_alone_is_train_and_columns_can_be_named(tmp_path):
    file = tmp_path / "all.jsonl"
    file.write_text(json.dumps({"body": "a", "topics": [1]}) + "\n")
    raw = load_raw_corpus("JSONL", str(file), {"text_column": "body", "label_column": "topics"})
    assert raw == ((["a"], [["1"]]), None, None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: expected a JSON object, got list"),
        ('{"text": "a"}', "line 2: no 'labels' among"),
        ('{"text": 3, "labels": []}', "line 2: expected a string in 'text', got int"),
        ('{"text": "a", "labels": "x"}', "line 2: expected a list of label names"),
        ('{"text": "a", "labels": ["x", null]}', "line 2: expected label names, or numbers from 0, .* got None"),
        ('{"text": "a", "labels": [{"k": 1}]}', "line 2: expected label names, or numbers from 0, .* got {'k': 1}"),
        ('{"text": "a", "labels": [["x", "y"]]}', "line 2: expected label names, or numbers from 0, .* got .'x', 'y'."),
        ('{"text": "a", "labels": [-1]}', "line 2: expected label names, or numbers from 0, .* got -1"),
        ('{"text": "a \\ud800 b", "labels": []}', r"line 2: expected whole characters, got '.ud800'"),
        ('{"text": "a", "labels": ["\\udfff"]}', r"line 2: expected whole characters, got '.udfff'"),
    ],
)
def test_jsonl_errors_name_the_line(tmp_path, line, message):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "labels": []}\n' + line + "\n")
    with pytest.raises(ValueError, match=message):
        load_raw_corpus("jsonl", str(tmp_path), {})


def test_csv_with_quotes_line_ends_and_empty_label_cells(tmp_path):
    rows = '\ufefftext,labels\n"a, ""b""\nc",x; y\nd,\n'
    (tmp_path / "train.csv").write_text(rows, encoding="utf-8")
    raw = load_raw_corpus("csv", str(tmp_path), {})
    assert raw.train == (['a, "b"\nc', "d"], [["x", "y"], []])


def test_csv_separator_and_delimiter(tmp_path):
    (tmp_path / "train.csv").write_text("t\tl\na b\tx|y\n")
    options = {"text_column": "t", "label_column": "l", "separator": "|", "delimiter": "\t"}
    assert load_raw_corpus("csv", str(tmp_path), options).train == (["a b"], [["x", "y"]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,topics\na,b\n", "expected one column 'labels' in the header, got"),
        ("text,labels,labels\na,b,c\n", "expected one column 'labels' in the header, got"),
        ("text,labels\na\n", "line 2: expected 2 cells as in the header, got 1"),
        (
            "text,labels\n\nhello, world,cat\n",
            "line 3: expected 2 cells .* got 3: put a cell that holds ',' in double",
        ),
        (f"text,labels\n{'x' * 200_000},b\n", "train.csv, line 2: field larger than field limit"),
    ],
)
def test_csv_errors_name_the_file_and_the_line(tmp_path, content, message):
    (tmp_path / "train.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_raw_corpus("csv", str(tmp_path), {})


def test_csv_delimiter_is_one_character(tmp_path):
    (tmp_path / "train.csv").write_text("text,labels\n")
    with pytest.raises(ValueError, match="delimiter: expected one character, got '::'"):
        load_raw_corpus("csv", str(tmp_path), {"delimiter": "::"})


@pytest.mark.parametrize(
    ("loader", "options", "message"),
    [
        ("csv", {"delimiter": 5}, "option of format 'csv', delimiter: expected str, got 5"),
        ("rcv1", {"test_size": "10"}, "option of format 'rcv1', test_size: expected int, got '10'"),
        ("hf", {"subset": True}, "option of format 'hf', subset: expected str, got True"),
    ],
)
def test_options_are_of_the_type_of_their_defaults(tmp_path, loader, options, message):
    with pytest.raises(ValueError, match=message):
        load_raw_corpus(loader, str(tmp_path), options)


TEXT_FILES = {
    "csv": ("train.csv", "text,labels\nä,x\n"),
    "jsonl": ("train.jsonl", '{"text": "c", "labels": []}\n{"text": "ä", "labels": []}\n'),
    "justdance": ("justdance.csv", "id,text,Fun\nc1,ä,1\n"),
}


@pytest.mark.parametrize("loader", TEXT_FILES)
def test_what_is_not_utf8_is_named_with_its_file_and_line(tmp_path, loader):
    name, content = TEXT_FILES[loader]
    (tmp_path / name).write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=f"{name}, line 2: expected UTF-8, got byte 0xe4"):
        load_raw_corpus(loader, str(tmp_path), {})


def test_a_folder_of_packed_files_and_byte_order_marks(tmp_path):
    for name, text in (("train", "a"), ("dev", "b"), ("test", "c")):
        line = "\ufeff" + json.dumps({"text": text, "labels": ["x"]})
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(line.encode()))
    raw = load_raw_corpus("jsonl", str(tmp_path), {})
    assert raw == ((["a"], [["x"]]), (["b"], [["x"]]), (["c"], [["x"]]))


def test_unknown_names_suggest_the_nearest(tmp_path):
    with pytest.raises(
        ValueError, match=r"unknown dataset format or short name 'goemotion'. Did you mean 'goemotions'"
    ):
        load_raw_corpus("goemotion", None, {})
    with pytest.raises(ValueError, match="write aapd:PATH"):
        load_raw_corpus("aapd", None, {})
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        load_raw_corpus("aapd", str(tmp_path / "nowhere"), {})
    with pytest.raises(ValueError, match=r"unknown option .*'text_colum'. Did you mean 'text_column'"):
        load_raw_corpus("jsonl", str(tmp_path), {"text_colum": "x"})
    with pytest.raises(FileNotFoundError, match=r"expected train.jsonl in .* found \[\]"):
        load_raw_corpus("jsonl", str(tmp_path), {})
    assert {"jsonl", "csv", "hf", "aapd", "rcv1", "eurlex", "justdance", "reuters"} <= set(LOADERS)

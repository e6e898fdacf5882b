"""Every loader on a small file in the true format of its distribution."""

import bz2
import gzip
import json

import pytest

from small_text_comal.experiments.data.loaders import LOADERS, load_raw_corpus
from small_text_comal.experiments.data.loaders.huggingface import SHORT_NAMES


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
            "line 3: expected 2 cells .* got 3: a cell that holds ',' stands in double",
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


def test_aapd(tmp_path):
    for part, text in (("train", "the relation between pearson 's\nwe study\n"), ("val", "x\n"), ("test", "y\n")):
        (tmp_path / f"text_{part}").write_text(text)
        (tmp_path / f"label_{part}").write_text("cs.it math.it\ncs.lg\n"[: 14 if part != "train" else None])
    raw = load_raw_corpus("aapd", str(tmp_path), {})
    assert raw.train.labels == [["cs.it", "math.it"], ["cs.lg"]]
    assert raw.train.texts[0] == "the relation between pearson 's"
    assert raw.validation == (["x"], [["cs.it", "math.it"]])
    (tmp_path / "label_test").write_text("a\nb\n")
    with pytest.raises(ValueError, match=r"as many lines .* got 1 and 2"):
        load_raw_corpus("aapd", str(tmp_path), {})


def test_aapd_lines_end_at_a_line_feed_only_and_byte_order_marks_are_dropped(tmp_path):
    for part in ("train", "val", "test"):
        (tmp_path / f"text_{part}").write_bytes("\ufeffa\rb\x0cc\nd\r\n".encode())
        (tmp_path / f"label_{part}").write_bytes("\ufeffcs.it\ncs.lg\n".encode())
    raw = load_raw_corpus("aapd", str(tmp_path), {})
    assert raw.train == (["a\rb\x0cc", "d"], [["cs.it"], ["cs.lg"]])


def test_eurlex_plain_and_raw_names_and_unicode_separators(tmp_path):
    (tmp_path / "train_raw_texts.txt").write_text("a\u2028b c\nd\n", encoding="utf-8")
    (tmp_path / "train_labels.txt").write_text("agricultural_trade fruit_vegetable\n\n")
    (tmp_path / "test_texts.txt.gz").write_bytes(gzip.compress(b"e\n"))
    (tmp_path / "test_labels.txt.bz2").write_bytes(bz2.compress(b"tariff_quota\n"))
    raw = load_raw_corpus("eurlex", str(tmp_path), {})
    assert raw.train == (["a\u2028b c", "d"], [["agricultural_trade", "fruit_vegetable"], []])
    assert raw.test == (["e"], [["tariff_quota"]])


def test_justdance_takes_the_38_columns_behind_the_comment(tmp_path):
    file = tmp_path / "jd-dataset-topics-Human-Review.csv"
    names = [f"label{j}" for j in range(38)]
    first, last = ["1.0"] + ["0.0"] * 37, [""] * 37 + ["1"]
    rows = [["id", "originalText", *names, "Late"], ["c1", '"so, fun"', *first, "1"], ["c2", "hard", *last, "0.7"]]
    file.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")
    raw = load_raw_corpus("justdance", str(tmp_path), {})
    assert raw == ((["so, fun", "hard"], [["label0"], ["label37"]]), None, None)
    assert load_raw_corpus("justdance", str(file), {}) == raw


@pytest.mark.parametrize(
    ("content", "n_labels", "message"),
    [
        (
            "id,text,Fun\nc1,fun,1\n",
            38,
            "expected an id, the comment and 38 label columns, got 3 columns; .* set n_labels",
        ),
        ("id,text,Fun\nc1,fun,1\n", 0, "expected an id, the comment and 0 label columns"),
        ("id,text,Fun,Late\nc1,fun,1,0\nc2,hard,2,0\n", 2, "line 3: expected 0, 1 or nothing in .* 'Fun', got '2'"),
        ("id,text,Fun\nc1,fun\n", 1, "line 2: expected 3 cells"),
    ],
)
def test_justdance_errors(tmp_path, content, n_labels, message):
    (tmp_path / "justdance.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_raw_corpus("justdance", str(tmp_path), {"n_labels": n_labels})


def write_rcv1(folder, n_test=24):
    train = ".I 2286\n.W\nrecov recov recov excit\nexcit bring\n\n.I 2287\n.W\nmexic\n\n"
    (folder / "lyrl2004_tokens_train.dat").write_text(train)
    for part in range(2):
        numbers = range(3000 + part, 3000 + n_test, 2)
        entries = "".join(f".I {number}\n.W\ntoken{number}\n\n" for number in numbers)
        (folder / f"lyrl2004_tokens_test_pt{part}.dat.gz").write_bytes(gzip.compress(entries.encode()))
    topics = "E11 2286 1\nECAT 2286 1\nM11 2287 1\n" + "".join(f"GCAT {n} 1\n" for n in range(3000, 3000 + n_test))
    (folder / "rcv1-v2.topics.qrels").write_text(topics)


def test_rcv1_train_and_disjoint_draws_of_the_test_files(tmp_path):
    write_rcv1(tmp_path)
    options = {"validation_size": 5, "test_size": 10}
    raw = load_raw_corpus("rcv1", str(tmp_path), options)
    assert raw.train == (["recov excit bring", "mexic"], [["E11", "ECAT"], ["M11"]])
    assert (len(raw.validation.texts), len(raw.test.texts)) == (5, 10)
    assert not set(raw.validation.texts) & set(raw.test.texts)
    assert load_raw_corpus("rcv1", str(tmp_path), options) == raw
    assert load_raw_corpus("rcv1", str(tmp_path), {**options, "seed": 1}) != raw


def test_rcv1_with_fewer_documents_than_asked_keeps_the_proportion(tmp_path):
    write_rcv1(tmp_path)
    raw = load_raw_corpus("rcv1", str(tmp_path), {"validation_size": 20, "test_size": 100})
    assert (len(raw.validation.texts), len(raw.test.texts)) == (4, 20)


@pytest.mark.parametrize("size", ["validation_size", "test_size"])
def test_rcv1_sizes_start_at_one(tmp_path, size):
    write_rcv1(tmp_path)
    with pytest.raises(ValueError, match="validation_size, test_size: expected integers >= 1, got"):
        load_raw_corpus("rcv1", str(tmp_path), {size: 0})


def test_rcv1_document_without_topic(tmp_path):
    write_rcv1(tmp_path)
    (tmp_path / "rcv1-v2.topics.qrels").write_text("E11 2286 1\n")
    with pytest.raises(ValueError, match="document 2287 has no line"):
        load_raw_corpus("rcv1", str(tmp_path), {})


REUTERS = """<!DOCTYPE lewis SYSTEM "lewis.dtd">
<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" CGISPLIT="TRAINING-SET" OLDID="5544" NEWID="1">
<DATE>26-FEB-1987 15:01:01.79</DATE>
<TOPICS><D>cocoa</D><D>grain</D></TOPICS>
<PLACES><D>el-salvador</D></PLACES>
<TEXT>&#2;
<TITLE>BAHIA COCOA &amp; REVIEW</TITLE>
<DATELINE>    SALVADOR, Feb 26 - </DATELINE><BODY>Showers continued
throughout &lt;CRA>. Reuter
&#3;</BODY></TEXT>
</REUTERS>
<REUTERS TOPICS="YES" LEWISSPLIT="TEST" CGISPLIT="TRAINING-SET" OLDID="2" NEWID="2">
<TOPICS><D>cocoa</D><D>platinum</D></TOPICS>
<TEXT TYPE="UNPROC">&#2; only this &#3;</TEXT>
</REUTERS>
<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" OLDID="3" NEWID="3"><TOPICS><D>wheat</D></TOPICS>
<TEXT><TITLE>X</TITLE><BODY>y</BODY></TEXT></REUTERS>
<REUTERS TOPICS="YES" LEWISSPLIT="NOT-USED" OLDID="4" NEWID="4"><TOPICS><D>cocoa</D></TOPICS>
<TEXT><TITLE>X</TITLE></TEXT></REUTERS>
<REUTERS TOPICS="NO" LEWISSPLIT="TRAIN" OLDID="5" NEWID="5"><TOPICS><D>cocoa</D></TOPICS>
<TEXT><TITLE>X</TITLE></TEXT></REUTERS>
<REUTERS TOPICS="YES" LEWISSPLIT="TRAIN" OLDID="6" NEWID="6"><TOPICS></TOPICS>
<TEXT><TITLE>X</TITLE></TEXT></REUTERS>
"""


def test_reuters_modapte(tmp_path):
    (tmp_path / "reut2-000.sgm").write_text(REUTERS, encoding="latin-1")
    raw = load_raw_corpus("reuters", str(tmp_path), {})
    assert raw.train == (["BAHIA COCOA & REVIEW Showers continued throughout <CRA>. Reuter"], [["cocoa"]])
    assert raw.test == (["only this"], [["cocoa"]])
    with pytest.raises(FileNotFoundError, match=r"no .sgm file"):
        load_raw_corpus("reuters", str(tmp_path.parent), {})


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

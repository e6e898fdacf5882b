"""Every loader on a small file in the true format of its distribution."""

import bz2
import gzip
import json

import pytest

from small_text_comal.experiments.loaders import load_raw_corpus, loader_names
from small_text_comal.experiments.loaders.huggingface import SHORT_NAMES


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


def test_csv_errors(tmp_path):
    (tmp_path / "train.csv").write_text("text,topics\na,b\n")
    with pytest.raises(ValueError, match="no column 'labels' in the header"):
        load_raw_corpus("csv", str(tmp_path), {})
    (tmp_path / "train.csv").write_text("text,labels\na\n")
    with pytest.raises(ValueError, match="line 2: fewer cells"):
        load_raw_corpus("csv", str(tmp_path), {})


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


def test_eurlex_plain_and_raw_names_and_unicode_separators(tmp_path):
    (tmp_path / "train_raw_texts.txt").write_text("a\u2028b c\nd\n", encoding="utf-8")
    (tmp_path / "train_labels.txt").write_text("agricultural_trade fruit_vegetable\n\n")
    (tmp_path / "test_texts.txt.gz").write_bytes(gzip.compress(b"e\n"))
    (tmp_path / "test_labels.txt.bz2").write_bytes(bz2.compress(b"tariff_quota\n"))
    raw = load_raw_corpus("eurlex", str(tmp_path), {})
    assert raw.train == (["a\u2028b c", "d"], [["agricultural_trade", "fruit_vegetable"], []])
    assert raw.test == (["e"], [["tariff_quota"]])


def test_justdance_takes_the_01_columns_behind_the_comment(tmp_path):
    file = tmp_path / "jd-dataset-topics-Human-Review.csv"
    rows = ["id,originalText,Learnability,Fun,Score,Late", 'c1,"so, fun",0.0,1.0,0.7,1', "c2,hard,1.0,,0.1,0"]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    raw = load_raw_corpus("justdance", str(tmp_path), {})
    assert raw == ((["so, fun", "hard"], [["Fun"], ["Learnability"]]), None, None)
    assert load_raw_corpus("justdance", str(file), {}) == raw


def test_justdance_errors(tmp_path):
    file = tmp_path / "justdance.csv"
    file.write_text("id,text,Score\nc1,fun,0.7\n")
    with pytest.raises(ValueError, match="expected columns of 0 and 1"):
        load_raw_corpus("justdance", str(tmp_path), {})
    file.write_text("id,text,Fun\nc1,fun\n")
    with pytest.raises(ValueError, match="line 2: expected 3 cells"):
        load_raw_corpus("justdance", str(tmp_path), {})


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
    assert {"jsonl", "csv", "hf", "aapd", "rcv1", "eurlex", "justdance", "reuters"} <= set(loader_names())

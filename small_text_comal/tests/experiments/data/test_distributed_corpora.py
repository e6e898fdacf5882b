"""Published corpora, in small files of the true format of their distribution."""

import bz2
import gzip

import pytest

from small_text_comal.experiments.data.loaders import load_raw_corpus


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

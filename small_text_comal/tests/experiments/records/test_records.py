"""Records outlive kills and full disks."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from experiment_fakes import run_record

from small_text_comal.experiments.records import records
from small_text_comal.experiments.records.records import RecordFile, RecordsError, fault, read_records

ROUNDS = [run_record(number) for number in range(3)]
LINES = [json.dumps(record) + "\n" for record in ROUNDS]

# loaded alone: a whole package would import torch, seconds for each of the processes that are killed here
LOAD = """
import importlib.util, json, os, signal, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("records", sys.argv[1])
records = importlib.util.module_from_spec(spec)
spec.loader.exec_module(records)
file = records.RecordFile(Path(sys.argv[2]))
rounds = json.loads(sys.argv[3])
"""


def run_python(code: str, path: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", LOAD + code, str(records.__file__), str(path), json.dumps(ROUNDS)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_is_appended_is_read(tmp_path):
    file = RecordFile(tmp_path / "a" / "b.jsonl")
    written = [run_record(number, dataset="ä\u2028\n") for number in range(2)]
    for record in written:
        file.append(record)
    found = read_records(tmp_path / "a" / "b.jsonl")
    assert found.records == file.records == written
    assert found.note is None
    assert (tmp_path / "a" / "b.jsonl").read_bytes().count(b"\n") == 2


def test_a_missing_file_has_no_records(tmp_path):
    assert read_records(tmp_path / "none.jsonl") == ([], 0, None)


@pytest.mark.parametrize("torn", [b"{", b'{"round": 1, "que', b'{"round": 1}', b'{"round": "\xc3'])
def test_a_half_written_line_is_dropped_with_a_note_and_overwritten(tmp_path, torn):
    path = tmp_path / "r.jsonl"
    path.write_bytes(LINES[0].encode() + torn)
    file = RecordFile(path)
    assert file.records == ROUNDS[:1]
    assert f"the last {len(torn)} bytes were a half-written record" in file.note
    file.append(ROUNDS[1])
    assert path.read_text() == "".join(LINES[:2])


def test_a_damaged_whole_line_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(LINES[0] + '{"rou\n' + LINES[2])
    with pytest.raises(RecordsError, match="line 2 is damaged: expected a record, got"):
        read_records(path)
    path.write_text("[1]\n")
    with pytest.raises(RecordsError, match="line 1 is damaged"):
        RecordFile(path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([0, 2], "line 2 is damaged: expected round 1, got 2"),
        ([1, 2], "line 1 is damaged: expected round 0, got 1"),
        ([0, 1, 1], "line 3 is damaged: expected round 2, got 1"),
        ([0, 2, 1], "line 2 is damaged: expected round 1, got 2"),
    ],
)
def test_lines_that_are_missing_doubled_or_swapped_are_an_error(tmp_path, lines, message):
    path = tmp_path / "r.jsonl"
    path.write_text("".join(LINES[number] for number in lines))
    with pytest.raises(RecordsError, match=message):
        read_records(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategy": "MMC"}, "expected strategy 's' as in line 1, got 'MMC'"),
        ({"seed": 7}, "expected seed 0 as in line 1, got 7"),
        ({"config": "x"}, "expected config 'c' as in line 1, got 'x'"),
        ({"metrics": None}, "expected metrics as dict, got None"),
        ({"metrics": {}}, "expected metrics ['micro_f1'] as in line 1, got []"),
        ({"labels": 5}, "expected 4 labels, as queried in the lines before, got 5"),
        ({"queried": [9, 1]}, "expected queried documents without a label"),
        ({"queried": [9, 9]}, "expected queried documents without a label"),
    ],
)
def test_a_record_of_another_run_or_with_other_labels_is_a_fault(change, message):
    assert fault(run_record(1), ROUNDS[:1]) is None
    assert message in fault(run_record(1, **change), ROUNDS[:1])


def test_the_first_record_needs_the_first_labels():
    first = {name: value for name, value in run_record(0).items() if name != "initial"}
    assert fault(first, []) == "expected initial as list, got None"


def test_a_record_that_is_not_json_leaves_the_file_alone(tmp_path):
    file = RecordFile(tmp_path / "r.jsonl")
    file.append(ROUNDS[0])
    with pytest.raises(ValueError, match="JSON compliant"):
        file.append({"score": float("nan")})
    assert read_records(file.path).records == ROUNDS[:1]


KILLED_IN_THE_WRITE = """
file.append(rounds[0])
write = os.write
def half(descriptor, line):
    write(descriptor, line[: len(line) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
records.os.write = half
file.append(rounds[1])
"""


def test_a_kill_in_the_middle_of_a_write(tmp_path):
    path = tmp_path / "r.jsonl"
    ended = run_python(KILLED_IN_THE_WRITE, path)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not path.read_bytes().endswith(b"\n")
    file = RecordFile(path)
    assert file.records == ROUNDS[:1]
    file.append(ROUNDS[1])
    assert [json.loads(line) for line in path.read_text().splitlines()] == ROUNDS[:2]


FULL_DISK = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
file.append(rounds[0])
try:
    file.append(rounds[1])
except records.RecordsError as error:
    print(error)
"""


def test_a_disk_that_fills_up_keeps_the_records_so_far(tmp_path):
    pytest.importorskip("resource")
    path = tmp_path / "r.jsonl"
    ended = run_python(FULL_DISK, path)
    assert "Its 1 records are whole; free some space and run the same command again" in ended.stdout, ended.stderr
    assert path.read_text() == LINES[0]
    RecordFile(path).append(ROUNDS[1])
    assert len(read_records(path).records) == 2

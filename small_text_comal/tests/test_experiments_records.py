"""Records outlive kills and full disks."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from small_text_comal.experiments import records
from small_text_comal.experiments.records import RecordFile, RecordsError, read_records

# loaded alone: a whole package would import torch, seconds for each of the processes that are killed here
LOAD = """
import importlib.util, os, signal, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("records", sys.argv[1])
records = importlib.util.module_from_spec(spec)
spec.loader.exec_module(records)
file = records.RecordFile(Path(sys.argv[2]))
"""


def run_python(code: str, path: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", LOAD + code, str(records.__file__), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_is_appended_is_read(tmp_path):
    file = RecordFile(tmp_path / "a" / "b.jsonl")
    file.append({"round": 0, "name": "ä\u2028\n"})
    file.append({"round": 1, "queried": [3, 1]})
    found = read_records(tmp_path / "a" / "b.jsonl")
    assert found.records == file.records == [{"round": 0, "name": "ä\u2028\n"}, {"round": 1, "queried": [3, 1]}]
    assert found.note is None
    assert (tmp_path / "a" / "b.jsonl").read_bytes().count(b"\n") == 2


def test_a_missing_file_has_no_records(tmp_path):
    assert read_records(tmp_path / "none.jsonl") == ([], 0, None)


@pytest.mark.parametrize("torn", [b"{", b'{"round": 1, "que', b'{"round": 1}', b'{"round": "\xc3'])
def test_a_half_written_line_is_dropped_with_a_note_and_overwritten(tmp_path, torn):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"round": 0}\n' + torn)
    file = RecordFile(path)
    assert file.records == [{"round": 0}]
    assert f"the last {len(torn)} bytes were a half-written record" in file.note
    file.append({"round": 1})
    assert path.read_text() == '{"round": 0}\n{"round": 1}\n'


def test_a_damaged_whole_line_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"round": 0}\n{"rou\n{"round": 2}\n')
    with pytest.raises(RecordsError, match="line 2 is damaged: expected a record, got"):
        read_records(path)
    path.write_text("[1]\n")
    with pytest.raises(RecordsError, match="line 1 is damaged"):
        RecordFile(path)


def test_a_record_that_is_not_json_leaves_the_file_alone(tmp_path):
    file = RecordFile(tmp_path / "r.jsonl")
    file.append({"round": 0})
    with pytest.raises(ValueError, match="JSON compliant"):
        file.append({"score": float("nan")})
    assert read_records(file.path).records == [{"round": 0}]


KILLED_IN_THE_WRITE = """
file.append({"round": 0})
write = os.write
def half(descriptor, line):
    write(descriptor, line[: len(line) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
records.os.write = half
file.append({"round": 1, "queried": list(range(100))})
"""


def test_a_kill_in_the_middle_of_a_write(tmp_path):
    path = tmp_path / "r.jsonl"
    ended = run_python(KILLED_IN_THE_WRITE, path)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not path.read_bytes().endswith(b"\n")
    file = RecordFile(path)
    assert file.records == [{"round": 0}]
    file.append({"round": 1})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"round": 0}, {"round": 1}]


FULL_DISK = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
file.append({"round": 0})
try:
    file.append({"round": 1, "queried": list(range(100))})
except records.RecordsError as error:
    print(error)
"""


def test_a_disk_that_fills_up_keeps_the_records_so_far(tmp_path):
    pytest.importorskip("resource")
    path = tmp_path / "r.jsonl"
    ended = run_python(FULL_DISK, path)
    assert "Its 1 records are whole; make room and run the same command again" in ended.stdout, ended.stderr
    assert path.read_text() == '{"round": 0}\n'
    RecordFile(path).append({"round": 1})
    assert len(read_records(path).records) == 2

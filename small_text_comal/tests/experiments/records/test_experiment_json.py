"""The description of an output folder, which several commands may write."""

from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("filelock")

from filelock import FileLock

from small_text_comal.experiments.records.experiment_json import add_to_description, read_description
from small_text_comal.experiments.records.records import RecordsError
from small_text_comal.experiments.running import run as run_module


def test_data_sets_and_skipped_strategies_of_earlier_sessions_stay(tmp_path):
    assert read_description(tmp_path / "out") == {}
    add_to_description(tmp_path / "out", {"a": 1, "b": 2}, {"BADGE": "x"})
    add_to_description(tmp_path / "out", {"b": 3}, {"SEALS": "y"})
    found = read_description(tmp_path / "out")
    assert (found["datasets"], found["skipped"]) == ({"a": 1, "b": 3}, {"BADGE": "x", "SEALS": "y"})


def test_nothing_is_lost_when_several_write(tmp_path):
    names = [f"d{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: add_to_description(tmp_path, {name: 1}, {}), names))
    assert set(read_description(tmp_path)["datasets"]) == set(names)


def test_a_writer_that_does_not_end_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "_LOCK_WAIT", 0.1)
    with FileLock(tmp_path / "experiment.lock"), pytest.raises(RecordsError, match=r"is writing .*experiment\.json"):
        add_to_description(tmp_path, {}, {})


@pytest.mark.parametrize("content", ["{", "[1]", ""])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "experiment.json").write_text(content)
    with pytest.raises(RecordsError, match=r"experiment\.json is damaged: .* Remove it: compare writes it anew"):
        read_description(tmp_path)

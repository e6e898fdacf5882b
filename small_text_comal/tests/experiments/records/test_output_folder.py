"""What lies in an output folder, and whether records belong to settings."""

from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("filelock")

from experiment_fakes import run_record, write_run
from filelock import FileLock

from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.records import only_writer as only_writer_module
from small_text_comal.experiments.records.output_folder import OutputFolder
from small_text_comal.experiments.records.plan import Run
from small_text_comal.experiments.records.records import RecordsError
from small_text_comal.experiments.records.run_settings import RunSettings

RUN = Run("d", "CoMAL", 0)
SETTINGS = RunSettings("d", {"query_size": 5})


@pytest.fixture
def folder(tmp_path):
    """One run with two rounds, described."""
    write_run(tmp_path, RUN, [0.1, 0.2], config=SETTINGS.hash)
    folder = OutputFolder(tmp_path)
    folder.describe({"d": {"hash": SETTINGS.hash, "settings": SETTINGS.values}}, {})
    return folder


def test_records_of_these_settings_are_read_and_continued(folder):
    folder.check(SETTINGS)
    assert len(folder.records(RUN, SETTINGS.hash)) == 2
    assert folder.records(Run("d", "CoMAL", 1), SETTINGS.hash) == []
    same = {"config": SETTINGS.hash, "dataset": "d", "strategy": "CoMAL"}
    with folder.writing(RUN, SETTINGS.hash) as file:
        file.append(run_record(2, first=100, step=50, metrics={"micro_f1": 0.5, "p@1": 0.2}, **same))
    assert [record["labels"] for record in folder.records(RUN, SETTINGS.hash)] == [100, 150, 200]


def test_records_of_other_settings_are_refused_everywhere(folder):
    other = RunSettings("d", {"query_size": 6})
    with pytest.raises(RecordsError, match=r"another config of d \(query_size: 5 -> 6\): choose another output folder"):
        folder.check(other)
    with pytest.raises(RecordsError, match=r"recorded with another config \(query_size: 5 -> 6\).* read from here\)"):
        folder.check_unchanged(other, source="here")
    with pytest.raises(RecordsError, match=f"another config .hash {SETTINGS.hash}, this one has {other.hash}"):
        folder.records(RUN, other.hash)
    with pytest.raises(RecordsError, match="another config"), folder.writing(RUN, other.hash):
        pytest.fail("the file was opened")
    folder.check(RunSettings("another data set", {}))


def test_without_a_description_the_hashes_are_named(folder):
    (folder.path / "experiment.json").unlink()
    with pytest.raises(RecordsError, match=rf"another config of d \(hash: {SETTINGS.hash} -> "):
        folder.check(RunSettings("d", {"query_size": 6}))


def test_an_unknown_data_set_suggests_the_nearest(folder):
    assert folder.described("D")["hash"] == SETTINGS.hash
    with pytest.raises(UserError, match="unknown dataset 'e'"):
        folder.described("e")


def test_data_sets_and_skipped_strategies_of_earlier_sessions_stay(tmp_path):
    folder = OutputFolder(tmp_path / "out")
    assert folder.description() == {"datasets": {}, "skipped": {}}
    folder.describe({"a": 1, "b": 2}, {"BADGE": "x"})
    folder.describe({"b": 3}, {"SEALS": "y"})
    found = folder.description()
    assert (found["datasets"], found["skipped"]) == ({"a": 1, "b": 3}, {"BADGE": "x", "SEALS": "y"})


def test_nothing_is_lost_when_several_write(tmp_path):
    names = [f"d{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: OutputFolder(tmp_path).describe({name: 1}, {}), names))
    assert set(OutputFolder(tmp_path).description()["datasets"]) == set(names)


def test_a_writer_that_does_not_end_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(only_writer_module, "_WAIT", 0.1)
    with FileLock(tmp_path / "experiment.lock"), pytest.raises(RecordsError, match=r"is writing .*experiment\.json"):
        OutputFolder(tmp_path).describe({}, {})


@pytest.mark.parametrize("content", ["{", "[1]", ""])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "experiment.json").write_text(content)
    with pytest.raises(RecordsError, match=r"experiment\.json is damaged: .* Remove it: compare writes a new one"):
        OutputFolder(tmp_path).description()

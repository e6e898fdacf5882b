"""A whole comparison without a model: checks, side by side, resume, refusals."""

import json

import numpy as np
import pytest

pytest.importorskip("filelock")

from experiment_fakes import FakeLearner, documents, records_of, run_comparison, write_jsonl

from small_text_comal.experiments.records import only_writer as only_writer_module
from small_text_comal.experiments.records.plan import Run
from small_text_comal.experiments.records.records import RecordsError
from small_text_comal.experiments.running import experiment as experiment_module
from small_text_comal.experiments.running import run as run_module

pytestmark = pytest.mark.filterwarnings("ignore:.*is experimental")


def test_every_run_is_recorded_and_described(made, settings, tmp_path):
    compared, said = run_comparison(settings)
    assert len(compared.finished) == 6
    assert compared.failed == {}
    for strategy in ("CoMAL", "RandomSampling"):
        assert [record["labels"] for record in records_of(settings, strategy, 1)] == [8, 14, 20, 26]
    assert [record["labels"] for record in records_of(settings, "full data")] == [50]
    record = records_of(settings)[0]
    assert {"config", "versions", "device", "threads", "seed", "strategy", "round"} < set(record)
    described = json.loads((tmp_path / "out" / "experiment.json").read_text())["datasets"]["toy"]
    assert described["hash"] == record["config"]
    assert described["statistics"]["labels"] == 4
    assert any("labels/doc" in line for line in said)


def test_strategies_of_a_seed_share_their_first_labels_and_seeds_do_not(made, settings):
    run_comparison(settings)
    first = {(s, k): records_of(settings, s, k)[0]["initial"] for s in ("CoMAL", "RandomSampling") for k in (0, 1)}
    assert first["CoMAL", 0] == first["RandomSampling", 0] != first["CoMAL", 1] == first["RandomSampling", 1]


def test_a_finished_comparison_does_nothing_and_can_be_extended(made, settings):
    run_comparison(settings)
    made.clear()
    _, said = run_comparison(settings)
    assert made == []
    assert "6 runs: 6 already finished, 0 to resume, 0 to start" in said
    _, said = run_comparison(settings, rounds=4, seeds=[0, 1, 2], strategies=["CoMAL", "Random", "MMC"])
    assert "12 runs: 2 already finished, 4 to resume, 6 to start" in said
    assert len(records_of(settings)) == 5


def test_a_changed_config_refuses_to_mix(made, settings, tmp_path):
    run_comparison(settings)
    with pytest.raises(RecordsError, match=r"another config of toy \(query_size: 6 -> 5\): choose another output"):
        run_comparison(settings, query_size=5)
    train = tmp_path / "toy" / "train.jsonl"
    train.write_text(train.read_text().replace("text 5", "text V"))
    with pytest.raises(RecordsError, match=r"another config of toy \(data: "):
        run_comparison(settings)
    (tmp_path / "out" / "experiment.json").unlink()
    with pytest.raises(RecordsError, match="holds records of another config"):
        run_comparison(settings)


def test_a_changed_config_is_seen_in_the_records_of_other_strategies_too(made, settings):
    named = [{**settings["datasets"][0], "name": "my data"}]
    run_comparison(settings, datasets=named)
    with pytest.raises(RecordsError, match=r"another config of my data \(query_size: 6 -> 5\)"):
        run_comparison(settings, datasets=named, query_size=5, strategies=["MMC"], full_data=False)


def test_a_refused_config_does_not_lock_out_the_right_one(made, settings, tmp_path):
    run_comparison(settings)
    (tmp_path / "out" / "experiment.json").unlink()
    with pytest.raises(RecordsError, match=r"another config of toy \(hash: "):
        run_comparison(settings, query_size=5)
    assert len(run_comparison(settings)[0].finished) == 6


def test_records_of_another_run_are_refused(made, settings, tmp_path):
    run_comparison(settings)
    first, second = (tmp_path / "out" / Run("toy", "CoMAL", seed).file for seed in (0, 1))
    second.write_bytes(first.read_bytes())
    (tmp_path / "out" / "experiment.json").unlink()
    with pytest.raises(RecordsError, match="holds records of toy / CoMAL / seed 0, expected toy / CoMAL / seed 1"):
        run_comparison(settings)
    assert not (tmp_path / "out" / "experiment.json").exists()


def test_a_failing_run_does_not_take_others_with_it(made, settings, monkeypatch, tmp_path):
    def sometimes(corpus, split, config, *, spec, strategy):
        return FakeLearner(len(split.pool), split.test.y.shape, fail_at=2 if strategy.name == "CoMAL" else None)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "SmallTextLearner", sometimes)
        compared, _ = run_comparison(settings)
    assert set(compared.failed) == {Run("toy", "CoMAL", 0), Run("toy", "CoMAL", 1)}
    assert "told to fail" in compared.failed[Run("toy", "CoMAL", 0)]
    error_file = tmp_path / "out" / "records" / "toy" / "CoMAL" / "seed-0.error.txt"
    assert "Traceback" in error_file.read_text()
    assert len(records_of(settings)) == 2
    compared, _ = run_comparison(settings)
    assert compared.failed == {}
    assert len(records_of(settings)) == 4
    assert not error_file.exists()


def test_a_torn_record_gives_the_same_indices_in_the_end(made, settings, tmp_path):
    run_comparison(settings)
    path = tmp_path / "out" / Run("toy", "CoMAL", 0).file
    whole = [record["queried"] for record in records_of(settings)]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:40])
    run_comparison(settings)
    assert [record["queried"] for record in records_of(settings)] == whole


def test_data_that_was_changed_is_read_again(made, settings, tmp_path):
    run_comparison(settings)
    train = tmp_path / "toy" / "train.jsonl"
    train.write_text(train.read_text().replace("text 5", "text V"))
    compared, _ = run_comparison(settings, output=str(tmp_path / "other"))
    assert compared.failed == {}


def test_a_run_that_another_process_writes_is_left_alone(made, settings, monkeypatch, tmp_path):
    from filelock import FileLock

    monkeypatch.setattr(only_writer_module, "_WAIT", 0.1)
    path = tmp_path / "out" / Run("toy", "CoMAL", 0).file
    path.parent.mkdir(parents=True)
    with FileLock(path.with_suffix(".lock")):
        compared, _ = run_comparison(settings)
    assert "another process is writing" in compared.failed[Run("toy", "CoMAL", 0)]
    assert len(compared.finished) == 5


def test_strategies_that_cannot_run_are_named_with_the_reason(made, settings, tmp_path):
    compared, said = run_comparison(settings, strategies=["Random", "BADGE"])
    assert "restricts it to single-label data" in compared.skipped["BADGE"]
    assert any(line.startswith("strategy BADGE is skipped: ") for line in said)
    assert "BADGE" in json.loads((tmp_path / "out" / "experiment.json").read_text())["skipped"]


def test_a_dataset_can_have_strategies_and_seeds_of_its_own(made, settings):
    own = {**settings["datasets"][0], "strategies": ["MMC"], "seeds": [7]}
    compared, _ = run_comparison(settings, datasets=[own], full_data=False)
    assert compared.finished == [Run("toy", "MMC", 7)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategies": ["CoMAAL"]}, "unknown strategy 'CoMAAL'. Did you mean 'CoMAL'?"),
        (
            {"strategies": ["Random", "CoMAL(gamma=5)"]},
            "strategy CoMAL(gamma=5): gamma: expected a number within [0, 1]",
        ),
        ({"strategies": ["CoMAL(gama=1)"]}, "strategy CoMAL(gama=1): "),
        ({"encoder": {"model": "/no/where"}}, "encoder '/no/where': expected a folder or a name on the hub"),
        ({"metrics": ["p@9"]}, "metrics: toy has 4 labels, expected a metric with k up to that"),
        ({"initial_size": 45}, "dataset toy, seed 0: a pool of 50 documents is smaller than initial_size 45"),
        ({"cache_folder": "$NOT_SET/x"}, "cache_folder: an environment variable in '$NOT_SET/x' is not set"),
        ({"device": "cuda:77"}, "device 'cuda:77': expected auto, cpu or a GPU of this machine"),
        ({"initial_size": 1, "min_per_label": 2}, "dataset toy, seed 0: n_samples=1 cannot hold 2 positive(s)"),
    ],
)
def test_bad_input_fails_before_anything_is_trained(made, settings, changes, message):
    with pytest.raises(ValueError) as error:
        run_comparison(settings, **changes)
    assert message in str(error.value)
    assert made == []


def test_layers_that_the_encoder_does_not_have_fail_before_anything_is_trained(made, settings):
    too_deep = {**settings["encoder"], "frozen_layers": 3}
    with pytest.raises(ValueError, match=r"frozen_layers: expected at most the 2 layers of .*encoder, got 3"):
        run_comparison(settings, encoder=too_deep)
    assert made == []
    assert run_comparison(settings, encoder={**settings["encoder"], "frozen_layers": 2})[0].failed == {}


def test_a_finished_comparison_needs_its_encoder_no_more(made, settings, tmp_path):
    run_comparison(settings)
    (tmp_path / "encoder" / "config.json").unlink()
    assert len(run_comparison(settings)[0].finished) == 6


@pytest.mark.parametrize("name", ["数据", "..", ".", " "])
def test_a_name_that_no_file_can_have_is_refused(made, settings, name):
    with pytest.raises(ValueError, match=rf"name '{name}': expected a letter or digit"):
        run_comparison(settings, datasets=[{**settings["datasets"][0], "name": name}])


def test_names_with_the_same_file_are_refused(made, settings):
    with pytest.raises(ValueError, match="a b / CoMAL / seed 0 and a-b / CoMAL / seed 0 would share the file"):
        run_comparison(settings, datasets=[{**settings["datasets"][0], "name": name} for name in ("a b", "a-b")])
    assert made == []


def test_what_is_named_twice_is_run_once(made, settings):
    compared, said = run_comparison(settings, seeds=[0, 0], strategies=["Random", "RandomSampling"], full_data=False)
    assert compared.finished == [Run("toy", "RandomSampling", 0)]
    assert any(line.startswith("1 runs:") for line in said)


def test_metrics_that_a_data_set_cannot_have_are_noted(made, settings, tmp_path):
    _, said = run_comparison(settings, metrics=["p@1", "p@5", "ndcg@9"])
    assert "toy has 4 labels: p@5, ndcg@9 cannot be measured on it" in said
    assert set(records_of(settings)[0]["metrics"]) == {"p@1"}


def test_no_more_processes_are_started_than_there_are_runs(made, settings, monkeypatch):
    asked = {}

    def side_by_side(function, tasks, *, jobs, **how):
        asked.update(jobs=jobs, threads=[task.threads for (task,) in tasks])
        return [function(*task) for task in tasks]

    monkeypatch.setattr(experiment_module, "run_side_by_side", side_by_side)
    monkeypatch.setattr(experiment_module.os, "cpu_count", lambda: 8)
    run_comparison(settings, threads=0, seeds=[0], full_data=False, jobs=5)
    assert asked == {"jobs": 2, "threads": [4, 4]}


def test_notes_on_the_data_are_said(made, settings, tmp_path):
    found = documents(20, seed=1)
    found.labels[3].append("never in train")
    write_jsonl(tmp_path / "toy" / "test.jsonl", found)
    _, said = run_comparison(settings, rounds=30)
    assert any("labels of test that do not occur in train were left out: never in train" in line for line in said)
    assert any("the pool is empty after 7 of 30 rounds" in line for line in said)
    assert [record["labels"] for record in records_of(settings)][-1] == 50


def test_indices_are_rows_of_the_training_file(made, settings):
    run_comparison(settings)
    rows = [row for record in records_of(settings) for row in record["queried"]] + records_of(settings)[0]["initial"]
    assert len(rows) == len(set(rows))
    assert 0 <= np.min(rows) <= np.max(rows) < 60

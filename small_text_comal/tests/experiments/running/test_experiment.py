"""A whole comparison without a model: checks, side by side, resume, refusals, the command line."""

import json
import re

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("filelock")

from experiment_fakes import (
    FakeLearner,
    documents,
    write_corpus,
    write_encoder,
    write_jsonl,
)
from typer.testing import CliRunner

from small_text_comal.experiments.command_line import app
from small_text_comal.experiments.options.config_file import config_from_mapping
from small_text_comal.experiments.records.plan import Run, record_path
from small_text_comal.experiments.records.records import RecordsError, read_records
from small_text_comal.experiments.running import experiment as experiment_module
from small_text_comal.experiments.running import run as run_module
from small_text_comal.experiments.running.experiment import compare

pytestmark = pytest.mark.filterwarnings("ignore:.*is experimental")


@pytest.fixture
def made(monkeypatch):
    """Runs use a fake learner; returns the list of those that were made."""
    learners = []

    def fake(corpus, split, config, *, spec, strategy):
        learners.append(FakeLearner(len(split.pool), split.test.y.shape))
        return learners[-1]

    monkeypatch.setattr(run_module, "SmallTextLearner", fake)
    run_module._corpora.clear()
    return learners


@pytest.fixture
def settings(tmp_path):
    return {
        "output": str(tmp_path / "out"),
        "datasets": [{"loader": "jsonl", "path": str(write_corpus(tmp_path / "toy")), "validation_size": 10}],
        "strategies": ["CoMAL", "Random"],
        "seeds": [0, 1],
        "initial_size": 8,
        "query_size": 6,
        "rounds": 3,
        "metrics": ["micro_f1", "p@1"],
        "threads": 1,
        "device": "cpu",
        "encoder": {"model": str(write_encoder(tmp_path / "encoder"))},
    }


def run(settings, **changes):
    said = []
    return compare(config_from_mapping({**settings, **changes}), say=said.append), said


def records_of(settings, strategy="CoMAL", seed=0):
    from pathlib import Path

    return read_records(record_path(Path(settings["output"]), Run("toy", strategy, seed))).records


def test_every_run_is_recorded_and_described(made, settings, tmp_path):
    compared, said = run(settings)
    assert len(compared.finished) == 6
    assert compared.failed == {}
    for strategy in ("CoMAL", "RandomSampling"):
        assert [record["labels"] for record in records_of(settings, strategy, 1)] == [8, 14, 20, 26]
    assert [record["labels"] for record in records_of(settings, "full data")] == [50]
    record = records_of(settings)[0]
    assert {"config", "versions", "device", "threads", "seed", "strategy", "round", "memory"} < set(record)
    described = json.loads((tmp_path / "out" / "experiment.json").read_text())["datasets"]["toy"]
    assert described["hash"] == record["config"]
    assert described["statistics"]["labels"] == 4
    assert any("labels/doc" in line for line in said)


def test_strategies_of_a_seed_share_their_first_labels_and_seeds_do_not(made, settings):
    run(settings)
    first = {(s, k): records_of(settings, s, k)[0]["initial"] for s in ("CoMAL", "RandomSampling") for k in (0, 1)}
    assert first["CoMAL", 0] == first["RandomSampling", 0] != first["CoMAL", 1] == first["RandomSampling", 1]


def test_a_finished_comparison_does_nothing_and_can_be_extended(made, settings):
    run(settings)
    made.clear()
    _, said = run(settings)
    assert made == []
    assert "6 runs: 6 finished before, 0 to go on with, 0 to begin" in said
    _, said = run(settings, rounds=4, seeds=[0, 1, 2], strategies=["CoMAL", "Random", "MMC"])
    assert "12 runs: 2 finished before, 4 to go on with, 6 to begin" in said
    assert len(records_of(settings)) == 5


def test_a_changed_config_refuses_to_mix(made, settings, tmp_path):
    run(settings)
    with pytest.raises(RecordsError, match=r"another config of toy \(query_size: 6 -> 5\): choose another output"):
        run(settings, query_size=5)
    train = tmp_path / "toy" / "train.jsonl"
    train.write_text(train.read_text().replace("text 5", "text V"))
    with pytest.raises(RecordsError, match=r"another config of toy \(data: "):
        run(settings)
    (tmp_path / "out" / "experiment.json").unlink()
    with pytest.raises(RecordsError, match="holds records of another config"):
        run(settings)


def test_a_changed_config_is_seen_in_the_records_of_other_strategies_too(made, settings):
    named = [{**settings["datasets"][0], "name": "my data"}]
    run(settings, datasets=named)
    with pytest.raises(RecordsError, match=r"another config of my data \(query_size: 6 -> 5\)"):
        run(settings, datasets=named, query_size=5, strategies=["MMC"], full_data=False)


def test_a_refused_config_does_not_lock_out_the_right_one(made, settings, tmp_path):
    run(settings)
    (tmp_path / "out" / "experiment.json").unlink()
    with pytest.raises(RecordsError, match=r"another config of toy \(hash: "):
        run(settings, query_size=5)
    assert len(run(settings)[0].finished) == 6


def test_records_of_another_run_are_refused(made, settings, tmp_path):
    run(settings)
    first, second = (record_path(tmp_path / "out", Run("toy", "CoMAL", seed)) for seed in (0, 1))
    second.write_bytes(first.read_bytes())
    (tmp_path / "out" / "experiment.json").unlink()
    with pytest.raises(RecordsError, match="holds records of toy / CoMAL / seed 0, expected toy / CoMAL / seed 1"):
        run(settings)
    assert not (tmp_path / "out" / "experiment.json").exists()


def test_a_failing_run_does_not_take_others_with_it(made, settings, monkeypatch, tmp_path):
    def sometimes(corpus, split, config, *, spec, strategy):
        return FakeLearner(len(split.pool), split.test.y.shape, fail_at=2 if strategy.name == "CoMAL" else None)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "SmallTextLearner", sometimes)
        compared, _ = run(settings)
    assert set(compared.failed) == {Run("toy", "CoMAL", 0), Run("toy", "CoMAL", 1)}
    assert "told to fail" in compared.failed[Run("toy", "CoMAL", 0)]
    error_file = tmp_path / "out" / "records" / "toy" / "CoMAL" / "seed-0.error.txt"
    assert "Traceback" in error_file.read_text()
    assert len(records_of(settings)) == 2
    compared, _ = run(settings)
    assert compared.failed == {}
    assert len(records_of(settings)) == 4
    assert not error_file.exists()


def test_a_torn_record_gives_the_same_indices_in_the_end(made, settings, tmp_path):
    run(settings)
    path = record_path(tmp_path / "out", Run("toy", "CoMAL", 0))
    whole = [record["queried"] for record in records_of(settings)]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:40])
    run(settings)
    assert [record["queried"] for record in records_of(settings)] == whole


def test_data_that_was_changed_is_read_again(made, settings, tmp_path):
    run(settings)
    train = tmp_path / "toy" / "train.jsonl"
    train.write_text(train.read_text().replace("text 5", "text V"))
    compared, _ = run(settings, output=str(tmp_path / "other"))
    assert compared.failed == {}


def test_a_run_that_another_process_writes_is_left_alone(made, settings, monkeypatch, tmp_path):
    from filelock import FileLock

    monkeypatch.setattr(run_module, "_LOCK_WAIT", 0.1)
    path = record_path(tmp_path / "out", Run("toy", "CoMAL", 0))
    path.parent.mkdir(parents=True)
    with FileLock(path.with_suffix(".lock")):
        compared, _ = run(settings)
    assert "another process is writing" in compared.failed[Run("toy", "CoMAL", 0)]
    assert len(compared.finished) == 5


def test_strategies_that_cannot_run_are_named_with_the_reason(made, settings, tmp_path):
    compared, said = run(settings, strategies=["Random", "BADGE"])
    assert "restricts it to single-label data" in compared.skipped["BADGE"]
    assert any(line.startswith("strategy BADGE is skipped: ") for line in said)
    assert "BADGE" in json.loads((tmp_path / "out" / "experiment.json").read_text())["skipped"]


def test_a_dataset_can_have_strategies_and_seeds_of_its_own(made, settings):
    own = {**settings["datasets"][0], "strategies": ["MMC"], "seeds": [7]}
    compared, _ = run(settings, datasets=[own], full_data=False)
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
        run(settings, **changes)
    assert message in str(error.value)
    assert made == []


def test_layers_that_the_encoder_does_not_have_fail_before_anything_is_trained(made, settings):
    too_deep = {**settings["encoder"], "frozen_layers": 3}
    with pytest.raises(ValueError, match=r"frozen_layers: expected at most the 2 layers of .*encoder, got 3"):
        run(settings, encoder=too_deep)
    assert made == []
    assert run(settings, encoder={**settings["encoder"], "frozen_layers": 2})[0].failed == {}


def test_a_finished_comparison_needs_its_encoder_no_more(made, settings, tmp_path):
    run(settings)
    (tmp_path / "encoder" / "config.json").unlink()
    assert len(run(settings)[0].finished) == 6


@pytest.mark.parametrize("name", ["数据", "..", ".", " "])
def test_a_name_that_no_file_can_have_is_refused(made, settings, name):
    with pytest.raises(ValueError, match=rf"name '{name}': expected a letter or digit"):
        run(settings, datasets=[{**settings["datasets"][0], "name": name}])


def test_names_with_the_same_file_are_refused(made, settings):
    with pytest.raises(ValueError, match="a b / CoMAL / seed 0 and a-b / CoMAL / seed 0 would share the file"):
        run(settings, datasets=[{**settings["datasets"][0], "name": name} for name in ("a b", "a-b")])
    assert made == []


def test_what_is_named_twice_is_run_once(made, settings):
    compared, said = run(settings, seeds=[0, 0], strategies=["Random", "RandomSampling"], full_data=False)
    assert compared.finished == [Run("toy", "RandomSampling", 0)]
    assert any(line.startswith("1 runs:") for line in said)


def test_metrics_that_a_data_set_cannot_have_are_noted(made, settings, tmp_path):
    _, said = run(settings, metrics=["p@1", "p@5", "ndcg@9"])
    assert "toy has 4 labels: p@5, ndcg@9 cannot be measured on it" in said
    assert set(records_of(settings)[0]["metrics"]) == {"p@1"}


def test_no_more_processes_are_started_than_there_are_runs(made, settings, monkeypatch):
    asked = {}

    def side_by_side(function, tasks, *, jobs, **how):
        asked.update(jobs=jobs, threads=[task.threads for (task,) in tasks])
        return [function(*task) for task in tasks]

    monkeypatch.setattr(experiment_module, "run_side_by_side", side_by_side)
    monkeypatch.setattr(experiment_module.os, "cpu_count", lambda: 8)
    config = config_from_mapping({**settings, "threads": 0, "seeds": [0], "full_data": False})
    compare(config, jobs=5, say=lambda line: None)
    assert asked == {"jobs": 2, "threads": [4, 4]}


def test_notes_on_the_data_are_said(made, settings, tmp_path):
    found = documents(20, seed=1)
    found.labels[3].append("never in train")
    write_jsonl(tmp_path / "toy" / "test.jsonl", found)
    _, said = run(settings, rounds=30)
    assert any("labels of test that train never has were left out: never in train" in line for line in said)
    assert any("the pool is empty after 7 of 30 rounds" in line for line in said)
    assert [record["labels"] for record in records_of(settings)][-1] == 50


def command(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def options(settings):
    strategies = [part for name in settings["strategies"] for part in ("--strategy", name)]
    sizes = ["--initial-size", 8, "--query-size", 6, "--rounds", 2, "--validation-size", 10, "--seed", 0, "--seed", 1]
    where = ["--output", settings["output"], "--dataset", f"jsonl:{settings['datasets'][0]['path']}"]
    return [*where, *strategies, *sizes, "--threads", 1, "--device", "cpu", "--model", settings["encoder"]["model"]]


def test_commands_from_comparison_to_report(made, settings, tmp_path):
    ended = command("compare", *options(settings))
    assert ended.exit_code == 0, ended.output
    assert "6 runs finished, 0 failed" in ended.stdout
    assert "\r" not in ended.output  # no progress bar outside a terminal
    ended = command("plot", settings["output"], "--metric", "micro-F1")
    assert ended.exit_code == 0, ended.output
    assert all(line.endswith((".png", ".svg")) for line in ended.stdout.splitlines())
    ended = command("report", settings["output"])
    assert ended.exit_code == 0, ended.output
    assert (tmp_path / "out" / "report.html").exists()
    assert "| toy | 50 | 10 | 20 | 4 |" in (tmp_path / "out" / "report.md").read_text()


def test_figures_of_records_without_micro_f1(made, settings):
    assert command("compare", *options(settings), "--metric", "p@1").exit_code == 0
    for name in ("plot", "report"):
        ended = command(name, settings["output"])
        assert ended.exit_code == 0, ended.output


def test_the_file_of_an_experiment(made, settings, tmp_path):
    file = tmp_path / "x.toml"
    content = {name: value for name, value in settings.items() if name not in ("datasets", "encoder")}
    lines = [f"{name} = {json.dumps(value)}" for name, value in content.items()]
    lines += ["[encoder]", f"model = {json.dumps(settings['encoder']['model'])}"]
    table = ["[[datasets]]", *(f"{name} = {json.dumps(value)}" for name, value in settings["datasets"][0].items())]
    file.write_text("\n".join([*lines, *table]))
    ended = command("compare", file, "--rounds", 1)
    assert ended.exit_code == 0, ended.output
    assert len(records_of(settings)) == 2


def test_commands_say_errors_in_a_line(made, settings, tmp_path):
    for arguments, message in (
        (["compare", *options(settings), "--strategy", "CoMAAL"], "error: unknown strategy 'CoMAAL'. Did you mean"),
        (["compare"], "error: output: name the folder"),
        (["compare", tmp_path / "no.toml"], "error: no experiment file"),
        (
            ["compare", *options(settings), "--cluster", "x"],
            "error: cluster 'x': the loky backend runs on this machine",
        ),
        (["compare", *options(settings), "--backend", "rai"], "error: unknown backend 'rai'. Did you mean 'ray'?"),
        (["plot", tmp_path], "error: no records in"),
        (["report", tmp_path], "error: no records in"),
        (["datasets", "jsonI:x"], "error: unknown dataset format or short name 'jsonI'. Did you mean 'jsonl'?"),
    ):
        ended = command(*arguments)
        assert ended.exit_code == 2, (arguments, ended.output)
        assert message in ended.stderr
        assert "Traceback" not in ended.output


def test_failed_runs_are_named_and_give_an_exit_code(made, settings, monkeypatch):
    def fails(corpus, split, config, *, spec, strategy):
        return FakeLearner(len(split.pool), split.test.y.shape, fail_at=0)

    monkeypatch.setattr(run_module, "SmallTextLearner", fails)
    ended = command("compare", *options(settings))
    assert ended.exit_code == 1
    assert "failed: toy / CoMAL / seed 0: RuntimeError: the fake learner was told to fail" in ended.stderr


def test_what_was_queried_is_described_beside_the_data(made, settings, tmp_path):
    run(settings)
    lines = (tmp_path / "toy" / "train.jsonl").read_text().splitlines()
    labels = {strategy: [] for strategy in ("CoMAL", "RandomSampling")}
    for strategy, found in labels.items():
        for record in records_of(settings, strategy, 0) + records_of(settings, strategy, 1):
            found += [len(json.loads(lines[row])["labels"]) for row in record["queried"]]
    shown = command("queried", settings["output"]).stdout.splitlines()
    head, everything, *rows = (re.split(" {2,}", line.strip()) for line in shown)
    assert head == ["data set", "queried by", "documents", "without labels", "labels/doc", "words/doc"]
    assert everything[:3] == ["toy", "(all of train)", "60"]
    for (strategy, found), row in zip(labels.items(), rows, strict=True):
        empty, mean = 100 * found.count(0) / len(found), sum(found) / len(found)
        assert row == ["toy", strategy, str(len(found)), f"{empty:.1f} %", f"{mean:.2f}", "2.0"]


def test_statistics_of_data(tmp_path):
    ended = command("datasets", f"jsonl:{write_corpus(tmp_path / 'toy')}")
    assert ended.stdout.splitlines()[1].split()[:5] == ["toy", "54", "6", "20", "4"]


def test_plot_of_unknown_metrics_and_latent_runs(made, settings):
    assert command("compare", *options(settings)).exit_code == 0
    for arguments, message in (
        (["--metric", "p@2"], "unknown metric in these records 'p@2'"),
        (["--latent", "--dataset", "tony"], "unknown dataset 'tony'. Did you mean 'toy'?"),
        (["--latent", "--strategy", "Random"], "RandomSampling has no latent space"),
        (["--latent", "--seed", "9"], "no records of toy / CoMAL / seed 9"),
    ):
        ended = command("plot", settings["output"], *arguments)
        assert ended.exit_code == 2, ended.output
        assert message in ended.stderr


def test_indices_are_rows_of_the_training_file(made, settings):
    run(settings)
    rows = [row for record in records_of(settings) for row in record["queried"]] + records_of(settings)[0]["initial"]
    assert len(rows) == len(set(rows))
    assert 0 <= np.min(rows) <= np.max(rows) < 60

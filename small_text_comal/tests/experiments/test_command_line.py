"""The command line, on comparisons without a model."""

import json
import re

import pytest

pytest.importorskip("typer")
pytest.importorskip("filelock")

from experiment_fakes import FakeLearner, records_of, run_comparison, write_corpus
from typer.testing import CliRunner

from small_text_comal.experiments.command_line import app
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.running import experiment as experiment_module
from small_text_comal.experiments.running import run as run_module

pytestmark = pytest.mark.filterwarnings("ignore:.*is experimental")


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


@pytest.mark.parametrize("error", [ValueError, TypeError, KeyError])
def test_a_bug_keeps_its_traceback(made, settings, monkeypatch, error):
    def broken(*_, **__):
        raise error("a bug")

    monkeypatch.setattr(experiment_module, "run_side_by_side", broken)
    with pytest.raises(error, match="a bug"):
        command("compare", *options(settings))
    monkeypatch.setattr("small_text_comal.experiments.analysis.results.read_results", broken)
    with pytest.raises(error, match="a bug"):
        command("report", settings["output"])


def test_verbose_shows_the_traceback_of_a_users_mistake(made, settings):
    with pytest.raises(UserError, match="unknown strategy"):
        command("compare", *options(settings), "--strategy", "CoMAAL", "--verbose")


def test_failed_runs_are_named_and_give_an_exit_code(made, settings, monkeypatch):
    def fails(corpus, split, config, *, spec, strategy):
        return FakeLearner(len(split.pool), split.test.y.shape, fail_at=0)

    monkeypatch.setattr(run_module, "SmallTextLearner", fails)
    ended = command("compare", *options(settings))
    assert ended.exit_code == 1
    assert "failed: toy / CoMAL / seed 0: RuntimeError: the fake learner was told to fail" in ended.stderr


def test_what_was_queried_is_described_beside_the_data(made, settings, tmp_path):
    run_comparison(settings)
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

"""Settings from files, presets and options."""

import dataclasses
from pathlib import Path

import pytest

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.options.config import EncoderOptions, ExperimentConfig, TrainingOptions
from small_text_comal.experiments.options.config_file import config_from_mapping, read_toml
from small_text_comal.experiments.options.presets import PRESETS, preset
from small_text_comal.experiments.options.settings import merged_config
from small_text_comal.experiments.options.strategies import parse_strategy
from small_text_comal.experiments.records.config_hash import config_hash, difference, run_settings
from small_text_comal.experiments.records.plan import (
    FULL_DATA,
    Run,
    check_files,
    planned_runs,
    record_path,
    rounds_that_fit,
)
from small_text_comal.query_strategies.registry import strategy_names

FILE = """
output = "runs/x"
datasets = ["jsonl:data/nlupp"]
strategies = ["CoMAL", "RandomSampling"]
seeds = [0, 1]
rounds = 10
metrics = ["micro-f1", "P@3"]

[encoder]
model = "some/model"

[training]
max-epochs = 7

[branch]
latent_size = 64
"""


def test_a_file_becomes_a_config(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(FILE)
    config = config_from_mapping(read_toml(path))
    assert config.datasets == (DatasetSpec(loader="jsonl", path="data/nlupp", name="nlupp"),)
    assert (config.seeds, config.rounds, config.metrics) == ((0, 1), 10, ("micro_f1", "p@3"))
    assert config.encoder == EncoderOptions(model="some/model")
    assert config.training == TrainingOptions(max_epochs=7)
    assert config.branch.latent_size == 64


def test_a_file_that_is_missing_or_broken(tmp_path):
    with pytest.raises(FileNotFoundError, match="no experiment file"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "x.toml").write_text("rounds = \n")
    with pytest.raises(ValueError, match="not TOML"):
        read_toml(tmp_path / "x.toml")
    (tmp_path / "y.toml").write_bytes(b'output = "caf\xe9"')
    with pytest.raises(ValueError, match=r"y\.toml: not TOML"):
        read_toml(tmp_path / "y.toml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"roundz": 3}, "unknown option of the experiment 'roundz'. Did you mean 'rounds'?"),
        ({"encoder": {"modell": "x"}}, "unknown option of [encoder] 'modell'. Did you mean 'model'?"),
        ({"metrics": ["micro_f"]}, "unknown metric 'micro_f'. Did you mean 'micro_f1'?"),
        ({"rounds": -1}, "rounds: expected an integer >= 0, got -1"),
        ({"query_size": 0}, "query_size: expected an integer >= 1, got 0"),
        ({"seeds": ["a"]}, "seeds: expected a list, each an integer, got ['a']"),
        ({"seeds": [-1]}, "seeds: expected integers >= 0, got -1"),
        ({"seeds": 5}, "seeds: expected a list, each an integer, got 5"),
        ({"strategies": "CoMAL"}, "strategies: expected a list, each a text, got 'CoMAL'"),
        ({"metrics": [3]}, "metrics: expected a list, each a text, got [3]"),
        ({"full_data": "false"}, "full_data: expected true or false, got 'false'"),
        ({"rounds": 1.0}, "rounds: expected an integer, got 1.0"),
        ({"rounds": True}, "rounds: expected an integer, got True"),
        ({"output": 5}, "output: expected a text, got 5"),
        ({"output": ""}, "output: name the folder"),
        ({"encoder": "x"}, "[encoder]: expected a table of options, got 'x'"),
        ({"training": [1]}, "[training]: expected a table of options, got [1]"),
        ({"training": {"learning_rate": "fast"}}, "[training]: learning_rate: expected a finite number, got 'fast'"),
        ({"training": {"learning_rate": float("inf")}}, "[training]: learning_rate: expected a finite number, got inf"),
        ({"training": {"learning_rate": True}}, "[training]: learning_rate: expected a finite number, got True"),
        ({"datasets": 5}, "[[datasets]]: expected a table of options, got 5"),
        ({"datasets": [{"loader": "jsonl", "path": 5}]}, "[[datasets]]: path: expected a text, got 5"),
        ({"datasets": [{"loader": "jsonl", "options": "x"}]}, "[[datasets]]: options: expected a table, got 'x'"),
        ({"datasets": [{"loader": "jsonl", "resplit": "false"}]}, "resplit: expected true or false, got 'false'"),
        ({"query-size": 5, "query_size": 6}, "the experiment: query_size is given twice, the second time as"),
        ({"Training": {"max_epochs": 1}, "training": {}}, "the experiment: training is given twice"),
        ({"strategies": []}, "strategies: expected at least one, got none"),
        ({"datasets": []}, "datasets: expected at least one, got none"),
        ({"datasets": ["a:x", "b:x"]}, "datasets: expected different names, got ['x', 'x']"),
        ({"datasets": [{"path": "x"}]}, "[[datasets]]: loader is missing"),
        ({"training": {"learning_rate": 0}}, "learning_rate: expected a number > 0, got 0"),
        ({"cache_folder": True}, "cache_folder: expected a text, got True"),
    ],
)
def test_errors_name_the_option(change, message):
    with pytest.raises(ValueError) as error:
        config_from_mapping({"output": "x", "datasets": ["goemotions"], **change})
    assert message in str(error.value)


def test_options_mean_the_same_whatever_their_capitals():
    config = config_from_mapping(
        {
            "Output": "x",
            "Datasets": [{"Loader": "jsonl", "Path": "d", "Pool-Size": 5}],
            "Encoder": {"Model": "m"},
            "Training": {"Max Epochs": 7},
            "Branch": {"Latent-Size": 8},
        }
    )
    assert config.datasets == (DatasetSpec(loader="jsonl", path="d", pool_size=5),)
    assert (config.encoder.model, config.training.max_epochs, config.branch.latent_size) == ("m", 7, 8)


def test_output_is_needed():
    with pytest.raises(ValueError, match="output: name the folder"):
        config_from_mapping({"datasets": ["goemotions"]})


# Table 1 and section 4.1 of the paper, as printed: pool, validation, test, initial size, labels a round, latent size
PAPER = {
    "rcv1": (None, 2_000, 10_000, 200, 100, 256),
    "aapd": (45_840, 5_000, 5_000, 100, 100, 256),
    "justdance": (7_910, 800, 1_500, 40, 20, 64),
    "eurlex": (13_060, 800, 2_000, 500, 200, 256),
}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_are_the_papers_numbers(name, tmp_path):
    config = merged_config({}, {"output": "x", "datasets": [str(tmp_path)]}, preset_name=name)
    spec = config.datasets[0]
    validation = spec.validation_size or spec.options["validation_size"]
    test = spec.test_size or spec.options["test_size"]
    found = (spec.pool_size, validation, test, config.initial_size, config.query_size, config.branch.latent_size)
    assert found == PAPER[name]
    assert (spec.loader, spec.path, config.rounds, len(config.seeds)) == (name, str(tmp_path), 50, 5)
    assert config.encoder.max_length == (64 if name == "justdance" else 256)
    assert (config.training.batch_size, config.training.patience, config.training.learning_rate) == (64, 6, 1e-4)
    assert spec.min_label_count == (40 if name == "eurlex" else 1)


def test_options_win_over_the_file_and_the_file_over_the_preset():
    content = {"preset": "aapd", "output": "x", "rounds": 3, "encoder": {"model": "tiny"}}
    options = {
        "datasets": ["aapd:data"],
        "rounds": 2,
        "dataset_options": {"pool_size": 50},
        "branch": {"latent_size": 8},
    }
    config = merged_config(content, options)
    assert (config.rounds, config.query_size, config.branch.latent_size) == (2, 100, 8)
    assert (config.encoder.model, config.encoder.max_length) == ("tiny", 256)
    assert (config.datasets[0].pool_size, config.datasets[0].validation_size) == (50, 5_000)


def test_options_win_over_a_data_sets_own_entries_too():
    own = {"loader": "jsonl", "path": "d", "seeds": [0, 1], "strategies": ["CoMAL"], "max-length": 64, "pool_size": 9}
    content = {"output": "x", "datasets": [own]}
    kept = merged_config(content, {}).datasets[0]
    assert (kept.seeds, kept.strategies, kept.max_length) == ((0, 1), ("CoMAL",), 64)
    options = {"seeds": [7], "strategies": ["MMC"], "encoder": {"max_length": 32}, "dataset_options": {"pool_size": 5}}
    config = merged_config(content, options)
    assert config.datasets == (DatasetSpec(loader="jsonl", path="d", pool_size=5),)
    assert (config.seeds, config.strategies, config.encoder.max_length) == ((7,), ("MMC",), 32)


def test_a_file_spells_options_of_a_preset_as_it_likes():
    content = {
        "Preset": "aapd",
        "output": "x",
        "Query-Size": 3,
        "Encoder": {"max-length": 8},
        "datasets": [{"path": "d"}],
    }
    config = merged_config(content, {})
    assert (config.query_size, config.encoder.max_length, config.encoder.frozen_layers) == (3, 8, 9)
    assert (config.datasets[0].loader, config.datasets[0].resplit) == ("aapd", True)
    assert merged_config(content, {"datasets": ["AAPD:d"]}).datasets == config.datasets
    with pytest.raises(ValueError, match="unknown preset '5'"):
        merged_config({"preset": 5, "output": "x"}, {})


def test_a_preset_leaves_other_data_alone_and_wants_a_place():
    config = merged_config({}, {"output": "x", "datasets": ["jsonl:y"]}, preset_name="aapd")
    assert config.datasets[0] == DatasetSpec(loader="jsonl", path="y")
    with pytest.raises(ValueError, match="preset 'AAPD' needs the folder of its data: --dataset aapd:FOLDER"):
        merged_config({}, {"output": "x"}, preset_name="AAPD")
    with pytest.raises(ValueError, match=r"unknown preset 'rcv'. Did you mean 'rcv1'"):
        preset("rcv")


def config(**changes):
    return ExperimentConfig(output="x", datasets=(DatasetSpec(loader="jsonl", path="d"),), **changes)


def hashed(options, fingerprint="f"):
    return config_hash(run_settings(options, options.datasets[0], fingerprint))


def test_the_cache_folder_may_stand_in_a_variable_or_at_home(monkeypatch):
    monkeypatch.setenv("SOME_DISK", "/disk")
    monkeypatch.setenv("HOME", "/home/a")
    assert config(cache_folder="$SOME_DISK/cache").resolved_cache_folder() == "/disk/cache"
    assert config(cache_folder="~/cache").resolved_cache_folder() == "/home/a/cache"
    assert config().resolved_cache_folder() is None
    with pytest.raises(ValueError, match=r"cache_folder: an environment variable in '\$NOT_SET/x' is not set"):
        config(cache_folder="$NOT_SET/x").resolved_cache_folder()


def test_the_hash_follows_what_decides_the_numbers_and_nothing_else():
    base = hashed(config())
    same = [
        {"output": "y"},
        {"seeds": (7,)},
        {"rounds": 3},
        {"strategies": ("MMC",)},
        {"threads": 3},
        {"cache_folder": "z"},
        {"full_data": False},
    ]
    for change in same:
        assert hashed(dataclasses.replace(config(), **change)) == base
    moved = DatasetSpec(loader="jsonl", path="elsewhere/d")
    assert hashed(dataclasses.replace(config(), datasets=(moved,))) == base
    cut = dataclasses.replace(config(), datasets=(DatasetSpec(loader="jsonl", path="d", pool_size=5),))
    other = [config(initial_size=7), config(query_size=7), config(encoder=EncoderOptions(max_length=7)), cut]
    other += [config(training=TrainingOptions(max_epochs=7)), config(metrics=("p@1",)), config(device="cpu")]
    assert len({base, hashed(config(), "g"), *map(hashed, other)}) == 2 + len(other)


def test_whole_numbers_are_the_same_settings_as_numbers_with_a_point():
    whole, point = (
        config(training=TrainingOptions(learning_rate=one), branch=ContrastiveBranchArguments(alpha=one))
        for one in (1, 1.0)
    )
    assert hashed(whole) == hashed(point)


def test_a_difference_names_what_changed():
    old, new = (
        run_settings(c, c.datasets[0], "f") for c in (config(), config(query_size=7, encoder=EncoderOptions("m")))
    )
    assert difference(old, new) == ["encoder.model: 'google-bert/bert-base-uncased' -> 'm'", "query_size: 100 -> 7"]


def test_runs_and_their_files(tmp_path):
    runs = planned_runs(config(seeds=(0, 1)), DatasetSpec(loader="jsonl", path="d"), ["A", "B(x=1)"])
    assert runs == [Run("d", name, seed) for seed in (0, 1) for name in ("A", "B(x=1)", FULL_DATA)]
    assert len({record_path(tmp_path, run) for run in runs}) == 6
    own = DatasetSpec(loader="jsonl", path="d", seeds=(5, 5))
    assert planned_runs(config(full_data=False), own, ["A", "A"]) == [Run("d", "A", 5)]


def test_runs_that_would_share_a_file_are_refused():
    check_files([Run("a b", "CoMAL", 0), Run("a b", "CoMAL", 1), Run("a-c", "CoMAL", 0)])
    with pytest.raises(ValueError, match=r"d / X\(a=1\) / seed 0 and d / X\(a=-1\) / seed 0 would share the file"):
        check_files([Run("d", "X(a=1)", 0), Run("d", "X(a=-1)", 0)])


@pytest.mark.parametrize(("pool", "rounds"), [(110, 1), (119, 1), (120, 2), (1000, 3)])
def test_rounds_that_a_pool_can_pay_for(pool, rounds):
    assert rounds_that_fit(config(initial_size=100, query_size=10, rounds=3), pool) == rounds


def test_a_pool_too_small_for_one_round():
    with pytest.raises(ValueError, match=r"pool of 109 documents is smaller than initial_size 100 \+ query_size 10"):
        rounds_that_fit(config(initial_size=100, query_size=10, rounds=3), 109)


STUDY = Path(__file__).parents[2] / "docs" / "study.toml"


@pytest.mark.skipif(not STUDY.exists(), reason="docs/ is not installed with the package")
def test_the_study_of_the_documentation_can_be_read():
    config = config_from_mapping(read_toml(STUDY))
    runs = {
        spec.name: (len(spec.strategies or config.strategies), spec.seeds or config.seeds) for spec in config.datasets
    }
    assert runs == {
        "nlupp": (5, (0, 1, 2)),
        "argvalues": (5, (0, 1, 2)),
        "goemotions": (3, (0, 1)),
        "reuters": (3, (0, 1)),
    }
    assert (config.initial_size, config.query_size, config.rounds) == (100, 50, 10)


@pytest.mark.skipif(not STUDY.exists(), reason="docs/ is not installed with the package")
def test_the_baselines_of_the_documentation_go_into_the_studys_folder():
    study, baselines = (
        config_from_mapping(read_toml(STUDY.with_name(name))) for name in (STUDY.name, "baselines.toml")
    )
    assert baselines.output == study.output
    assert {spec.name for spec in baselines.datasets} == {"nlupp", "argvalues"}
    for spec in baselines.datasets:
        same = next(other for other in study.datasets if other.name == spec.name)
        assert run_settings(baselines, spec, "data") == run_settings(study, same, "data")
    names = {parse_strategy(name).name for name in study.strategies + baselines.strategies}
    assert names >= set(strategy_names())

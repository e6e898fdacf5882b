"""Settings from files."""

import json
from pathlib import Path

import pytest

from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.options.config import EncoderOptions, ExecutionOptions, TrainingOptions
from small_text_comal.experiments.options.mapping import from_mapping, read_toml, to_mapping

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
    config = from_mapping(read_toml(path))
    assert config.datasets == (DatasetSpec(loader="jsonl", path="data/nlupp", name="nlupp"),)
    assert (config.protocol.seeds, config.protocol.rounds, config.protocol.metrics) == ((0, 1), 10, ("micro_f1", "p@3"))
    assert config.encoder == EncoderOptions(model="some/model")
    assert config.training == TrainingOptions(max_epochs=7)
    assert config.branch.latent_size == 64


def test_an_experiment_is_the_same_after_a_round_trip(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(FILE)
    config = from_mapping(read_toml(path))
    tables = to_mapping(config)
    assert from_mapping(json.loads(json.dumps(tables))) == config
    assert (tables["rounds"], tables["device"], tables["training"]["max_epochs"]) == (10, "auto", 7)


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
        ({"branch": {"latent_size": 0}}, "latent_size: expected an integer >= 1, got 0"),
        ({"backend": "rai"}, "unknown backend 'rai'. Did you mean 'ray'?"),
        ({"cluster": "tcp://x:1"}, "cluster 'tcp://x:1': the loky backend runs on this machine only"),
    ],
)
def test_errors_name_the_option(change, message):
    with pytest.raises(UserError) as error:
        from_mapping({"output": "x", "datasets": ["goemotions"], **change})
    assert message in str(error.value)


def test_options_mean_the_same_whatever_their_capitals():
    config = from_mapping(
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
        from_mapping({"datasets": ["goemotions"]})


def test_the_cache_folder_may_stand_in_a_variable_or_at_home(monkeypatch):
    monkeypatch.setenv("SOME_DISK", "/disk")
    monkeypatch.setenv("HOME", "/home/a")
    assert ExecutionOptions(cache_folder="$SOME_DISK/cache").resolved_cache_folder() == "/disk/cache"
    assert ExecutionOptions(cache_folder="~/cache").resolved_cache_folder() == "/home/a/cache"
    assert ExecutionOptions().resolved_cache_folder() is None
    with pytest.raises(ValueError, match=r"cache_folder: an environment variable in '\$NOT_SET/x' is not set"):
        ExecutionOptions(cache_folder="$NOT_SET/x").resolved_cache_folder()


STUDY = Path(__file__).parents[4] / "docs" / "study.toml"


@pytest.mark.skipif(not STUDY.exists(), reason="docs/ is not installed with the package")
def test_the_study_of_the_documentation_can_be_read():
    config = from_mapping(read_toml(STUDY))
    protocol = config.protocol
    assert [spec.name for spec in config.datasets] == ["nlupp", "argvalues", "goemotions", "reuters"]
    assert (config.classifier.classifier, len(protocol.strategies), protocol.seeds) == ("embedding", 8, (0, 1, 2, 3, 4))
    assert (protocol.initial_size, protocol.query_size, protocol.rounds) == (100, 50, 10)

"""A preset, a file and the command line together."""

import pytest

from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.options.merged import merged_config
from small_text_comal.experiments.options.presets import PRESETS, preset

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
    found = (
        spec.pool_size,
        validation,
        test,
        config.protocol.initial_size,
        config.protocol.query_size,
        config.branch.latent_size,
    )
    assert found == PAPER[name]
    assert (spec.loader, spec.path, config.protocol.rounds, len(config.protocol.seeds)) == (name, str(tmp_path), 50, 5)
    assert config.encoder.max_length == (64 if name == "justdance" else 256)
    assert (config.training.batch_size, config.training.patience, config.training.learning_rate) == (64, 6, 1e-4)
    assert spec.min_label_count == (40 if name == "eurlex" else 1)


def test_options_win_over_the_file_and_the_file_over_the_preset():
    content = {"preset": "aapd", "output": "x", "rounds": 3, "encoder": {"model": "tiny"}}
    options = {
        "datasets": ["aapd:data"],
        "rounds": 2,
        "dataset": {"pool_size": 50},
        "branch": {"latent_size": 8},
    }
    config = merged_config(content, options)
    assert (config.protocol.rounds, config.protocol.query_size, config.branch.latent_size) == (2, 100, 8)
    assert (config.encoder.model, config.encoder.max_length) == ("tiny", 256)
    assert (config.datasets[0].pool_size, config.datasets[0].validation_size) == (50, 5_000)


def test_options_win_over_a_data_sets_own_entries_too():
    own = {"loader": "jsonl", "path": "d", "seeds": [0, 1], "strategies": ["CoMAL"], "max-length": 64, "pool_size": 9}
    content = {"output": "x", "datasets": [own]}
    kept = merged_config(content, {}).datasets[0]
    assert (kept.seeds, kept.strategies, kept.max_length) == ((0, 1), ("CoMAL",), 64)
    options = {"seeds": [7], "strategies": ["MMC"], "encoder": {"max_length": 32}, "dataset": {"pool_size": 5}}
    config = merged_config(content, options)
    assert config.datasets == (DatasetSpec(loader="jsonl", path="d", pool_size=5),)
    assert (config.protocol.seeds, config.protocol.strategies, config.encoder.max_length) == ((7,), ("MMC",), 32)


def test_a_file_spells_options_of_a_preset_as_it_likes():
    content = {
        "Preset": "aapd",
        "output": "x",
        "Query-Size": 3,
        "Encoder": {"max-length": 8},
        "datasets": [{"path": "d"}],
    }
    config = merged_config(content, {})
    assert (config.protocol.query_size, config.encoder.max_length, config.encoder.frozen_layers) == (3, 8, 9)
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

"""Which settings records depend on."""

import dataclasses
from pathlib import Path

import pytest

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.options.config import (
    EncoderOptions,
    ExecutionOptions,
    ExperimentConfig,
    ProtocolOptions,
    TrainingOptions,
)
from small_text_comal.experiments.options.mapping import from_mapping, read_toml
from small_text_comal.experiments.options.strategies import parse_strategy
from small_text_comal.experiments.records.run_settings import difference, run_settings


def config(**changes):
    return ExperimentConfig(output="x", datasets=(DatasetSpec(loader="jsonl", path="d"),), **changes)


def hashed(options, fingerprint="f"):
    return run_settings(options, options.datasets[0], fingerprint).hash


def test_the_hash_follows_what_decides_the_numbers_and_nothing_else():
    base = hashed(config())
    same = [
        {"output": "y"},
        {"protocol": ProtocolOptions(seeds=(7,), rounds=3, strategies=("MMC",), full_data=False)},
        {"execution": ExecutionOptions(threads=3, cache_folder="z", jobs=2, backend="dask", cluster="x")},
    ]
    for change in same:
        assert hashed(dataclasses.replace(config(), **change)) == base
    moved = DatasetSpec(loader="jsonl", path="elsewhere/d")
    assert hashed(dataclasses.replace(config(), datasets=(moved,))) == base
    cut = dataclasses.replace(config(), datasets=(DatasetSpec(loader="jsonl", path="d", pool_size=5),))
    other = [{"encoder": EncoderOptions(max_length=7)}, {"training": TrainingOptions(max_epochs=7)}]
    other += [{"branch": ContrastiveBranchArguments(latent_size=8)}, {"execution": ExecutionOptions(device="cpu")}]
    protocols = ({"initial_size": 7}, {"query_size": 7}, {"min_per_label": 2}, {"metrics": ("p@1",)})
    other += [{"protocol": ProtocolOptions(**one)} for one in protocols]
    hashes = {base, hashed(cut), hashed(config(), "g"), *(hashed(config(**change)) for change in other)}
    assert len(hashes) == 3 + len(other)


def test_whole_numbers_are_the_same_settings_as_numbers_with_a_point():
    whole, point = (
        config(training=TrainingOptions(learning_rate=one), branch=ContrastiveBranchArguments(alpha=one))
        for one in (1, 1.0)
    )
    assert hashed(whole) == hashed(point)


def test_a_difference_names_what_changed():
    changed = config(protocol=ProtocolOptions(query_size=7), encoder=EncoderOptions("m"))
    old, new = (run_settings(one, one.datasets[0], "f").values for one in (config(), changed))
    assert difference(old, new) == ["encoder.model: 'google-bert/bert-base-uncased' -> 'm'", "query_size: 100 -> 7"]


STUDY = Path(__file__).parents[4] / "docs" / "study.toml"


@pytest.mark.skipif(not STUDY.exists(), reason="docs/ is not installed with the package")
def test_the_study_of_the_documentation_can_be_read():
    study = from_mapping(read_toml(STUDY))
    assert study.classifier.classifier == "embedding"
    assert {spec.name for spec in study.datasets} == {"nlupp", "argvalues", "goemotions", "reuters"}
    assert "RandomSampling" in {parse_strategy(name).name for name in study.protocol.strategies}

"""How data sets are written."""

import pytest
from experiment_fakes import write_corpus

from small_text_comal.experiments.data.dataset_spec import DatasetSpec, dataset_table
from small_text_comal.experiments.data.prepare import load_corpus
from small_text_comal.experiments.data.user_error import UserError


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/eurlex-4.3k", "eurlex-4.3k"),
        ("data/v1.2/", "v1.2"),
        ("owner/name.v2", "name.v2"),
        ("a/mine.jsonl", "mine"),
        ("a/mine.csv.gz", "mine"),
        ("a/train.jsonl", "a"),
        ("b/train", "b"),
        ("/train.csv", "train"),
        ("a/b/..", "a"),
        ("$SMALL_TEXT_COMAL_DATA/nlupp", "nlupp"),
    ],
)
def test_a_data_set_is_named_by_what_is_specific_in_its_path(path, name):
    assert DatasetSpec(loader="jsonl", path=path).name == name


def test_a_data_set_is_written_as_format_and_path():
    assert dataset_table("aapd:/data/AAPD") == {"loader": "aapd", "path": "/data/AAPD"}
    assert dataset_table("hf:owner/name:x") == {"loader": "hf", "path": "owner/name:x"}
    assert DatasetSpec(**dataset_table("goemotions")).name == "goemotions"


def test_a_path_may_hold_environment_variables(monkeypatch, tmp_path):
    write_corpus(tmp_path / "x")
    monkeypatch.setenv("SOME_DATA", str(tmp_path))
    assert len(load_corpus(DatasetSpec(loader="jsonl", path="$SOME_DATA/x")).train) == 60
    with pytest.raises(ValueError, match=r"dataset x: an environment variable in '\$NOT_SET_AT_ALL/x' is not set"):
        load_corpus(DatasetSpec(loader="jsonl", path="$NOT_SET_AT_ALL/x"))


def test_sizes_start_at_one():
    with pytest.raises(UserError, match="dataset jsonl: pool_size: expected an integer >= 1, got 0"):
        DatasetSpec(loader="jsonl", pool_size=0)

"""The runs of an experiment and their files."""

import pytest

from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.options.config import ProtocolOptions
from small_text_comal.experiments.records.plan import FULL_DATA, Run, check_files, planned_runs, rounds_that_fit


def test_runs_and_their_files():
    runs = planned_runs(ProtocolOptions(seeds=(0, 1)), DatasetSpec(loader="jsonl", path="d"), ["A", "B(x=1)"])
    assert runs == [Run("d", name, seed) for seed in (0, 1) for name in ("A", "B(x=1)", FULL_DATA)]
    assert len({run.file for run in runs}) == 6
    own = DatasetSpec(loader="jsonl", path="d", seeds=(5, 5))
    assert planned_runs(ProtocolOptions(full_data=False), own, ["A", "A"]) == [Run("d", "A", 5)]


def test_runs_that_would_share_a_file_are_refused():
    check_files([Run("a b", "CoMAL", 0), Run("a b", "CoMAL", 1), Run("a-c", "CoMAL", 0)])
    with pytest.raises(ValueError, match=r"d / X\(a=1\) / seed 0 and d / X\(a=-1\) / seed 0 would share the file"):
        check_files([Run("d", "X(a=1)", 0), Run("d", "X(a=-1)", 0)])


@pytest.mark.parametrize(("pool", "rounds"), [(110, 1), (119, 1), (120, 2), (1000, 3)])
def test_rounds_that_a_pool_can_pay_for(pool, rounds):
    assert rounds_that_fit(ProtocolOptions(initial_size=100, query_size=10, rounds=3), pool) == rounds


def test_a_pool_too_small_for_one_round():
    with pytest.raises(ValueError, match=r"pool of 109 documents is smaller than initial_size 100 \+ query_size 10"):
        rounds_that_fit(ProtocolOptions(initial_size=100, query_size=10, rounds=3), 109)

"""A run that is stopped anywhere goes on as if it had not been."""

import json

import numpy as np
import pytest
from experiment_fakes import FakeLearner, raw_corpus

from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.prepare import prepare_corpus
from small_text_comal.experiments.records.records import RecordFile, RecordsError
from small_text_comal.experiments.running.protocol import initial_labels, make_split
from small_text_comal.experiments.running.rounds import RoundPlan, labeled_positions, run_rounds

ROUNDS = 5


@pytest.fixture
def split():
    spec = DatasetSpec(loader="jsonl", path="toy", validation_size=10)
    return make_split(prepare_corpus(raw_corpus(), spec), spec, seed=0)


def plan(split, rounds=ROUNDS, seed=0):
    initial = initial_labels(split.pool, 8, min_per_label=1, seed=seed)
    common = {"config": "c", "dataset": "toy", "strategy": "fake", "seed": seed, "threads": 1, "versions": {}}
    return RoundPlan(seed, initial, 6, rounds, ("micro_f1", "p@1"), common)


def fake(split, **how):
    return FakeLearner(len(split.pool), (len(split.test), 4), **how)


def timeless(records):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


@pytest.fixture
def uninterrupted(split, tmp_path):
    file = RecordFile(tmp_path / "whole.jsonl")
    run_rounds(fake(split), split, plan(split), file)
    return timeless(file.records)


def test_a_record_says_what_a_round_did(split, tmp_path):
    file = RecordFile(tmp_path / "r.jsonl")
    run_rounds(fake(split), split, plan(split), file)
    assert [record["round"] for record in file.records] == list(range(ROUNDS + 1))
    assert [record["labels"] for record in file.records] == [8, 14, 20, 26, 32, 38]
    seen = list(file.records[0]["initial"])
    for record in file.records:
        assert set(record["metrics"]) == {"micro_f1", "p@1"}
        assert set(record["seconds"]) == {"fit", "test", "query"}
        assert record["strategy"] == "fake"
        assert len(record["queried"]) == 6
        seen += record["queried"]
    assert len(seen) == len(set(seen)) == 44
    assert set(seen) <= set(split.pool.rows.tolist())


@pytest.mark.parametrize("stop", range(ROUNDS + 1))
def test_a_run_that_was_killed_gives_the_same_indices(split, tmp_path, uninterrupted, stop):
    path = tmp_path / "r.jsonl"
    with pytest.raises(RuntimeError, match="told to fail"):
        run_rounds(fake(split, fail_at=stop), split, plan(split), RecordFile(path))
    path.write_bytes(path.read_bytes() + b'{"round": 99, "queri' if path.exists() else b"{")
    again = RecordFile(path)
    assert len(again.records) == stop
    run_rounds(fake(split), split, plan(split), again)
    assert timeless(again.records) == uninterrupted


def test_a_finished_run_is_not_touched(split, tmp_path, uninterrupted):
    path = tmp_path / "whole.jsonl"
    before = path.read_bytes()
    learner = fake(split)
    run_rounds(learner, split, plan(split), RecordFile(path))
    assert learner.fits == 0
    assert path.read_bytes() == before


def test_a_run_can_be_given_more_rounds(split, tmp_path, uninterrupted):
    file = RecordFile(tmp_path / "r.jsonl")
    run_rounds(fake(split), split, plan(split, rounds=2), file)
    run_rounds(fake(split), split, plan(split), file)
    assert timeless(file.records) == uninterrupted


def test_other_first_labels_or_other_data_are_refused(split, tmp_path):
    path = tmp_path / "r.jsonl"
    run_rounds(fake(split), split, plan(split, rounds=1), RecordFile(path))
    with pytest.raises(RecordsError, match="start from other labels"):
        run_rounds(fake(split), split, plan(split, seed=1), RecordFile(path))
    records = [json.loads(line) for line in path.read_text().splitlines()]
    records[1]["queried"] = [10_000]
    with pytest.raises(RecordsError, match="documents that are not in the pool"):
        labeled_positions(split, plan(split), records)


def test_a_strategy_that_queries_labeled_or_double_documents_is_stopped(split, tmp_path):
    class Repeats(FakeLearner):
        def query(self, n):
            return np.repeat(super().query(1), n)

    with pytest.raises(RuntimeError, match="fake: expected 6 different unlabeled documents"):
        learner = Repeats(len(split.pool), (len(split.test), 4))
        run_rounds(learner, split, plan(split), RecordFile(tmp_path / "r.jsonl"))


def test_the_observer_hears_of_every_round(split, tmp_path):
    heard = []

    class Observer:
        def before_round(self, number, labels):
            heard.append(("before", number, labels))

        def after_round(self, record):
            heard.append(("after", record["round"], record["labels"]))

    run_rounds(fake(split), split, plan(split, rounds=1), RecordFile(tmp_path / "r.jsonl"), observer=Observer())
    assert heard == [("before", 0, 8), ("after", 0, 8), ("before", 1, 14), ("after", 1, 14)]

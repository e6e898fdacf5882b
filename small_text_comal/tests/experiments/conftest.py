"""Comparisons without a model."""

import pytest
from experiment_fakes import FakeLearner, write_corpus, write_encoder

from small_text_comal.experiments.running import run as run_module


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
    """Tables of a small experiment."""
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

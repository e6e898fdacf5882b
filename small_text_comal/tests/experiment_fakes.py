"""A learner without a model, and small data, for tests of the experiment code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from small_text_comal.experiments.data.corpus import LabeledTexts, RawCorpus
from small_text_comal.experiments.options.mapping import from_mapping
from small_text_comal.experiments.records.plan import Run
from small_text_comal.experiments.records.records import read_records
from small_text_comal.experiments.running.experiment import compare
from small_text_comal.experiments.running.protocol import RoundSeeds

STRATEGIES = [
    "CoMAL",
    "CoMAL(criterion='paper')",
    "CategoryVectorInconsistencyAndRanking",
    "GPB2M",
    "GreedyCoreset",
    "RandomSampling",
]


def documents(n: int, n_labels: int = 4, *, seed: int = 0, prefix: str = "text") -> LabeledTexts:
    rng = np.random.default_rng(seed)
    labels = [[f"label{j}" for j in np.flatnonzero(rng.random(n_labels) < 0.4)] for _ in range(n)]
    labels[0] = [f"label{j}" for j in range(n_labels)]
    return LabeledTexts([f"{prefix} {i}" for i in range(n)], labels)


def raw_corpus(n_train: int = 60, n_test: int = 20) -> RawCorpus:
    return RawCorpus(documents(n_train), None, documents(n_test, seed=1, prefix="test"))


def write_jsonl(path: Path, found: LabeledTexts) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"text": t, "labels": names}) for t, names in zip(found.texts, found.labels, strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_corpus(folder: Path, n_train: int = 60, n_test: int = 20) -> Path:
    raw = raw_corpus(n_train, n_test)
    write_jsonl(folder / "train.jsonl", raw.train)
    write_jsonl(folder / "test.jsonl", raw.test)
    return folder


def write_encoder(folder: Path) -> Path:
    """An encoder's own configuration, which is all that is read of it before a run: two layers."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "num_hidden_layers": 2}))
    return folder


def run_record(number: int, *, first: int = 2, step: int = 2, **changes: Any) -> dict[str, Any]:
    """A record of a run that starts with documents 0 to `first` - 1 and queries the next `step` in each round."""
    labels = first + step * number
    record = {
        "config": "c",
        "dataset": "d",
        "strategy": "s",
        "seed": 0,
        "threads": 1,
        "versions": {},
        "round": number,
        "labels": labels,
        "metrics": {"micro_f1": 0.5},
        "seconds": {"fit": 2.0 + number, "test": 0.1, "query": 0.01},
        "queried": list(range(labels, labels + step)),
    }
    return record | ({"initial": list(range(first))} if number == 0 else {}) | changes


class FakeLearner:
    """Queries by a hash of what it was fitted on and its seeds, so that any difference shows in the indices."""

    def __init__(self, pool_size: int, test_shape: tuple[int, int], *, fail_at: int | None = None) -> None:
        self.pool_size, self.test_shape, self.fail_at, self.fits = pool_size, test_shape, fail_at, 0

    def fit(self, labeled: np.ndarray, seeds: RoundSeeds) -> None:
        if self.fits == self.fail_at:
            raise RuntimeError("the fake learner was told to fail")
        self.fits += 1
        self.labeled = labeled
        weights = np.arange(1, len(labeled) + 1)  # the order of the labels matters
        self.rng = np.random.default_rng([int((labeled * weights).sum()), seeds.torch, seeds.strategy])

    def test_probabilities(self) -> np.ndarray:
        return self.rng.random(self.test_shape)

    @property
    def thresholds(self) -> np.ndarray:
        return np.full(self.test_shape[1], 0.5)

    def query(self, n: int) -> np.ndarray:
        free = np.setdiff1d(np.arange(self.pool_size), self.labeled)
        return self.rng.choice(free, n, replace=False)


def seconds(number, query):
    return {"fit": 2.0 + number, "test": 0.1, "query": query}


def write_run(folder, run, scores, *, first=100, step=50, query=0.01, tail="", config="c"):
    path = folder / run.file
    path.parent.mkdir(parents=True, exist_ok=True)
    run_is = {"dataset": run.dataset, "strategy": run.strategy, "seed": run.seed, "config": config}
    scored = [{"micro_f1": float(score), "p@1": float(score) / 2} for score in scores]
    records = [
        run_record(number, first=first, step=step, metrics=metrics, seconds=seconds(number, query), **run_is)
        for number, metrics in enumerate(scored)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + tail)


def run_comparison(settings, **changes):
    """Compare; also return what the user was told."""
    said = []
    return compare(from_mapping({**settings, **changes}), say=said.append), said


def records_of(settings, strategy="CoMAL", seed=0):
    return read_records(Path(settings["output"]) / Run("toy", strategy, seed).file).records

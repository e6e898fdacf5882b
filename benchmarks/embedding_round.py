"""A round of the embedding classifier on stored vectors: fit on the labeled documents, query the pool.

    python benchmarks/embedding_round.py --data "$SMALL_TEXT_COMAL_DATA/nlupp"
    python benchmarks/embedding_round.py --data "$SMALL_TEXT_COMAL_DATA/nlupp" --host   # and small-text's own, minutes

Process time of one core, median of the repeats, of a round without branch (RandomSampling), with MaxHerding, and with
CoMAL; with --host also small-text's transformer classifier with the same encoder (5 epochs, all layers trained), once.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from small_text import PoolBasedActiveLearner, RandomSampling, TransformerBasedClassificationFactory
from threadpoolctl import threadpool_limits
from transformers import AutoTokenizer

from small_text_comal import CoMAL, CoMALEmbeddingClassificationFactory, MaxHerding
from small_text_comal.encoder.sentence.demo_encoder import demo_encoder
from small_text_comal.host import IS_HOST_2, initialize_learner, make_dataset, make_text_dataset, model_arguments

EPOCHS = 5


def read(path: Path, n: int) -> tuple[list[str], csr_matrix, list[str]]:
    """Return the first `n` texts, their labels (n, C), and the names of the labels."""
    rows = [json.loads(line) for line in path.open(encoding="utf-8")]
    names = sorted({name for row in rows for name in row["labels"]})
    y = np.array([[name in row["labels"] for name in names] for row in rows[:n]], dtype=int)
    return [row["text"] for row in rows[:n]], csr_matrix(y), names


def round_seconds(factory: Any, strategy: Any, dataset: Any, labeled: np.ndarray) -> float:
    """Return the process time of fitting to `labeled` and querying 50 of the rest."""
    learner = PoolBasedActiveLearner(factory, strategy, dataset)
    started = time.process_time()
    initialize_learner(learner, labeled, dataset.y[labeled])
    learner.query(num_samples=50)
    return time.process_time() - started


def host_factory(num_classes: int) -> Any:
    """Return small-text's own factory, all layers trained."""
    arguments, keywords = model_arguments(str(demo_encoder()))
    keywords |= {"multi_label": True, "num_epochs": EPOCHS, "device": "cpu"}
    name = "classification_kwargs" if IS_HOST_2 else "kwargs"
    return TransformerBasedClassificationFactory(arguments, num_classes, **{name: keywords})


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl")
    parser.add_argument("--labeled", type=int, default=300)
    parser.add_argument("--pool", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--host", action="store_true", help="measure small-text's own classifier, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    texts, y, names = read(options.data / "train.jsonl", options.labeled + options.pool)
    dataset = make_text_dataset(texts, y, num_classes=len(names))
    labeled = np.arange(options.labeled)
    factories = {
        branch: CoMALEmbeddingClassificationFactory(str(demo_encoder()), len(names), {"label_names": names, **keywords})
        for branch, keywords in {"without": {"branch": None}, "with": {}}.items()
    }
    for factory in factories.values():
        factory.new().precompute(dataset)
    rounds: dict[str, Callable[[], float]] = {
        "RandomSampling": lambda: round_seconds(factories["without"], RandomSampling(), dataset, labeled),
        "MaxHerding": lambda: round_seconds(factories["without"], MaxHerding(seed=0), dataset, labeled),
        "CoMAL": lambda: round_seconds(factories["with"], CoMAL(seed=0), dataset, labeled),
    }
    with threadpool_limits(1):
        seconds = {name: [run() for run in [one] * options.repeats] for name, one in rounds.items()}
        if options.host:
            tokenizer = AutoTokenizer.from_pretrained(demo_encoder())
            tokens = make_dataset(texts, y, tokenizer, num_classes=len(names), max_length=64)
            own = round_seconds(host_factory(len(names)), RandomSampling(), tokens, labeled)
            seconds[f"small-text's own, {EPOCHS} epochs"] = [own]
    base = median(seconds["RandomSampling"])
    print("| round | process s | range | times RandomSampling |\n|---|---:|---:|---:|")
    for name, values in seconds.items():
        print(
            f"| {name} | {median(values):.2f} | {min(values):.2f} to {max(values):.2f} | {median(values) / base:.2f} |"
        )


if __name__ == "__main__":
    main()

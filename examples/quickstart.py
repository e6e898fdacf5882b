"""CoMAL against random sampling on a help-desk corpus, without a download.

A seeded generator writes the corpus, and the extra `demo` brings the encoder. Give --data and --model to see the same
table for your own documents and encoder.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from command_line import example_parser, initial_size, input_errors, keep_libraries_quiet
from helpdesk import write_tickets
from json_lines import Corpus, load_corpus
from small_text import PoolBasedActiveLearner
from transformers import AutoTokenizer, set_seed

from small_text_comal import (
    CoMALClassificationFactory,
    CoMALEmbeddingClassificationFactory,
    label_covering_initialization,
)
from small_text_comal.encoder.sentence.demo_encoder import demo_encoder
from small_text_comal.encoder.sentence_encoder import is_sentence_encoder
from small_text_comal.experiments.options.strategies import new_strategy, parse_strategy
from small_text_comal.host import initialize_learner, make_dataset, make_text_dataset, model_arguments
from small_text_comal.metrics import macro_f1, micro_f1, precision_at_k

MEASURES = ("micro-F1", "macro-F1", "P@1")
CELL = 10
MAX_LENGTH = 128
TICKETS = 600


def main() -> None:
    """Let every strategy query for some rounds, and print a line a round."""
    parser = example_parser("Compare query strategies on a help-desk corpus or your own.", data_required=False)
    parser.add_argument(
        "--strategy",
        nargs="+",
        default=["CoMAL", "RandomSampling"],
        metavar="NAME",
        help="strategies to compare, of this package or small-text (default: CoMAL RandomSampling)",
    )
    options = parser.parse_args()
    keep_libraries_quiet()
    with input_errors(parser):
        corpus = read_corpus(options)
        initial = label_covering_initialization(
            corpus.pool.y, initial_size(corpus, rounds=options.rounds, batch=options.batch), seed=options.seed
        )
        learners, test = new_learners(corpus, options)
    print_header(corpus, learners)
    for round_number in range(options.rounds + 1):
        row = []
        for learner in learners.values():
            set_seed(options.seed + round_number)  # every strategy meets the same initial weights
            play_round(learner, initial, options.batch)
            row += measure(learner.classifier, test)
        print_row(len(initial) + round_number * options.batch, row)


def read_corpus(options: argparse.Namespace) -> Corpus:
    """Return the user's documents, or those of the help desk."""
    if options.test_data and not options.data:
        raise ValueError("--test-data: expected --data as well, the documents to query from")
    if options.data:
        return load_corpus(options.data, options.test_data, seed=options.seed)
    with tempfile.TemporaryDirectory() as folder:
        write_tickets(Path(folder) / "tickets.jsonl", TICKETS, seed=options.seed)
        return load_corpus(Path(folder) / "tickets.jsonl", seed=options.seed)


def new_learners(corpus: Corpus, options: argparse.Namespace) -> tuple[dict[str, PoolBasedActiveLearner], Any]:
    """Return a learner for each strategy, all with the same classifier and data, and the test set."""
    strategies = {name: new_strategy(parse_strategy(name), options.seed) for name in options.strategy}
    model = options.model or str(demo_encoder())
    if is_sentence_encoder(model):
        factory, pool, test, fit_kwargs = embedding_setup(corpus, model)
    else:
        factory, pool, test, fit_kwargs = fine_tuning_setup(corpus, model, options)
    learners = {
        name: PoolBasedActiveLearner(factory, strategy, pool, fit_kwargs=fit_kwargs)
        for name, strategy in strategies.items()
    }
    return learners, test


def embedding_setup(corpus: Corpus, model: str) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Return factory, pool, test set and fit keywords for a sentence encoder, which stays as it is."""
    num_classes = len(corpus.labels)
    factory = CoMALEmbeddingClassificationFactory(model, num_classes, {"label_names": corpus.labels})
    pool, test = (make_text_dataset(part.texts, part.y, num_classes=num_classes) for part in (corpus.pool, corpus.test))
    return factory, pool, test, {}


def fine_tuning_setup(corpus: Corpus, model: str, options: argparse.Namespace) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Return the same for any other encoder, which is trained on the labeled documents."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    pool, validation, test = (
        make_dataset(part.texts, part.y, tokenizer, num_classes=len(corpus.labels), max_length=MAX_LENGTH)
        for part in (corpus.pool, corpus.validation, corpus.test)
    )
    model_args, keywords = model_arguments(model, train_batch_size=24, predict_batch_size=64)
    keywords |= {"lr": options.learning_rate, "frozen_layers": options.frozen_layers}
    factory = CoMALClassificationFactory(model_args, len(corpus.labels), keywords)
    return factory, pool, test, {"validation_set": validation}


def play_round(learner: PoolBasedActiveLearner, initial: np.ndarray, batch: int) -> None:
    """Label the initial documents, or those that the learner asks for, and train."""
    if learner.y is None:
        initialize_learner(learner, initial, learner.dataset.y[initial])
    else:
        queried = learner.query(num_samples=batch)
        learner.update(learner.dataset.y[queried])  # the user's labels stand here in real work


def measure(clf: Any, test: Any) -> tuple[float, float, float]:
    """Return MEASURES on the test set; F1 of what the classifier predicts, above the cuts that it fitted."""
    y, predicted = test.y.toarray(), clf.predict(test).toarray()
    return micro_f1(y, predicted), macro_f1(y, predicted), precision_at_k(y, clf.label_probabilities(test), 1)


def print_header(corpus: Corpus, strategies: dict[str, Any]) -> None:
    """Print what is compared, and the head of the table."""
    sizes = ", ".join(f"{name} {len(part.texts)}" for name, part in zip(corpus._fields[1:], corpus[1:], strict=True))
    print(f"documents: {sizes}; {len(corpus.labels)} labels, {corpus.pool.y.sum(axis=1).mean():.2f} a document")
    print(" " * 9 + "".join(f"{name:>{CELL * len(MEASURES)}}" for name in strategies))
    print("labeled  " + "".join(f"{name:>{CELL}}" for name in MEASURES) * len(strategies), flush=True)


def print_row(labeled: int, row: list[float]) -> None:
    """Print one line of the table."""
    print(f"{labeled:>7}  " + "".join(f"{value:>{CELL}.3f}" for value in row), flush=True)


if __name__ == "__main__":
    main()

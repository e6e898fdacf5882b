"""An ordinary small-text script for multi-label documents, changed in two lines to query with CoMAL.

    python examples/drop_in.py --data train.jsonl --test-data test.jsonl --model sentence-transformers/all-MiniLM-L6-v2

Three functions of small_text_comal.host let this one file run on small-text 1.x and 2.x; the comments say what stands
there in a script for one release. In your own script everything but the two marked lines stays as it is.
"""

from __future__ import annotations

from typing import Any

from command_line import example_parser, initial_size, input_errors, keep_libraries_quiet
from json_lines import load_corpus
from sklearn.metrics import f1_score
from small_text import PoolBasedActiveLearner
from transformers import AutoTokenizer, set_seed

from small_text_comal import (
    CoMAL,
    CoMALClassificationFactory,
    CoMALEmbeddingClassificationFactory,
    label_covering_initialization,
)
from small_text_comal.encoder.sentence_encoder import is_sentence_encoder
from small_text_comal.experiments.options.strategies import new_strategy, parse_strategy
from small_text_comal.host import initialize_learner, make_dataset, model_arguments


def main() -> None:
    """Query, label and train for some rounds, and measure after each."""
    parser = example_parser("Query documents of your own with CoMAL.", data_required=True)
    parser.add_argument(
        "--strategy", metavar="NAME", help="another strategy, of this package or small-text (default: CoMAL)"
    )
    options = parser.parse_args()
    keep_libraries_quiet()
    set_seed(options.seed)
    with input_errors(parser):
        corpus = load_corpus(options.data, options.test_data, seed=options.seed)
        num_classes = len(corpus.labels)
        n_initial = initial_size(corpus, rounds=options.rounds, batch=options.batch)
        tokenizer = AutoTokenizer.from_pretrained(options.model)
        other = new_strategy(parse_strategy(options.strategy), options.seed) if options.strategy else None

    # TransformersDataset.from_arrays(texts, y, tokenizer, target_labels=np.arange(num_classes), max_length=128)
    train, valid, test = (
        make_dataset(part.texts, part.y, tokenizer, num_classes=num_classes, max_length=128)
        for part in (corpus.pool, corpus.validation, corpus.test)
    )
    # small-text 1.x: TransformerModelArguments(name) here, and "mini_batch_size": 12 for the classifier;
    # small-text 2.x: TransformerModelArguments(name, train_batch_size=12, predict_batch_size=12)
    model_args, batch_size = model_arguments(options.model, train_batch_size=12, predict_batch_size=12)
    settings = {"multi_label": True, "lr": options.learning_rate, **batch_size}
    # your script needs one of these: a sentence encoder stays as it is, any other encoder is fine-tuned
    if is_sentence_encoder(options.model):
        new_factory, keywords = CoMALEmbeddingClassificationFactory, {"label_names": corpus.labels}
    else:
        new_factory, keywords = CoMALClassificationFactory, {**settings, "frozen_layers": options.frozen_layers}

    # before: clf_factory = TransformerBasedClassificationFactory(model_args, num_classes, settings)
    clf_factory = new_factory(model_args, num_classes, keywords)  # changed, 1 of 2
    # before: query_strategy = RandomSampling()
    query_strategy = CoMAL(seed=options.seed)  # changed, 2 of 2

    learner = PoolBasedActiveLearner(clf_factory, other or query_strategy, train, fit_kwargs={"validation_set": valid})
    initial = label_covering_initialization(train.y, n_initial, seed=options.seed)
    # small-text 1.x: learner.initialize_data(initial, train.y[initial]); small-text 2.x: learner.initialize(initial)
    initialize_learner(learner, initial, train.y[initial])
    report(learner, test)
    for _ in range(options.rounds):
        queried = learner.query(num_samples=options.batch)
        learner.update(train.y[queried])  # the labels that your annotators give to train[queried]
        report(learner, test)


def report(learner: PoolBasedActiveLearner, test: Any) -> None:
    """Print how well the classifier labels the test documents."""
    predicted = learner.classifier.predict(test)
    micro = f1_score(test.y, predicted, average="micro", zero_division=0)
    macro = f1_score(test.y, predicted, average="macro", zero_division=0)
    print(f"{len(learner.indices_labeled):>6} labeled: micro-F1 {micro:.3f}, macro-F1 {macro:.3f}", flush=True)


if __name__ == "__main__":
    main()

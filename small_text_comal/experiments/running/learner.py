"""small-text's active learner as a run uses it: one round at a time, every round from its own seeds."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import torch

from small_text_comal import host
from small_text_comal.classifiers.factories import CoMALClassificationFactory
from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.documents import Documents, length_sorted_batches
from small_text_comal.experiments.data.corpus import Corpus, TextSet
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.options.strategies import StrategySpec, new_strategy, quiet_query_keywords
from small_text_comal.experiments.running.protocol import RoundSeeds, Split
from small_text_comal.experiments.running.resources import describe_device

__all__ = ["SmallTextLearner"]


class SmallTextLearner:
    """Trains and queries with small-text; see `rounds.Learner`.

    Each round has a new learner, strategy and classifier, so that it depends only on the labels and its own seeds. The
    frozen layers' output is stored for all rounds, and in `cache_folder` for all runs. It is computed at the start, in
    the same batches in every run: other batches would change the last bits, and with them the indices of a resumed run.

    Parameters
    ----------
    corpus : all documents, in an order that is the same for all runs
    split : documents of the run's seed
    config, spec : options
    strategy : what queries
    """

    def __init__(
        self, corpus: Corpus, split: Split, config: ExperimentConfig, *, spec: DatasetSpec, strategy: StrategySpec
    ) -> None:
        from transformers import AutoTokenizer

        self._config, self._strategy = config, strategy
        self._num_classes = len(corpus.label_names)
        self._max_length = spec.max_length or config.encoder.max_length
        self._tokenizer = AutoTokenizer.from_pretrained(config.encoder.model)
        self._pool = split.pool
        self._pool_set, self._validation_set, self._test_set = (self._dataset(part) for part in split)
        self._factory = self._new_factory()
        self._prepare_frozen_layers(corpus)
        self._learner: Any = None
        self._seeds: RoundSeeds | None = None

    def _dataset(self, part: TextSet) -> Any:
        return host.make_dataset(
            part.texts, part.y, self._tokenizer, num_classes=self._num_classes, max_length=self._max_length
        )

    def _new_factory(self) -> CoMALClassificationFactory:
        training = self._config.training
        arguments, keywords = host.model_arguments(
            self._config.encoder.model,
            train_batch_size=training.batch_size,
            predict_batch_size=training.predict_batch_size,
        )
        keywords |= {
            "branch": self._config.branch if self._strategy.needs_branch else None,
            "frozen_layers": self._config.encoder.frozen_layers,
            "num_epochs": training.max_epochs,
            "lr": training.learning_rate,
            "patience": training.patience,
            "device": describe_device(self._config.execution.device)["type"],
        }
        cache = FeatureCacheArguments(folder=self._config.execution.resolved_cache_folder())
        return CoMALClassificationFactory(arguments, self._num_classes, keywords, feature_cache=cache)

    def _prepare_frozen_layers(self, corpus: Corpus) -> None:
        classifier = self._factory.new()
        for part in (corpus.train, corpus.validation, corpus.test):
            if part is None:
                continue
            dataset = self._dataset(part)
            documents = Documents(dataset.data)
            batches = list(length_sorted_batches(documents.lengths, classifier.predict_batch * documents.padded_length))
            # runs that share a folder and start together should not compute the same batch at the same time
            random.Random(os.getpid()).shuffle(batches)
            for batch in batches:  # each is one segment of the cache: stored whole or not at all
                classifier.precompute(dataset[batch])

    def fit(self, labeled: np.ndarray, seeds: RoundSeeds) -> None:
        """Train a new model on the labeled documents, at positions in the pool."""
        self._seeds = seeds
        _seed_global_generators(seeds.torch, seeds.numpy)
        fit_kwargs: dict[str, Any] = {"validation_set": self._validation_set}
        if self._config.training.patience == 0:
            fit_kwargs["early_stopping"] = "none"
        strategy = new_strategy(self._strategy, seeds.strategy)
        self._learner = host.PoolBasedActiveLearner(self._factory, strategy, self._pool_set, fit_kwargs=fit_kwargs)
        host.initialize_learner(self._learner, labeled, self._pool.y[labeled])

    @property
    def classifier(self) -> Any:
        """The classifier of the last `fit`."""
        return self._learner.classifier

    def test_probabilities(self) -> np.ndarray:
        """Return the probabilities (N, C) of the test documents."""
        return self.classifier.label_probabilities(self._test_set)

    def query(self, n: int) -> np.ndarray:
        """Return n positions of the pool that are not labeled."""
        assert self._seeds is not None
        # what a strategy draws must not depend on how much training drew
        _seed_global_generators(self._seeds.strategy, self._seeds.strategy)
        keywords = quiet_query_keywords(self._learner.query_strategy)
        return self._learner.query(num_samples=n, query_strategy_kwargs=keywords)

    def label_embeddings(self, positions: np.ndarray) -> np.ndarray:
        """Return the latent vectors (len(positions), C, Z) of pool documents; only with a contrastive branch."""
        documents = self._pool_set[positions]
        return torch.cat(list(self.classifier.label_embeddings(documents))).numpy()


def _seed_global_generators(torch_seed: int, numpy_seed: int) -> None:
    """Seed the generators that transformers and small-text draw from; only runs do this, never the package."""
    torch.manual_seed(torch_seed)
    np.random.seed(numpy_seed)  # noqa: NPY002 (small-text's strategies draw from it)
    random.seed(numpy_seed)

"""small-text's active learner as a run uses it: one round at a time, every round from its own seeds."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from small_text_comal import host
from small_text_comal.experiments.data.corpus import Corpus
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.options.strategies import StrategySpec, new_strategy, quiet_query_keywords
from small_text_comal.experiments.running.classifiers import CLASSIFIERS, ClassifierOfRun, RunSetting
from small_text_comal.experiments.running.protocol import RoundSeeds, Split

__all__ = ["SmallTextLearner"]


class SmallTextLearner:
    """Trains and queries with small-text; see `rounds.Learner`.

    Each round has a new learner, strategy and classifier, so that it depends only on the labels and its own seeds. The
    features that no round changes are computed at the start and stored for all rounds, and in `cache_folder` for all
    runs: computed in other batches they would have other last bits, and a resumed run other indices.

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
        self._strategy = strategy
        max_length = spec.max_length or config.encoder.max_length
        setting = RunSetting(config, corpus.label_names, max_length, strategy.needs_branch)
        self._classifier: ClassifierOfRun = CLASSIFIERS[config.classifier.classifier](setting)
        self._pool = split.pool
        self._pool_set, self._validation_set, self._test_set = map(self._classifier.dataset, split)
        for part in (corpus.train, corpus.validation, corpus.test):
            if part is not None:
                self._classifier.precompute(part)
        self._learner: Any = None
        self._seeds: RoundSeeds | None = None

    def fit(self, labeled: np.ndarray, seeds: RoundSeeds) -> None:
        """Train a new model on the labeled documents, at positions in the pool."""
        self._seeds = seeds
        _seed_global_generators(seeds.torch, seeds.numpy)
        fit_kwargs = self._classifier.fit_kwargs(self._validation_set)
        strategy = new_strategy(self._strategy, seeds.strategy)
        self._learner = host.PoolBasedActiveLearner(
            self._classifier.factory, strategy, self._pool_set, fit_kwargs=fit_kwargs
        )
        host.initialize_learner(self._learner, labeled, self._pool.y[labeled])

    @property
    def classifier(self) -> Any:
        """The classifier of the last `fit`."""
        return self._learner.classifier

    def test_probabilities(self) -> np.ndarray:
        """Return the probabilities (N, C) of the test documents."""
        return self.classifier.label_probabilities(self._test_set)

    @property
    def thresholds(self) -> np.ndarray:
        """The cuts (C,) at which the classifier predicts labels."""
        return self.classifier.thresholds

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

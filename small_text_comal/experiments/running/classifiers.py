"""The classifiers that a comparison can run, by name. A new one is a class here or in a file of its own, and a line."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from small_text_comal import host
from small_text_comal.classifiers.any_host import WithContrastiveBranch
from small_text_comal.classifiers.factories import CoMALClassificationFactory, CoMALEmbeddingClassificationFactory
from small_text_comal.config import ContrastiveBranchArguments, FeatureCacheArguments
from small_text_comal.encoder.documents import Documents, length_sorted_batches
from small_text_comal.encoder.sentence.vector_cache import VectorCache
from small_text_comal.encoder.sentence_encoder import SentenceEncoder
from small_text_comal.experiments.data.corpus import TextSet
from small_text_comal.experiments.options.config import ExperimentConfig
from small_text_comal.experiments.running.resources import describe_device

__all__ = ["CLASSIFIERS", "ClassifierOfRun", "RunSetting"]


class RunSetting(NamedTuple):
    """What the classifier of a run is made for.

    `config` of the experiment; `label_names` of the corpus; `max_length` tokens per document; `needs_branch`: whether
    the strategy wants the contrastive branch.
    """

    config: ExperimentConfig
    label_names: Sequence[str]
    max_length: int
    needs_branch: bool

    @property
    def branch(self) -> ContrastiveBranchArguments | None:
        """Options of the branch, None where no strategy needs one."""
        return self.config.branch if self.needs_branch else None

    @property
    def cache(self) -> FeatureCacheArguments:
        """Where features are stored."""
        return FeatureCacheArguments(folder=self.config.execution.resolved_cache_folder())

    @property
    def names(self) -> list[str] | None:
        """The labels' names, unless the experiment leaves them out."""
        return list(self.label_names) if self.config.classifier.label_names else None


class ClassifierOfRun(Protocol):
    """How one kind of classifier sees documents, is made, and is fitted."""

    factory: Any

    def dataset(self, part: TextSet) -> Any:
        """Return the documents as the classifier takes them."""

    def fit_kwargs(self, validation_set: Any) -> dict[str, Any]:
        """Return the keywords of each fit."""

    def precompute(self, part: TextSet) -> None:
        """Compute and store what does not change from round to round."""


class EmbeddingOfRun:
    """A convex head on sentence embeddings. It spends no labels on validation."""

    def __init__(self, setting: RunSetting) -> None:
        options = setting.config
        encoder = SentenceEncoder(
            options.encoder.model,
            max_length=setting.max_length,
            device=describe_device(options.execution.device)["type"],
            cache=VectorCache(setting.cache),
        )
        keywords = {
            "branch": setting.branch,
            "label_names": setting.names,
            "threshold": options.classifier.cut,
        }
        self._num_classes = len(setting.label_names)
        self.factory = CoMALEmbeddingClassificationFactory(encoder, self._num_classes, keywords)

    def dataset(self, part: TextSet) -> Any:
        """Return a TextDataset."""
        return host.make_text_dataset(part.texts, part.y, num_classes=self._num_classes)

    def fit_kwargs(self, validation_set: Any) -> dict[str, Any]:
        """Return none: nothing is stopped early."""
        return {}

    def precompute(self, part: TextSet) -> None:
        """Embed the documents."""
        self.factory.new().precompute(self.dataset(part))


class TransformerOfRun:
    """Fine-tuning, with the layers frozen that the experiment names; the output of frozen layers is stored."""

    def __init__(self, setting: RunSetting) -> None:
        from transformers import AutoTokenizer

        self._setting = setting
        self._tokenizer = AutoTokenizer.from_pretrained(setting.config.encoder.model)
        self._num_classes = len(setting.label_names)
        training = setting.config.training
        arguments, keywords = host.model_arguments(
            setting.config.encoder.model,
            train_batch_size=training.batch_size,
            predict_batch_size=training.predict_batch_size,
        )
        keywords |= {
            "branch": setting.branch,
            "frozen_layers": setting.config.encoder.frozen_layers,
            "threshold": setting.config.classifier.cut,
            "num_epochs": training.max_epochs,
            "lr": training.learning_rate,
            "patience": training.patience,
            "device": describe_device(setting.config.execution.device)["type"],
        }
        self.factory = CoMALClassificationFactory(arguments, self._num_classes, keywords, feature_cache=setting.cache)

    def dataset(self, part: TextSet) -> Any:
        """Return a TransformersDataset."""
        return host.make_dataset(
            part.texts, part.y, self._tokenizer, num_classes=self._num_classes, max_length=self._setting.max_length
        )

    def fit_kwargs(self, validation_set: Any) -> dict[str, Any]:
        """Return the validation set, and no early stopping where the experiment asks for none."""
        stopping = {"early_stopping": "none"} if self._setting.config.training.patience == 0 else {}
        return {"validation_set": validation_set, **stopping}

    def precompute(self, part: TextSet) -> None:
        """Run the frozen layers, in the same batches in every run: other batches would change the last bits."""
        classifier, dataset = self.factory.new(), self.dataset(part)
        documents = Documents(dataset.data)
        batches = list(length_sorted_batches(documents.lengths, classifier.predict_batch * documents.padded_length))
        # runs that share a folder and start together should not compute the same batch at the same time
        random.Random(os.getpid()).shuffle(batches)
        for batch in batches:  # each is one segment of the cache: stored whole or not at all
            classifier.precompute(dataset[batch])


class SetFitOfRun(EmbeddingOfRun):
    """small-text's SetFit with its own defaults, carrying the branch and the cuts."""

    def __init__(self, setting: RunSetting) -> None:
        self._num_classes = len(setting.label_names)
        factory = host.setfit_factory(
            setting.config.encoder.model,
            self._num_classes,
            max_length=setting.max_length,
            device=describe_device(setting.config.execution.device)["type"],
        )
        self.factory = WithContrastiveBranch(factory, branch=setting.branch, threshold=setting.config.classifier.cut)

    def precompute(self, part: TextSet) -> None:
        """Nothing stays the same: SetFit trains its encoder in every round."""


CLASSIFIERS: dict[str, type[Any]] = {
    "embedding": EmbeddingOfRun,
    "transformer": TransformerOfRun,
    "setfit": SetFitOfRun,
}

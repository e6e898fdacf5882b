"""Features, probabilities and dropout passes of a transformer classifier, by way of the encoder's shortcuts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from small_text_comal.classifiers.branch_owner import BranchOwner
from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.document_encoder import DocumentEncoder
from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen.dropout_masks import one_sampled_network
from small_text_comal.encoder.frozen.feature_cache import FeatureCache
from small_text_comal.encoder.frozen.precision import Precision
from small_text_comal.encoder.known_features import KnownFeatures
from small_text_comal.host import HostClassification
from small_text_comal.method.label_space import FeatureBatch

__all__ = ["TransformerFeatures"]


class TransformerFeatures(BranchOwner, HostClassification):
    """What a transformer classifier knows of documents once it is trained; CoMALClassification adds the training.

    Parameters
    ----------
    transformer_model_args : small-text's TransformerModelArguments
    num_classes : C
    frozen_layers, feature_cache : see CoMALClassification
    **host_keywords : of the host's TransformerBasedClassification
    """

    def __init__(
        self,
        transformer_model_args: Any,
        num_classes: int,
        *,
        frozen_layers: int | None,
        feature_cache: FeatureCache | FeatureCacheArguments | None,
        **host_keywords: Any,
    ) -> None:
        super().__init__(transformer_model_args, num_classes, **host_keywords)
        self.frozen_layers = frozen_layers
        self.feature_cache = feature_cache if isinstance(feature_cache, FeatureCache) else FeatureCache(feature_cache)
        self._encoder: DocumentEncoder | None = None
        self._fitted: KnownFeatures | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_encoder": None, "_fitted": None}

    def document_encoder(self) -> DocumentEncoder:
        """Return the engine that turns documents into feature vectors.

        Raises
        ------
        ValueError
            Before the first fit.
        """
        if self.model is None:
            raise ValueError("the classifier has no model yet: call fit() first")
        precision, encoder = Precision(**self.autocast_options), self._encoder
        if encoder is None or encoder.model is not self.plain_model or encoder.precision != precision:
            self._encoder = encoder = DocumentEncoder(
                self.plain_model,
                self.num_classes,
                frozen_layers=self.frozen_layers,
                cache=self.feature_cache if self.feature_cache.arguments.enabled else None,
                precision=precision,
                compile_model=self.wants_compile,
            )
        return encoder

    def _model_loaded(self) -> None:
        self._encoder = None
        self.document_encoder().freeze()  # before an optimizer is made

    def precompute(self, dataset: Any) -> None:
        """Load the model and put the frozen layers' output for `dataset` into the cache, before any fit."""
        self._ensure_model()
        self.document_encoder().prepare(Documents(dataset.data), self.predict_batch, progress=self.wants_progress)

    def _ensure_model(self) -> None:
        if self.model is None:
            self.load_model()
        self.model = self.model.to(self.device)

    def label_probabilities(self, dataset: Any) -> np.ndarray:
        """Return the probability of every label, (N, C) float32, dense on every release.

        Raises
        ------
        ValueError
            Before `fit`.
        """
        probabilities = np.empty((len(dataset), self.num_classes), dtype=np.float32)
        for batch in self._feature_batches(dataset):
            with torch.inference_mode():
                probabilities[batch.rows] = torch.sigmoid(self._logits(batch.features)).cpu().numpy()
        return probabilities

    def sampled_probabilities(self, dataset: Any, samples: int = 10, *, seed: int | None = None) -> np.ndarray:
        """Return the probabilities of `samples` passes with dropout on, (samples, N, C) float32.

        A pass is one sampled network: the same units are dropped for all documents. Dropout acts in the layers that
        are not frozen, on their outputs; attention weights are not dropped. The global random state is not touched.

        Raises
        ------
        ValueError
            Before `fit`, or when samples < 1.
        """
        if samples < 1:
            raise ValueError(f"samples: expected an integer >= 1, got {samples}")
        documents, generator = Documents(dataset.data), torch.Generator()
        if seed is None:
            generator.seed()
        else:
            generator.manual_seed(seed)
        result = np.empty((samples, len(documents), self.num_classes), dtype=np.float32)
        encoder = self.document_encoder()
        encoder.prepare(documents, self.predict_batch, progress=self.wants_progress)
        for sample in range(samples):
            with torch.inference_mode(), one_sampled_network(encoder.dropout_modules(), generator):
                for rows, features in encoder.stream(documents, self.predict_batch):
                    result[sample, rows] = torch.sigmoid(encoder.logits(features)).cpu().numpy()
        return result

    def _feature_batches(self, dataset: Any) -> Iterator[FeatureBatch]:
        return self._batches(Documents(dataset.data))

    def _new_features(self, n_documents: int) -> Tensor:
        encoder = self.document_encoder()
        return torch.empty((n_documents, encoder.head.in_features), dtype=torch.float32, device=encoder.device)

    def _logits(self, features: Tensor) -> Tensor:
        return self.document_encoder().logits(features)

    def _batches(self, documents: Documents) -> Iterator[FeatureBatch]:
        """Features of all documents; those of the last fit are known and not computed again."""
        fitted = self._fitted
        known = fitted.rows_of(documents, self.plain_model) if fitted is not None else np.empty(0, dtype=int)
        if fitted is not None:
            yield from fitted.batches(documents, known)
        rest = np.setdiff1d(np.arange(len(documents)), known)
        left = documents if len(rest) == len(documents) else documents.subset(rest)
        for batch in self.document_encoder().stream(left, self.predict_batch, progress=self.wants_progress):
            yield FeatureBatch(rest[batch.rows], batch.features)

"""CoMALClassification: small-text's transformer classifier with a contrastive branch."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from small_text_comal.classifiers.contract import check_options
from small_text_comal.classifiers.training_data import LabeledDocuments, dataset_labels, training_sets
from small_text_comal.classifiers.transformer_features import TransformerFeatures
from small_text_comal.classifiers.transformer_training import (
    BestWeights,
    ClassifierTrainer,
    KeepLast,
    Selection,
    TrainingPlan,
)
from small_text_comal.classifiers.useless_predictions import warn_if_nothing_is_predicted
from small_text_comal.config import ContrastiveBranchArguments, FeatureCacheArguments
from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen.feature_cache import FeatureCache
from small_text_comal.encoder.known_features import KnownFeatures
from small_text_comal.host import HostSelection
from small_text_comal.method.branch_training import BranchTrainer, LabeledFeatures
from small_text_comal.method.folds import out_of_fold_probabilities
from small_text_comal.method.logistic_head import fit_logistic_head
from small_text_comal.method.thresholds import checked_thresholds, label_thresholds

__all__ = ["CoMALClassification"]

_STAND_IN_L2 = 0.03


class CoMALClassification(TransformerFeatures):
    """A multi-label transformer classifier that carries the contrastive branch of CoMAL.

    `fit`, `predict`, `predict_proba` and `embed` keep the contract of the installed small-text release. The frozen
    layers run in evaluation mode, once for each document, and their output is kept (see FeatureCacheArguments).

    Parameters
    ----------
    transformer_model_args : small-text's TransformerModelArguments
    num_classes : C
    branch : options of the contrastive branch; None trains the classifier alone, which is all that strategies
        without a branch need
    frozen_layers : layers to freeze with the embeddings; None: the embeddings and three quarters of the layers, as in
        the paper; 0: nothing
    feature_cache : options of the cache of frozen-layer output, or a cache to share
    multi_label : must be True
    num_epochs, lr : at most 50 epochs, AdamW at a constant 1e-4
    threshold : "auto" fits a cut for each label, on the validation set that `fit` is given, or else on folds of the
        labeled documents; a number, or C of them, sets the cuts; 0.5 is small-text's
    patience : epochs without a better validation loss before training stops, unless `fit` is told otherwise
    **host_keywords : every other keyword of the host's TransformerBasedClassification, with the host's meaning

    Attributes
    ----------
    branch : the fitted ContrastiveBranch, or None
    history : measured values of the last fit, {"classifier": [...], "branch": [...]}, one record an epoch

    Raises
    ------
    ValueError
        When multi_label is False or an option is out of range.
    """

    def __init__(
        self,
        transformer_model_args: Any,
        num_classes: int,
        *,
        branch: ContrastiveBranchArguments | None = ContrastiveBranchArguments(),  # noqa: B008 (frozen)
        frozen_layers: int | None = None,
        feature_cache: FeatureCache | FeatureCacheArguments | None = None,
        multi_label: bool = True,
        num_epochs: int = 50,
        lr: float = 1e-4,
        patience: int = 6,
        threshold: str | float | np.ndarray = "auto",
        **host_keywords: Any,
    ) -> None:
        check_options(num_classes, multi_label=multi_label, branch=branch)
        super().__init__(
            transformer_model_args,
            num_classes,
            frozen_layers=frozen_layers,
            feature_cache=feature_cache,
            multi_label=True,
            num_epochs=num_epochs,
            lr=lr,
            **host_keywords,
        )
        self.branch_arguments = branch
        self.patience = patience
        self.threshold = checked_thresholds(threshold, num_classes)
        self._thresholds = self.threshold
        self.history: dict[str, list[dict[str, Any]]] = {}

    def fit(
        self,
        train_set: Any,
        validation_set: Any = None,
        weights: np.ndarray | None = None,
        early_stopping: Any = None,
        model_selection: Any = None,
        optimizer: Any = None,
        scheduler: Any = None,
    ) -> CoMALClassification:
        """Train the classifier and its branch (paper Algorithm 2), and return self.

        Parameters
        ----------
        train_set, validation_set : TransformersDataset, multi-label; without a validation set a share of
            `validation_set_size` is split off, and no label loses its last positive by that
        weights : (N,) sample weights of the classifier's loss, or None
        early_stopping : a small-text handler, 'none', or None for patience on the validation loss
        model_selection : a small-text handler, 'none', or None for the best weights by validation loss, in memory
        optimizer, scheduler : of PyTorch, or None for AdamW at a constant rate

        Raises
        ------
        ValueError
            On an empty training set, one without any positive label, labels outside the classes, single-label data.
        FloatingPointError
            On a NaN or infinite loss.
        """
        self.check_training_data(train_set, validation_set, weights)
        train, valid = training_sets(
            train_set,
            validation_set,
            num_classes=self.num_classes,
            validation_share=self.validation_set_size,
            weights=weights,
        )
        self._fitted = None
        self._ensure_model()
        trainer = self._branch_trainer()
        selection = self._selection(model_selection)
        optimizer, scheduler = self.optimizer_and_scheduler(optimizer, scheduler, len(train.documents))
        plan = TrainingPlan(
            optimizer=optimizer,
            scheduler=scheduler,
            early_stopping=self.stopping(early_stopping, patience=self.patience, has_validation=valid is not None),
            selection=selection,
            epochs=self.num_epochs,
            batch_size=self.train_batch,
            predict_batch=self.predict_batch,
            pos_weight=self.positive_weights(train_set),
            validations_per_epoch=self.validations_per_epoch,
            mixed_precision=self.mixed_precision,
            progress=self.wants_progress,
            on_epoch=lambda epoch, measured: self.log(f"Epoch {epoch}: {measured}"),
        )
        history = ClassifierTrainer(self.document_encoder(), plan, trainer).fit(train, valid)
        self.history = {"classifier": history, "branch": []}
        self._know_features(train, valid)
        self._thresholds = self.threshold
        if self.threshold is None:
            self._thresholds = self._fitted_thresholds(train_set, validation_set)
        labels = dataset_labels(train_set, self.num_classes, "training set")
        warn_if_nothing_is_predicted(self.label_probabilities(train_set), self.thresholds, labels)
        if trainer is not None:
            self._fit_branch(trainer, train, valid)
        return self

    @property
    def thresholds(self) -> np.ndarray:
        """The cut at which each label is predicted, (C,) float32; 0.5 for all before the first fit."""
        return np.full(self.num_classes, 0.5, dtype=np.float32) if self._thresholds is None else self._thresholds

    def _fitted_thresholds(self, train_set: Any, validation_set: Any) -> np.ndarray:
        """Cuts for the classifier's own probabilities, on documents that it was not trained on.

        Without validation documents of the user's, a convex head on the final features stands in for the classifier:
        its probabilities of held-back folds are calibrated alike, which those of documents trained on are not.
        """
        if validation_set is not None and len(validation_set):
            labels = dataset_labels(validation_set, self.num_classes, "validation set")
            return label_thresholds(self.label_probabilities(validation_set), labels)
        labels, features = dataset_labels(train_set, self.num_classes, "training set"), self.features(train_set)
        features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        held_back = out_of_fold_probabilities(features, labels, partial(fit_logistic_head, l2=_STAND_IN_L2))
        return label_thresholds(held_back, labels)

    def _selection(self, model_selection: Any) -> Selection:
        if not self.selects_models(model_selection):
            return KeepLast()
        if hasattr(model_selection, "add_model"):
            return HostSelection(model_selection, self.plain_model)
        return BestWeights(self.plain_model)

    def _know_features(self, train: LabeledDocuments, valid: LabeledDocuments | None) -> None:
        """Compute the features of the documents of this fit once: for cuts, branch and the next query."""
        keys = [key for part in (train, valid) if part is not None for key in part.documents.keys]
        features = [self._documents_features(part.documents) for part in (train, valid) if part is not None]
        self._fitted = KnownFeatures(keys, torch.cat(features), self.plain_model)

    def _documents_features(self, documents: Documents) -> Tensor:
        return self._gathered(self._batches(documents), len(documents))

    def _fit_branch(self, trainer: BranchTrainer, train: LabeledDocuments, valid: LabeledDocuments | None) -> None:
        """Phase 2: the classifier is fixed, and the branch goes on alone on its features."""
        inputs = [
            LabeledFeatures(self._documents_features(part.documents), part.labels.to(self.device))
            for part in (train, valid)
            if part is not None
        ]
        self.history["branch"] = trainer.fit(*inputs, progress=self.wants_progress)

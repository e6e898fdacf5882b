"""WithContrastiveBranch: any small-text classifier with `embed` carries the branch, dense probabilities and cuts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from small_text_comal.classifiers.branch_owner import BranchOwner
from small_text_comal.classifiers.contract import check_options
from small_text_comal.classifiers.training_data import dataset_labels, split_keeping_labels
from small_text_comal.classifiers.useless_predictions import warn_if_nothing_is_predicted
from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.host import (
    AbstractClassifierFactory,
    Classifier,
    MultiLabelPredictions,
    dense_probabilities,
    ends_in_sklearn_head,
    feature_vectors,
    sklearn_head,
)
from small_text_comal.method.branch_training import LabeledFeatures
from small_text_comal.method.folds import out_of_fold_probabilities
from small_text_comal.method.label_space import FeatureBatch, LabelSpace
from small_text_comal.method.thresholds import checked_thresholds, label_thresholds

__all__ = ["HostClassifierWithBranch", "WithContrastiveBranch"]

_HELD_BACK = 0.2  # share of the labeled documents that cuts are fitted on where the host has no head to fit again


class WithContrastiveBranch(AbstractClassifierFactory):
    """A factory around another one: each of its classifiers carries the contrastive branch on its `embed` vectors.

    Parameters
    ----------
    factory : of a multi-label classifier of small-text that has `embed`: SetFit, KimCNN
    branch : options of the contrastive branch; None leaves it out
    threshold : "auto" fits a cut for each label; a number, or C of them, sets the cuts; 0.5 is small-text's

    Raises
    ------
    ValueError
        When the factory's classifiers are single-label or have no `embed`, or an option is out of range.
    """

    def __init__(
        self,
        factory: AbstractClassifierFactory,
        *,
        branch: ContrastiveBranchArguments | None = ContrastiveBranchArguments(),  # noqa: B008 (frozen)
        threshold: str | float | np.ndarray = "auto",
    ) -> None:
        self.factory = factory
        self.branch = branch
        self.threshold = threshold
        self.new()  # options that are wrong fail here, before any document is labeled

    def new(self) -> HostClassifierWithBranch:
        """Return a new, unfitted classifier."""
        return HostClassifierWithBranch(self.factory.new(), branch=self.branch, threshold=self.threshold)


class _RefittedHead(NamedTuple):
    """A head of the host's own kind, fitted again to other documents."""

    head: Any

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return probabilities (N, C)."""
        return self.head.predict_proba(features)


def _refitted(head: Any, features: np.ndarray, labels: np.ndarray, *, sample_weights: Any = None) -> _RefittedHead:
    return _RefittedHead(clone(head).fit(features, labels))


class HostClassifierWithBranch(BranchOwner, MultiLabelPredictions, Classifier):
    """A classifier of small-text whose features a contrastive branch is trained on; made by `WithContrastiveBranch`.

    Probabilities are the host's own. What is not named here (`model`, `validate`, ...) is the host classifier's.

    Parameters
    ----------
    classifier : the host's classifier
    branch, threshold : see `WithContrastiveBranch`
    """

    def __init__(
        self,
        classifier: Any,
        *,
        branch: ContrastiveBranchArguments | None,
        threshold: str | float | np.ndarray,
    ) -> None:
        name = type(classifier).__name__
        if not getattr(classifier, "multi_label", False):
            raise ValueError(f"expected a multi-label classifier, got {name}: give its factory multi_label=True")
        if not hasattr(classifier, "embed"):
            raise ValueError(f"expected a classifier with a method embed, got {name}: its features cannot be read")
        check_options(classifier.num_classes, multi_label=True, branch=branch)
        self.classifier = classifier
        self.num_classes = classifier.num_classes
        self.multi_label = True
        self.branch_arguments = branch
        self.threshold = checked_thresholds(threshold, self.num_classes)
        self.history: dict[str, list[dict[str, float]]] = {}
        self._thresholds = self.threshold
        self._feature_size: int | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "classifier" or name.startswith("__"):  # not there yet while unpickling
            raise AttributeError(name)
        return getattr(self.classifier, name)

    def fit(self, train_set: Any, validation_set: Any = None, **host_keywords: Any) -> HostClassifierWithBranch:
        """Fit the host's classifier, then cuts and branch on its features, and return self.

        Parameters
        ----------
        train_set, validation_set : what the host's `fit` takes. Cuts are fitted on the validation documents; without
            any, on folds over the final features where the host ends in a scikit-learn head, else on a fifth of the
            labeled documents, which is held back from training
        **host_keywords : other keywords of the host's `fit`
        """
        labels = dataset_labels(train_set, self.num_classes, "training set")
        train, rows = train_set, np.arange(len(labels))
        if self.threshold is None and validation_set is None and not ends_in_sklearn_head(self.classifier):
            rows, held_back = split_keeping_labels(labels, _HELD_BACK)
            train, validation_set = train_set[rows], train_set[held_back] if len(held_back) else None
        self.classifier.fit(train, validation_set=validation_set, **host_keywords)
        features = self._embedded(train)
        self._feature_size = features.shape[1]
        if self.threshold is None:
            self._thresholds = self._fitted_thresholds(train, features, labels[rows], validation_set)
        warn_if_nothing_is_predicted(self.label_probabilities(train), self.thresholds, labels[rows])
        trainer = self._branch_trainer()
        if trainer is not None:
            known = LabeledFeatures(torch.from_numpy(features), torch.from_numpy(labels[rows]))
            self.history = {"branch": trainer.fit(known)}
        return self

    def _fitted_thresholds(
        self, train_set: Any, features: np.ndarray, labels: np.ndarray, validation_set: Any
    ) -> np.ndarray:
        if validation_set is not None:
            labels = dataset_labels(validation_set, self.num_classes, "validation set")
            return label_thresholds(self.label_probabilities(validation_set), labels)
        head = sklearn_head(self.classifier)
        if head is None:  # and too few documents to hold one back: their own probabilities are all there is
            return label_thresholds(self.label_probabilities(train_set), labels)
        return label_thresholds(out_of_fold_probabilities(features, labels, partial(_refitted, head)), labels)

    @property
    def thresholds(self) -> np.ndarray:
        """The cut above which each label is predicted, (C,) float32."""
        if self._thresholds is None:
            raise ValueError("the cuts are not fitted yet: call fit() first")
        return self._thresholds

    def label_probabilities(self, dataset: Any) -> np.ndarray:
        """Return the host's probability of every label, (N, C) float32, dense on every release."""
        return dense_probabilities(self.classifier, dataset).astype(np.float32)

    def embed(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """Embed as the host does."""
        return self.classifier.embed(dataset, *args, **kwargs)

    def label_space(
        self, pool: Any, labeled: Any, labels: np.ndarray, *, branch_probabilities: bool = True
    ) -> LabelSpace:
        """Return where documents stand among the labels; the probabilities are the host's own."""
        space = super().label_space(pool, labeled, labels, branch_probabilities=branch_probabilities)
        return space._replace(probabilities=self.label_probabilities(pool))

    def _embedded(self, dataset: Any) -> np.ndarray:
        return feature_vectors(self.classifier, dataset)

    def _feature_batches(self, dataset: Any) -> Iterator[FeatureBatch]:
        features = self._embedded(dataset)
        yield FeatureBatch(np.arange(len(features)), torch.from_numpy(features))

    def _new_features(self, n_documents: int) -> Tensor:
        return torch.empty((n_documents, self._feature_size or 0), dtype=torch.float32)

    def _logits(self, features: Tensor) -> Tensor:
        return features.new_zeros((len(features), self.num_classes))  # `label_space` asks the host instead

    def _opinions(self, dataset: Any, samples: int) -> np.ndarray:
        return self.classifier.predict_proba(dataset, dropout_sampling=samples)

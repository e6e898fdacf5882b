"""CoMALEmbeddingClassification: a convex head on sentence embeddings, useful from the first hundred labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from small_text_comal.classifiers.branch_owner import BranchOwner
from small_text_comal.classifiers.contract import check_options
from small_text_comal.classifiers.training_data import dataset_labels
from small_text_comal.classifiers.useless_predictions import warn_if_nothing_is_predicted
from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.sentence_encoder import SentenceEncoder
from small_text_comal.host import Classifier, MultiLabelPredictions, check_training_data, texts_of
from small_text_comal.method.branch_training import LabeledFeatures
from small_text_comal.method.folds import out_of_fold_probabilities
from small_text_comal.method.label_space import FeatureBatch
from small_text_comal.method.logistic_head import LogisticHead, bootstrap_heads, choose_l2, fit_logistic_head
from small_text_comal.method.thresholds import averaged_thresholds, checked_thresholds

__all__ = ["CoMALEmbeddingClassification"]

_OF_TRAINING = {"early_stopping", "model_selection", "optimizer", "scheduler"}
_BATCH_DOCUMENTS = 4096


class _LabeledPool(NamedTuple):
    """What the head was fitted to: features (L, D), labels (L, C), and sample weights (L,) or None."""

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None


class CoMALEmbeddingClassification(BranchOwner, MultiLabelPredictions, Classifier):
    """A multi-label classifier for few labels: logistic regression on sentence embeddings that stay fixed.

    Each document is embedded once for all rounds. A fit solves a convex problem, so it has no epochs, no learning rate
    and no seed, and takes about a second; the cuts above which a label is predicted are fitted on held-back folds.

    Parameters
    ----------
    encoder : a model's name or folder, small-text's TransformerModelArguments, a callable texts -> (N, D), or a
        SentenceEncoder to share
    num_classes : C
    label_names : names or short descriptions of the labels, which the head uses: a label without any positive is
        predicted by its name; None leaves them out
    branch : options of the contrastive branch; None leaves it out, for strategies other than CoMAL
    threshold : "auto" fits a cut for each label; a number, or C of them, sets the cuts; 0.5 is small-text's
    l2 : strength of the regularisation; "auto" chooses it by cross-validation, which takes several times as long and
        pays where labels are noisy
    ensemble : heads fitted on bootstrap samples when a strategy wants several opinions
    multi_label : must be True

    Attributes
    ----------
    branch : the fitted ContrastiveBranch, or None
    fitted_l2 : the regularisation of the last fit
    history : {"branch": [...]}, one record per epoch of the branch

    Raises
    ------
    ValueError
        When an option is out of range.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> from small_text import TextDataset
    >>> def embed(texts):  # stands for any library or service
    ...     return [[len(text), text.count("!")] for text in texts]
    >>> y = csr_matrix([[1, 0], [0, 1], [1, 1], [0, 0]])
    >>> train = TextDataset(["a long text", "!", "another!", "no"], y, target_labels=np.arange(2))
    >>> clf = CoMALEmbeddingClassification(embed, 2, branch=None).fit(train)
    >>> clf.label_probabilities(train).shape
    (4, 2)
    """

    def __init__(
        self,
        encoder: Any,
        num_classes: int,
        *,
        label_names: Sequence[str] | None = None,
        branch: ContrastiveBranchArguments | None = ContrastiveBranchArguments(),  # noqa: B008 (frozen)
        threshold: str | float | np.ndarray = "auto",
        l2: str | float = 0.03,
        ensemble: int = 10,
        multi_label: bool = True,
    ) -> None:
        check_options(num_classes, multi_label=multi_label, branch=branch)
        if l2 != "auto" and not (isinstance(l2, (int, float)) and l2 > 0):
            raise ValueError(f'l2: expected a number > 0 or "auto", got {l2!r}')
        self.num_classes = num_classes
        self.multi_label = True
        self.encoder = encoder if isinstance(encoder, SentenceEncoder) else SentenceEncoder(encoder)
        self.label_names = _checked_names(label_names, num_classes)
        self.branch_arguments = branch
        self.threshold = checked_thresholds(threshold, num_classes)
        self.l2 = l2
        self.ensemble = ensemble
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.fitted_l2 = 0.0
        self._head: LogisticHead | None = None
        self._thresholds = self.threshold
        self._labeled: _LabeledPool | None = None

    def fit(
        self, train_set: Any, validation_set: Any = None, weights: np.ndarray | None = None, **of_training: Any
    ) -> CoMALEmbeddingClassification:
        """Fit head, cuts and branch to the labeled documents, and return self.

        Parameters
        ----------
        train_set : TextDataset, or TransformersDataset made with the encoder's tokenizer; multi-label
        validation_set : None, or more documents; it has no use here, since a convex problem has nothing to stop early
            and the cuts come from folds of `train_set`
        weights : (N,) sample weights, or None
        **of_training : early_stopping, model_selection, optimizer and scheduler, which a script for a transformer
            classifier may pass, are accepted and have no effect

        Raises
        ------
        ValueError
            On an empty training set, labels outside the classes, single-label data, or a dataset of another kind than
            the encoder needs.
        """
        if unknown := sorted(set(of_training) - _OF_TRAINING):
            raise TypeError(f"fit: expected early_stopping, model_selection, optimizer or scheduler, got {unknown}")
        check_training_data(train_set, validation_set, weights)
        labels = dataset_labels(train_set, self.num_classes, "training set")
        if len(labels) == 0:
            raise ValueError("expected a training set with at least one document, got an empty one")
        self._labeled = labeled = _LabeledPool(self._embedded(train_set), labels, weights)
        names = self._name_vectors()
        self.fitted_l2 = self._chosen_l2(labeled, names)
        fit_head = partial(fit_logistic_head, l2=self.fitted_l2, label_vectors=names)
        self._head = fit_head(labeled.features, labels, sample_weights=weights)
        self._thresholds = self.threshold
        if self.threshold is None:
            held_back = out_of_fold_probabilities(labeled.features, labels, fit_head, sample_weights=weights)
            self._thresholds = averaged_thresholds(held_back, labels)
        warn_if_nothing_is_predicted(self._head.probabilities(labeled.features), self.thresholds, labels)
        trainer = self._branch_trainer()
        if trainer is not None:
            known = LabeledFeatures(torch.from_numpy(labeled.features), torch.from_numpy(labels))
            self.history = {"branch": trainer.fit(known)}
        return self

    def _chosen_l2(self, labeled: _LabeledPool, names: np.ndarray | None) -> float:
        if not isinstance(self.l2, str):
            return self.l2
        features, labels, weights = labeled
        return choose_l2(features, labels, sample_weights=weights, label_vectors=names).l2

    @property
    def thresholds(self) -> np.ndarray:
        """The cut above which each label is predicted, (C,) float32.

        Raises
        ------
        ValueError
            Before `fit`, when the cuts are fitted.
        """
        if self._thresholds is None:
            raise ValueError(_NOT_FITTED)
        return self._thresholds

    def label_probabilities(self, dataset: Any) -> np.ndarray:
        """Return the probability of every label, (N, C) float32, dense on every release.

        Raises
        ------
        ValueError
            Before `fit`.
        """
        return self._fitted_head().probabilities(self._embedded(dataset)).astype(np.float32, copy=False)

    def embed(self, dataset: Any, return_proba: bool = False, **_: Any) -> Any:
        """Return the documents' unit vectors (N, D), and with `return_proba` their dense probabilities (N, C)."""
        features = self._embedded(dataset)
        return (features, self.label_probabilities(dataset)) if return_proba else features

    def sampled_probabilities(self, dataset: Any, samples: int | None = None, *, seed: int | None = None) -> np.ndarray:
        """Return the probabilities of heads fitted on bootstrap samples of the labeled documents, (samples, N, C).

        Raises
        ------
        ValueError
            Before `fit`, or when samples < 1.
        """
        samples = self.ensemble if samples is None else samples
        if samples < 1:
            raise ValueError(f"samples: expected an integer >= 1, got {samples}")
        if self._labeled is None:
            raise ValueError(_NOT_FITTED)
        heads = bootstrap_heads(
            self._labeled.features,
            self._labeled.labels,
            samples,
            np.random.default_rng(seed),
            l2=self.fitted_l2,
            sample_weights=self._labeled.weights,
            label_vectors=self._name_vectors(),
            start=self._fitted_head(),
        )
        features = self._embedded(dataset)
        return np.stack([head.probabilities(features).astype(np.float32, copy=False) for head in heads])

    def precompute(self, dataset: Any) -> None:
        """Embed documents before any fit; what is known already costs nothing."""
        self._embedded(dataset)

    def _embedded(self, dataset: Any) -> np.ndarray:
        texts = texts_of(dataset)
        if texts is None:
            return self.encoder.encode_documents(Documents(dataset.data))
        return self.encoder.encode_texts(texts)

    def _name_vectors(self) -> np.ndarray | None:
        return None if self.label_names is None else self.encoder.encode_names(self.label_names)

    def _fitted_head(self) -> LogisticHead:
        if self._head is None:
            raise ValueError(_NOT_FITTED)
        return self._head

    def _feature_batches(self, dataset: Any) -> Iterator[FeatureBatch]:
        features = self._embedded(dataset)
        for start in range(0, len(features), _BATCH_DOCUMENTS):
            block = features[start : start + _BATCH_DOCUMENTS]
            yield FeatureBatch(np.arange(start, start + len(block)), torch.from_numpy(block))

    def _new_features(self, n_documents: int) -> Tensor:
        return torch.empty((n_documents, self._fitted_head().weight.shape[1]), dtype=torch.float32)

    def _logits(self, features: Tensor) -> Tensor:
        return torch.from_numpy(self._fitted_head().logits(features.numpy()))


_NOT_FITTED = "the classifier has no head yet: call fit() first"


def _checked_names(label_names: Sequence[str] | None, num_classes: int) -> list[str] | None:
    if label_names is None:
        return None
    names = list(label_names)
    if len(names) != num_classes or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError(
            f"label_names: expected {num_classes} names that are not empty, one for each label, got {names[:5]!r}"
            + (f" ... ({len(names)})" if len(names) > 5 else "")
        )
    return names

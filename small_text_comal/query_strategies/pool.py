"""What a strategy sees of a query: each quantity is computed when it is first asked for, and once a query."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, issparse

from small_text_comal.classifiers.contract import classifier_method
from small_text_comal.host import dense_probabilities, feature_vectors
from small_text_comal.method.label_space import LabelSpace
from small_text_comal.method.thresholds import centred

__all__ = ["Pool", "checked_labels"]


class Pool:
    """The unlabeled pool (N documents) and the labeled pool (L) of one query, through the eyes of the classifier.

    Parameters
    ----------
    classifier : a trained classifier; what it can be asked is in `classifiers.contract`
    dataset : all documents
    indices, labeled_indices : (N,) and (L,) positions in the dataset
    labels : (L, C) bool
    strategy : name of the strategy that asks, for messages

    Raises
    ------
    ValueError
        When a quantity is asked for that the classifier cannot give, or gives in another shape.
    """

    def __init__(
        self,
        classifier: Any,
        dataset: Any,
        indices: np.ndarray,
        labeled_indices: np.ndarray,
        labels: np.ndarray,
        *,
        strategy: str,
    ) -> None:
        self.indices = indices
        self.labeled_indices = labeled_indices
        self.labels = labels
        self._classifier = classifier
        self._unlabeled = dataset[indices]
        self._labeled = dataset[labeled_indices]
        self._strategy = strategy

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def cardinality(self) -> float:
        """Mean number of labels per labeled document."""
        return float(self.labels.sum(axis=1).mean())

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Of the unlabeled documents, (N, C) float64."""
        return dense_probabilities(self._classifier, self._unlabeled)

    @cached_property
    def labeled_probabilities(self) -> np.ndarray:
        """Of the labeled documents, (L, C) float64."""
        return dense_probabilities(self._classifier, self._labeled)

    @cached_property
    def thresholds(self) -> np.ndarray:
        """The cut above which each label is predicted, (C,); 0.5 where the classifier has none of its own."""
        return np.asarray(getattr(self._classifier, "thresholds", np.full(self.labels.shape[1], 0.5, np.float32)))

    @cached_property
    def centred(self) -> np.ndarray:
        """Probabilities of the unlabeled documents seen from the cuts, (N, C): 0.5 where a label is just predicted.

        A strategy that asks which labels are positive, or how unsure the classifier is, has to ask them. At cuts of
        0.5, as in the papers, they are the probabilities.
        """
        return centred(self.probabilities, self.thresholds)

    @cached_property
    def labeled_centred(self) -> np.ndarray:
        """`centred` of the labeled documents, (L, C)."""
        return centred(self.labeled_probabilities, self.thresholds)

    @cached_property
    def features(self) -> np.ndarray:
        """Feature vectors of the unlabeled documents, (N, D) float32."""
        return self._features(self._unlabeled)

    @cached_property
    def labeled_features(self) -> np.ndarray:
        """Feature vectors of the labeled documents, (L, D) float32."""
        return self._features(self._labeled)

    def _features(self, dataset: Any) -> np.ndarray:
        if hasattr(self._classifier, "embed") and not hasattr(self._classifier, "features"):
            features = feature_vectors(self._classifier, dataset)
        else:
            read = classifier_method(self._classifier, "features", need="feature vectors", asker=self._strategy)
            features = np.asarray(read(dataset))
        if features.ndim != 2 or len(features) != len(dataset):
            raise ValueError(f"{self._strategy}: expected features ({len(dataset)}, D), got {features.shape}")
        if not np.isfinite(features).all():
            raise ValueError(
                f"{self._strategy}: the classifier's features hold NaN or infinity: did its training diverge?"
            )
        return features

    def label_space(self, *, branch_probabilities: bool) -> LabelSpace:
        """Return where the unlabeled documents stand among the labels; see `LabelSpace`."""
        read = classifier_method(self._classifier, "label_space", need="a contrastive branch", asker=self._strategy)
        return read(self._unlabeled, self._labeled, self.labels, branch_probabilities=branch_probabilities)

    def sampled_probabilities(self, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Return several opinions on the unlabeled documents, (samples, N, C) float32; `rng` draws their seed."""
        need = "several opinions (dropout passes or bootstrap samples)"
        read = classifier_method(self._classifier, "sampled_probabilities", need=need, asker=self._strategy)
        opinions = np.asarray(read(self._unlabeled, samples, seed=int(rng.integers(2**31))))
        if opinions.ndim != 3 or opinions.shape[:2] != (samples, len(self)):
            raise ValueError(
                f"{self._strategy}: expected probabilities ({samples}, {len(self)}, C), got {opinions.shape}"
            )
        return opinions


def checked_labels(y: csr_matrix, indices_labeled: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the labels of the labeled pool as a dense 0/1 array.

    Parameters
    ----------
    y : CSR matrix (L, C'), C' <= C, row i belongs to ``indices_labeled[i]``
    indices_labeled : (L,) positions in the dataset
    num_classes : C

    Returns
    -------
    labels : (L, C) bool

    Raises
    ------
    ValueError
        On single-label data, other lengths, an empty labeled pool, or a label outside the C classes.
    """
    if not issparse(y):
        raise ValueError(
            f"expected multi-label data (y as a CSR matrix), got {type(y).__name__}: "
            "build the dataset from a csr_matrix of labels"
        )
    if y.shape[0] != len(indices_labeled):
        raise ValueError(
            f"expected one row of y for each of the {len(indices_labeled)} indices_labeled, got {y.shape[0]} rows"
        )
    if y.shape[0] == 0:
        raise ValueError("the labeled pool is empty: initialize the active learner with labeled documents first")
    columns = y.tocoo().col[y.tocoo().data != 0]
    if columns.size and columns.max() >= num_classes:
        raise ValueError(
            f"label {int(columns.max())} lies outside the classifier's {num_classes} classes: "
            "create the classifier factory with the number of columns of y"
        )
    labels = np.zeros((y.shape[0], num_classes), dtype=bool)
    dense = y.toarray() > 0
    width = min(num_classes, dense.shape[1])
    labels[:, :width] = dense[:, :width]
    return labels

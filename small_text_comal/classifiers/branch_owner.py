"""What every classifier that carries a contrastive branch has in common, whatever its features come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from small_text_comal.classifiers.carried_branch import CarriedBranch, generator_beside_the_global_one
from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.method.branch import ContrastiveBranch
from small_text_comal.method.branch_training import BranchTrainer, LabeledFeatures
from small_text_comal.method.label_space import FeatureBatch, LabelSpace

__all__ = ["BranchOwner"]


class BranchOwner:
    """The branch of a classifier: its making, and the questions that it answers.

    Subclasses set `num_classes` and `branch_arguments` and implement `_feature_batches`, `_new_features` and `_logits`.
    """

    num_classes: int
    branch_arguments: ContrastiveBranchArguments | None
    _carried: CarriedBranch | None = None

    @abstractmethod
    def _feature_batches(self, dataset: Any) -> Iterator[FeatureBatch]:
        """Yield the feature vectors of all documents, in any order."""

    @abstractmethod
    def _new_features(self, n_documents: int) -> Tensor:
        """Return uninitialised memory (N, D) float32, where feature vectors live."""

    @abstractmethod
    def _logits(self, features: Tensor) -> Tensor:
        """Return the classifier's logits (b, C) for feature vectors (b, D)."""

    @property
    def branch(self) -> ContrastiveBranch | None:
        """The fitted branch; None before the first fit, or without one."""
        return None if self._carried is None else self._carried.network

    def label_space(
        self, pool: Any, labeled: Any, labels: np.ndarray, *, branch_probabilities: bool = True
    ) -> LabelSpace:
        """Return where the documents of `pool` and `labeled` stand among the labels, in one streaming pass.

        Parameters
        ----------
        pool : N documents
        labeled : L documents, whose prototypes the similarities are to
        labels : (L, C) of 0 and 1
        branch_probabilities : False leaves out what the branch's own head says

        Raises
        ------
        ValueError
            Before `fit`, without a branch, or when the labels have another shape.
        """
        carried = self._fitted_branch()
        if labels.shape != (len(labeled), self.num_classes):
            raise ValueError(f"expected labels (L, C) = {(len(labeled), self.num_classes)}, got {labels.shape}")
        known = self._all_features(labeled)
        return carried.label_space(
            self._feature_batches(pool),
            len(pool),
            LabeledFeatures(known, torch.as_tensor(labels).to(known.device)),
            head=self._logits,
            branch_probabilities=branch_probabilities,
        )

    def label_embeddings(self, dataset: Any) -> Iterator[Tensor]:
        """Yield the raw latent vectors z in blocks (b, C, Z), in the dataset's order.

        Raises
        ------
        ValueError
            Before `fit`, or without a branch.
        """
        carried = self._fitted_branch()
        for latent in carried.label_embeddings(self._all_features(dataset)):
            yield latent.cpu()

    def features(self, dataset: Any) -> np.ndarray:
        """Return the feature vectors v, what enters the classifier's final linear layer, (N, D) float32.

        Raises
        ------
        ValueError
            Before `fit`.
        """
        return self._all_features(dataset).cpu().numpy()

    def _all_features(self, dataset: Any) -> Tensor:
        return self._gathered(self._feature_batches(dataset), len(dataset))

    def _gathered(self, batches: Iterable[FeatureBatch], n_documents: int) -> Tensor:
        """(N, D) float32 from batches that bring each document once."""
        features = self._new_features(n_documents)
        for batch in batches:
            features[torch.from_numpy(batch.rows).to(features.device)] = batch.features
        return features

    def _branch_trainer(self) -> BranchTrainer | None:
        """Make the branch, if it was asked for and is not there yet, and return what trains it."""
        if self.branch_arguments is None:
            return None
        generator = generator_beside_the_global_one()
        if self._carried is None:
            like = self._new_features(0)
            self._carried = CarriedBranch(
                self.num_classes, like.shape[1], self.branch_arguments, generator=generator, device=like.device
            )
        return self._carried.trainer(generator)

    def _fitted_branch(self) -> CarriedBranch:
        if self._carried is None:
            reason = "call fit() first" if self.branch_arguments is not None else "create it with a branch"
            raise ValueError(f"{type(self).__name__} has no contrastive branch: {reason}")
        return self._carried

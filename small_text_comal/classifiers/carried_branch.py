"""The contrastive branch as a classifier carries it: trained on feature vectors, asked where documents stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.encoder.frozen.layered_model import weights_state
from small_text_comal.method.branch import ContrastiveBranch, FoldedBranch
from small_text_comal.method.branch_training import BranchTrainer, LabeledFeatures
from small_text_comal.method.label_space import FeatureBatch, LabelSpace, labeled_prototypes, latent_blocks, project

__all__ = ["CarriedBranch", "generator_beside_the_global_one"]


class CarriedBranch:
    """A branch, its training and its form for scoring; any classifier that has feature vectors can own one.

    Parameters
    ----------
    num_classes : C
    feature_size : D
    arguments : options of the branch
    generator : draws the first weights
    device : where features come from

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> arguments = ContrastiveBranchArguments(sub_feature_size=4, latent_size=2, max_epochs=2)
    >>> carried = CarriedBranch(2, 3, arguments, generator=generator)
    >>> labeled = LabeledFeatures(torch.eye(3), torch.tensor([[1.0, 0], [0, 1], [1, 1]]))
    >>> len(carried.trainer(generator).fit(labeled))
    2
    >>> pool = [FeatureBatch(np.arange(3), torch.eye(3))]
    >>> carried.label_space(pool, 3, labeled, head=lambda v: v[:, :2]).similarity.shape
    (3, 2)
    """

    def __init__(
        self,
        num_classes: int,
        feature_size: int,
        arguments: ContrastiveBranchArguments,
        *,
        generator: torch.Generator,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network = ContrastiveBranch(num_classes, feature_size, arguments, generator=generator).to(device)
        self._folded: tuple[tuple, FoldedBranch | ContrastiveBranch] | None = None

    def trainer(self, generator: torch.Generator) -> BranchTrainer:
        """Return a trainer with a fresh optimizer; `generator` shuffles the documents.

        Its `fit` trains on fixed features (phase 2), its `collect` along with a classifier (phase 1).
        """
        return BranchTrainer(self.network, generator)

    def label_space(
        self,
        pool: Iterable[FeatureBatch],
        n_documents: int,
        labeled: LabeledFeatures,
        *,
        head: Callable[[Tensor], Tensor],
        branch_probabilities: bool = True,
    ) -> LabelSpace:
        """Return the label space of a pool in one streaming pass.

        Parameters
        ----------
        pool : batches that together bring each of the N documents once
        n_documents : N
        labeled : features (L, D) and labels (L, C) of the labeled pool, which decide the prototypes
        head : the classifier's final layer, (b, D) -> logits (b, C)
        branch_probabilities : False leaves out what the branch's own head says
        """
        branch = self._scorer()
        with torch.inference_mode():
            prototypes = labeled_prototypes(labeled.features, labeled.labels, branch)
            return project(
                pool, n_documents, branch, head=head, prototypes=prototypes, branch_probabilities=branch_probabilities
            )

    def label_embeddings(self, features: Tensor) -> Iterator[Tensor]:
        """Yield the raw latent vectors of `features` (N, D) in blocks (b, C, Z), in order."""
        return latent_blocks(features, self._scorer())

    def _scorer(self) -> FoldedBranch | ContrastiveBranch:
        """The branch as it scores fastest; made again when its weights were written to."""
        weights = weights_state(self.network.parameters())
        if self._folded is None or self._folded[0] != weights:
            self._folded = weights, self.network.folded()
        return self._folded[1]

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_folded": None}


def generator_beside_the_global_one() -> torch.Generator:
    """A generator that follows the global seed but takes nothing from it.

    A classifier trained with a branch thereby sees the same random numbers as one trained without.
    """
    with torch.random.fork_rng(devices=[]):
        return torch.Generator().manual_seed(int(torch.randint(2**62, ()).item()))

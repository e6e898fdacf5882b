"""Training of the contrastive branch: along with a classifier, then alone on fixed features (paper Algorithm 2).

It sees feature vectors and labels only, so any classifier can carry a branch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from small_text_comal.method.branch import ContrastiveBranch, branch_loss
from small_text_comal.method.branch_cost import warn_of_a_costly_fit
from small_text_comal.method.optimizers import adamw
from small_text_comal.metrics import ndcg_at_k

__all__ = ["BranchTrainer", "LabeledFeatures", "check_finite", "epochs"]


class LabeledFeatures(NamedTuple):
    """Feature vectors (N, D) and their labels (N, C), on one device."""

    features: Tensor
    labels: Tensor


class BranchTrainer:
    """Trains a contrastive branch on feature vectors, wherever they come from.

    Parameters
    ----------
    branch : the branch, on its device
    generator : CPU generator that shuffles the documents and draws the sampled negatives

    Examples
    --------
    >>> from small_text_comal.config import ContrastiveBranchArguments
    >>> arguments = ContrastiveBranchArguments(sub_feature_size=4, latent_size=2, max_epochs=2)
    >>> trainer = BranchTrainer(ContrastiveBranch(2, 3, arguments), torch.Generator().manual_seed(0))
    >>> data = LabeledFeatures(torch.eye(3), torch.tensor([[1.0, 0], [0, 1], [1, 1]]))
    >>> len(trainer.fit(data))
    2
    """

    def __init__(self, branch: ContrastiveBranch, generator: torch.Generator) -> None:
        self.branch = branch
        self.arguments = branch.arguments
        self.generator = generator
        self.optimizer = adamw(branch.parameters(), branch.arguments.learning_rate)
        self._waiting: list[LabeledFeatures] = []

    def collect(self, features: Tensor, labels: Tensor, where: str) -> None:
        """Take a batch of the classifier's pass; train when the branch's own batch size is reached.

        The contrastive loss wants more documents than a classifier's batch may hold; the features are detached.
        """
        self._waiting.append(LabeledFeatures(features.detach().float(), labels))
        size = self.arguments.batch_size
        while sum(len(batch.labels) for batch in self._waiting) >= size:
            waiting = self._collected()
            self._step(waiting.features[:size], waiting.labels[:size], where)
            self._waiting = [LabeledFeatures(waiting.features[size:], waiting.labels[size:])]

    def flush(self, where: str) -> None:
        """Train on what was collected and is still waiting."""
        waiting, self._waiting = self._collected() if self._waiting else None, []
        if waiting is not None and len(waiting.labels):
            self._step(*waiting, where)

    def _collected(self) -> LabeledFeatures:
        return LabeledFeatures(*(torch.cat(part) for part in zip(*self._waiting, strict=True)))

    def joint_loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the branch's loss with gradient to the features (``stop_gradient=False``)."""
        return self._loss(features, labels, self.generator)

    def _loss(self, features: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        features = features.float()
        with torch.autocast(features.device.type, enabled=False):
            output = self.branch(features)
            return branch_loss(output, features, labels, self.arguments, generator=generator).total

    def _step(self, features: Tensor, labels: Tensor, where: str) -> float:
        loss = self.joint_loss(features, labels)
        check_finite(loss, f"branch loss in {where}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def fit(
        self, train: LabeledFeatures, valid: LabeledFeatures | None = None, *, progress: bool = False
    ) -> list[dict[str, float]]:
        """Train the branch alone (phase 2) until its patience ends, and restore its best epoch.

        It watches nDCG@5 on `valid`; without reconstruction the contrastive loss there; without `valid` the training
        loss. Returns one record per epoch: {"train_loss", "watched"}, lower `watched` is better.

        Warns
        -----
        RuntimeWarning
            When it will take long or much memory.
        """
        history: list[dict[str, float]] = []
        best, best_epoch, best_state = math.inf, 0, None
        arguments = self.arguments
        warn_of_a_costly_fit(
            self.branch.num_classes,
            self.branch.feature_size,
            arguments,
            len(train.labels),
            on_cpu=train.features.device.type == "cpu",
        )
        self.branch.train()
        for epoch in epochs(arguments.max_epochs, "branch", progress):
            train_loss = self._epoch(train, epoch)
            watched = train_loss if valid is None else self._watched(valid)
            history.append({"train_loss": train_loss, "watched": watched})
            if watched < best:
                best, best_epoch, best_state = watched, epoch, _copied(self.branch.state_dict(), best_state)
            elif epoch - best_epoch >= arguments.patience:
                break
        if best_state is not None:
            self.branch.load_state_dict(best_state)
        self.branch.eval()
        return history

    def _epoch(self, train: LabeledFeatures, epoch: int) -> float:
        order = torch.randperm(len(train.labels), generator=self.generator).to(train.features.device)
        total = 0.0
        for number, rows in enumerate(order.split(self.arguments.batch_size), start=1):
            where = f"epoch {epoch}, batch {number} of the branch"
            total += len(rows) * self._step(train.features[rows], train.labels[rows], where)
        return total / len(order)

    @torch.no_grad()
    def _watched(self, valid: LabeledFeatures) -> float:
        if self.arguments.reconstruction:
            logits = self.branch.logits(valid.features)
            assert logits is not None
            return -ndcg_at_k(valid.labels.cpu().numpy(), logits.cpu().numpy(), min(5, self.branch.num_classes))
        batches = zip(*(part.split(self.arguments.batch_size) for part in valid), strict=True)
        same = torch.Generator().manual_seed(0)  # each epoch is judged by the same sample of negatives
        total = sum(len(labels) * float(self._loss(features, labels, same)) for features, labels in batches)
        return total / len(valid.labels)


def _copied(state: dict[str, Tensor], into: dict[str, Tensor] | None) -> dict[str, Tensor]:
    """A copy of `state`, in the memory of an older copy where there is one."""
    if into is None:
        return {name: value.clone() for name, value in state.items()}
    for name, value in state.items():
        into[name].copy_(value)
    return into


def epochs(number: int, name: str, progress: bool) -> Iterator[int]:
    """Yield 1 to `number`, with a progress bar on a terminal."""
    yield from tqdm(range(1, number + 1), name, unit="epoch", leave=False, disable=None if progress else True)


def check_finite(loss: Tensor, name: str) -> None:
    """Raise FloatingPointError when `loss` is NaN or infinite."""
    if not torch.isfinite(loss):
        raise FloatingPointError(
            f"{name}: expected a finite number, got {float(loss.detach())}; "
            "lower the learning rate, and look for NaN or huge values in the features"
        )

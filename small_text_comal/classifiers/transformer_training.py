"""The training loop of the classifier, with its branch in the same pass (paper Algorithm 2 and Appendix A)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from small_text_comal.classifiers.training_data import LabeledDocuments
from small_text_comal.encoder.document_encoder import DocumentEncoder
from small_text_comal.encoder.documents import shuffled_batches
from small_text_comal.method.branch_training import BranchTrainer, check_finite, epochs

__all__ = [
    "BestWeights",
    "ClassifierTrainer",
    "KeepLast",
    "TrainingPlan",
]

_GRADIENT_CLIP = 1.0


class EarlyStop(Protocol):
    """small-text's early stopping handlers."""

    def check_early_stop(self, epoch: int, measured_values: dict[str, Any]) -> bool:
        """Return whether training ends here."""


class Selection(Protocol):
    """Decides with which weights training ends."""

    def observe(self, measured: dict[str, Any], stop: bool) -> None:
        """See the measured values that belong to the current weights."""

    def restore(self) -> None:
        """Load the chosen weights."""


class KeepLast:
    """Keeps the weights as training left them."""

    def observe(self, measured: dict[str, Any], stop: bool) -> None:
        """Do nothing."""

    def restore(self) -> None:
        """Do nothing."""


class BestWeights:
    """Keeps the trainable weights of the lowest validation loss (training loss without validation) in memory."""

    def __init__(self, model: nn.Module) -> None:
        frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
        self._state = {name: value for name, value in model.state_dict().items() if name not in frozen}
        self._best_loss = math.inf
        self._best: dict[str, Tensor] = {}

    def observe(self, measured: dict[str, Any], stop: bool) -> None:
        """Copy the weights when the loss is the lowest so far."""
        loss = measured["train_loss"] if measured["val_loss"] is None else measured["val_loss"]
        if loss is not None and loss < self._best_loss:
            self._best_loss = loss
            self._best = {name: value.detach().clone() for name, value in self._state.items()}

    def restore(self) -> None:
        """Copy the best weights back."""
        with torch.no_grad():
            for name, value in self._best.items():
                self._state[name].copy_(value)


@dataclass
class TrainingPlan:
    """How a classifier is trained; `optimizer`, `early_stopping` and `selection` are fresh for each fit."""

    optimizer: torch.optim.Optimizer
    scheduler: Any
    early_stopping: EarlyStop
    selection: Selection
    epochs: int
    batch_size: int
    predict_batch: int
    pos_weight: Tensor | None = None
    validations_per_epoch: int = 1
    mixed_precision: bool = False
    progress: bool = False
    on_epoch: Callable[[int, dict[str, Any]], None] = field(default=lambda epoch, measured: None)


class ClassifierTrainer:
    """Trains the classifier, and in the same pass its branch (phase 1).

    Parameters
    ----------
    encoder : the model; only what it left trainable is trained
    plan : optimizer, stopping, selection and sizes
    branch : trained along, or None
    """

    def __init__(self, encoder: DocumentEncoder, plan: TrainingPlan, branch: BranchTrainer | None = None) -> None:
        self.encoder = encoder
        self.plan = plan
        self.branch = branch
        self.scaler = torch.amp.GradScaler(encoder.device.type, enabled=plan.mixed_precision)

    def fit(self, train: LabeledDocuments, valid: LabeledDocuments | None) -> list[dict[str, Any]]:
        """Train until early stopping or the last epoch, restore the selected weights; return each epoch's values.

        Raises
        ------
        FloatingPointError
            On a NaN or infinite loss; the message names epoch and batch.
        """
        plan, history = self.plan, []
        self.encoder.prepare(train.documents, plan.predict_batch, progress=plan.progress)
        for epoch in epochs(plan.epochs, "classifier", plan.progress):
            measured, stop = self._epoch(train, valid, epoch)
            history.append(measured)
            plan.on_epoch(epoch, measured)
            if stop:
                break
        plan.selection.restore()
        self.encoder.set_training(False)
        return history

    def _epoch(
        self, train: LabeledDocuments, valid: LabeledDocuments | None, epoch: int
    ) -> tuple[dict[str, Any], bool]:
        self.encoder.set_training(True)
        batches = shuffled_batches(train.documents.lengths, self.plan.batch_size)
        checkpoints = _checkpoints(len(batches), self.plan.validations_per_epoch)
        totals, seen, stopped = np.zeros(2), 0, False
        for number, rows in enumerate(batches, start=1):
            totals += np.array(self._step(train, rows, f"epoch {epoch}, batch {number}")) * len(rows)
            seen += len(rows)
            if number in checkpoints and valid is not None and self._validate(valid, epoch, {})[1]:
                stopped = True
                break
        if self.branch is not None:
            self.branch.flush(f"epoch {epoch}, last batch")
        train_loss, train_accuracy = (totals / seen).tolist()
        measured, stop = self._validate(valid, epoch, {"train_loss": train_loss, "train_acc": train_accuracy})
        return measured, stop or stopped

    def _step(self, train: LabeledDocuments, rows: Tensor, where: str) -> tuple[float, float]:
        """One batch: the mean loss, and the share of right labels."""
        encoder, plan = self.encoder, self.plan
        labels = train.labels[rows].to(encoder.device)
        features = encoder.features(train.documents, rows.numpy())
        with encoder.precision.autocast():
            logits = encoder.logits(features)
        loss = _document_losses(logits, labels, plan.pos_weight)
        if train.weights is not None:
            loss = loss * train.weights[rows].to(loss)
        loss = loss.mean()
        check_finite(loss, f"classifier loss in {where}")
        self._backward(loss, features, labels, where)
        plan.scheduler.step()
        return float(loss.detach()), _accuracy(logits, labels)

    def _backward(self, loss: Tensor, features: Tensor, labels: Tensor, where: str) -> None:
        optimizers = [self.plan.optimizer]
        joint = self.branch is not None and not self.branch.arguments.stop_gradient
        if self.branch is not None and joint:
            branch_loss_ = self.branch.joint_loss(features, labels)
            check_finite(branch_loss_, f"branch loss in {where}")
            loss = loss + branch_loss_
            optimizers.append(self.branch.optimizer)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.plan.optimizer)
        trained = [p for group in self.plan.optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(trained, _GRADIENT_CLIP)
        for optimizer in optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
        if self.branch is not None and not joint:
            self.branch.collect(features, labels, where)

    def _validate(
        self, valid: LabeledDocuments | None, epoch: int, measured: dict[str, Any]
    ) -> tuple[dict[str, Any], bool]:
        """Add the validation values, let early stopping and selection see them; True means stop."""
        measured = {"train_loss": None, "train_acc": None, "val_loss": None, "val_acc": None, **measured}
        if valid is not None:
            totals = np.zeros(2)
            for batch in self.encoder.stream(valid.documents, self.plan.predict_batch):
                labels = valid.labels[batch.rows].to(batch.features.device)
                with torch.inference_mode():
                    logits = self.encoder.logits(batch.features)
                    loss = _document_losses(logits, labels, self.plan.pos_weight).mean()
                totals += np.array([float(loss), _accuracy(logits, labels)]) * len(batch.rows)
            measured["val_loss"], measured["val_acc"] = (totals / len(valid.documents)).tolist()
            self.encoder.set_training(True)
        stop = bool(self.plan.early_stopping.check_early_stop(epoch, measured))
        self.plan.selection.observe(measured, stop)
        return measured, stop


def _document_losses(logits: Tensor, labels: Tensor, pos_weight: Tensor | None) -> Tensor:
    """Binary cross entropy of each document, mean over labels (paper eq. 10 over C), (B,) float32."""
    losses = functional.binary_cross_entropy_with_logits(logits, labels, pos_weight=pos_weight, reduction="none")
    return losses.mean(dim=1)


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float(((logits.detach() > 0) == labels.bool()).float().mean())


def _checkpoints(n_batches: int, validations_per_epoch: int) -> set[int]:
    """Batch numbers after which to validate; the end of the epoch, which always validates, is not among them."""
    if validations_per_epoch <= 1:
        return set()
    if validations_per_epoch > n_batches:
        warnings.warn(
            f"validations_per_epoch={validations_per_epoch} is more than the {n_batches} batches of an epoch: "
            "validating after each batch",
            RuntimeWarning,
            stacklevel=6,
        )
    every = max(1, n_batches // validations_per_epoch)
    return set(range(every, n_batches, every))

"""The classifier's training loop, on a linear encoder whose every step a plain loop repeats."""

import copy
import doctest

import numpy as np
import pytest
import torch
from torch import nn

from small_text_comal.classifiers import transformer_training as training
from small_text_comal.classifiers.training_data import LabeledDocuments
from small_text_comal.classifiers.transformer_training import (
    BestWeights,
    ClassifierTrainer,
    KeepLast,
    TrainingPlan,
)
from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.encoder.documents import shuffled_batches
from small_text_comal.encoder.frozen.precision import Precision
from small_text_comal.method.branch import ContrastiveBranch
from small_text_comal.method.branch_training import BranchTrainer
from small_text_comal.method.label_space import FeatureBatch

C, D, INPUTS = 3, 4, 5


class Rows:
    """Documents that are rows of a matrix, all of one length."""

    def __init__(self, matrix):
        self.matrix = matrix
        self.lengths = np.ones(len(matrix), dtype=np.int64)

    def __len__(self):
        return len(self.matrix)

    def __getitem__(self, rows):
        return self.matrix[rows]


class LinearEncoder:
    """Features are a linear map of the rows: the face of a DocumentEncoder."""

    precision = Precision()
    device = torch.device("cpu")

    def __init__(self, seed=0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model = nn.ModuleDict({"trunk": nn.Linear(INPUTS, D), "head": nn.Linear(D, C)})
        self.head = self.model["head"]
        self.modes = []

    def prepare(self, documents, batch_size, *, progress=False):
        pass

    def set_training(self, training):
        self.modes.append(training)

    def features(self, documents, rows):
        assert self.modes[-1], "a training step outside training mode"
        return self.model["trunk"](documents[rows])

    def logits(self, features):
        return self.head(features)

    def stream(self, documents, batch_size):
        self.set_training(False)
        for rows in np.array_split(np.arange(len(documents))[::-1], max(1, len(documents) // batch_size)):
            with torch.no_grad():
                features = self.model["trunk"](documents[rows.copy()])
            yield FeatureBatch(rows.copy(), features)


class Stopper:
    """A host's early stopping handler that remembers its calls and stops at a given one."""

    def __init__(self, stop_at=None):
        self.calls, self.stop_at = [], stop_at

    def check_early_stop(self, epoch, measured_values):
        self.calls.append((epoch, dict(measured_values)))
        return len(self.calls) == self.stop_at


def labeled(n=12, seed=0, weights=None):
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(n, INPUTS, generator=generator)
    return LabeledDocuments(Rows(matrix), (matrix[:, :C] > 0).float(), weights)


def plan(encoder, **changes):
    optimizer = torch.optim.SGD(encoder.model.parameters(), lr=0.5)
    defaults = {
        "optimizer": optimizer,
        "scheduler": torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),
        "early_stopping": Stopper(),
        "selection": KeepLast(),
        "epochs": 2,
        "batch_size": 5,
        "predict_batch": 4,
    }
    return TrainingPlan(**{**defaults, **changes})


def fit(encoder=None, train=None, valid=None, branch=None, *, seed=0, **changes):
    encoder = encoder or LinearEncoder()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        trainer = ClassifierTrainer(encoder, plan(encoder, **changes), branch)
        return encoder, trainer.fit(train or labeled(), valid)


def losses_by_hand(logits, labels, weights=None, pos_weight=None):
    """Mean over documents of the mean over labels of the binary cross entropy."""
    total = 0.0
    for i in range(len(labels)):
        document = 0.0
        for j in range(labels.shape[1]):
            p = torch.sigmoid(logits[i, j])
            positive = 1.0 if pos_weight is None else pos_weight[j]
            document += -(positive * labels[i, j] * p.log() + (1 - labels[i, j]) * (1 - p).log())
        total += document / labels.shape[1] * (1.0 if weights is None else weights[i])
    return total / len(labels)


def accuracy_by_hand(logits, labels):
    right = [(logits[i, j] > 0) == (labels[i, j] > 0) for i in range(len(labels)) for j in range(labels.shape[1])]
    return float(np.mean([bool(r) for r in right]))


def trained_by_hand(train, *, epochs=2, batch_size=5, seed=0, pos_weight=None):
    """Plain SGD with gradients clipped to norm 1; also each epoch's mean loss and accuracy."""
    model, records = LinearEncoder().model, []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for _ in range(epochs):
            loss_sum, right = 0.0, 0.0
            for rows in shuffled_batches(train.documents.lengths, batch_size):
                weights = None if train.weights is None else train.weights[rows]
                logits = model["head"](model["trunk"](train.documents[rows]))
                loss = losses_by_hand(logits, train.labels[rows], weights, pos_weight)
                gradients = torch.autograd.grad(loss, list(model.parameters()))
                norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
                with torch.no_grad():
                    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                        parameter -= 0.5 * gradient * min(1.0, 1.0 / float(norm))
                loss_sum += loss.item() * len(rows)
                right += accuracy_by_hand(logits, train.labels[rows]) * len(rows)
            records.append((loss_sum / len(train.documents), right / len(train.documents)))
    return model, records


def assert_same_model(got, expected):
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(got.state_dict()[name], value, atol=1e-5, rtol=1e-4, msg=name)


def test_docstring_examples():
    assert doctest.testmod(training).failed == 0


@pytest.mark.parametrize("variant", ["plain", "sample weights", "class weights"])
def test_training_is_clipped_gradient_descent_on_the_mean_cross_entropy(variant):
    weights = torch.linspace(0.2, 3, 12) if variant == "sample weights" else None
    pos_weight = torch.tensor([0.5, 1.0, 4.0]) if variant == "class weights" else None
    train = labeled(weights=weights)
    encoder, history = fit(train=train, pos_weight=pos_weight)
    expected, records = trained_by_hand(train, pos_weight=pos_weight)
    assert_same_model(encoder.model, expected)
    assert [record["train_loss"] for record in history] == pytest.approx([loss for loss, _ in records], rel=1e-4)
    assert [record["train_acc"] for record in history] == pytest.approx([accuracy for _, accuracy in records])
    assert all(record["val_loss"] is None for record in history)


def test_large_gradients_are_clipped():
    train = labeled(weights=torch.full((12,), 50.0))
    encoder, _ = fit(train=train)
    assert_same_model(encoder.model, trained_by_hand(train)[0])


def test_validation_values_are_means_over_the_validation_set():
    encoder, valid = LinearEncoder(), labeled(7, seed=4)
    _, history = fit(encoder, valid=valid)
    with torch.no_grad():
        logits = encoder.model["head"](encoder.model["trunk"](valid.documents.matrix))
    assert history[-1]["val_loss"] == pytest.approx(float(losses_by_hand(logits, valid.labels)), rel=1e-4)
    assert history[-1]["val_acc"] == pytest.approx(accuracy_by_hand(logits, valid.labels))


def test_training_ends_in_evaluation_mode_and_the_epochs_are_reported():
    reported = []
    encoder, history = fit(valid=labeled(4), on_epoch=lambda epoch, measured: reported.append((epoch, measured)))
    assert encoder.modes[-1] is False
    assert reported == [(1, history[0]), (2, history[1])]


def test_early_stopping_sees_every_epoch_and_stops():
    stopper = Stopper(stop_at=3)
    _, history = fit(valid=labeled(4), epochs=9, early_stopping=stopper)
    assert len(history) == 3
    assert [epoch for epoch, _ in stopper.calls] == [1, 2, 3]
    assert stopper.calls[-1][1] == history[-1]
    assert set(history[-1]) == {"train_loss", "train_acc", "val_loss", "val_acc"}


def test_validations_within_an_epoch():
    stopper = Stopper()
    fit(valid=labeled(4), epochs=1, batch_size=2, validations_per_epoch=3, early_stopping=stopper)
    values = [call for _, call in stopper.calls]
    assert [call["train_loss"] is None for call in values] == [True, True, False]
    assert all(call["val_loss"] is not None for call in values)
    assert {epoch for epoch, _ in stopper.calls} == {1}


def test_more_validations_than_batches():
    stopper = Stopper()
    with pytest.warns(RuntimeWarning, match="validations_per_epoch=9 is more than the 3 batches"):
        fit(valid=labeled(4), epochs=1, validations_per_epoch=9, early_stopping=stopper)
    assert len(stopper.calls) == 3


def test_stopping_within_an_epoch_ends_training():
    stopper = Stopper(stop_at=2)
    _, history = fit(valid=labeled(4), epochs=5, batch_size=2, validations_per_epoch=3, early_stopping=stopper)
    assert len(history) == 1
    assert history[0]["val_loss"] is not None


def test_a_stopped_epoch_reports_the_mean_of_the_batches_it_saw():
    train = labeled()
    stopper = Stopper(stop_at=1)
    _, history = fit(
        train=train, valid=labeled(4), epochs=1, batch_size=4, validations_per_epoch=3, early_stopping=stopper
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        rows = shuffled_batches(train.documents.lengths, 4)[0]
    model = LinearEncoder().model
    logits = model["head"](model["trunk"](train.documents[rows]))
    assert history[0]["train_loss"] == pytest.approx(
        float(losses_by_hand(logits, train.labels[rows]).detach()), rel=1e-4
    )


def test_training_goes_back_to_training_mode_after_each_validation():
    fit(valid=labeled(4), batch_size=2, validations_per_epoch=3)  # LinearEncoder.features asserts the mode


def test_the_scheduler_steps_once_a_batch():
    encoder = LinearEncoder()
    optimizer = torch.optim.SGD(encoder.model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    fit(encoder, optimizer=optimizer, scheduler=scheduler)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5**6)  # 2 epochs of 3 batches


@pytest.mark.parametrize("bad", ["feature", "label"])
def test_a_loss_that_is_not_finite_names_epoch_and_batch(bad):
    train = labeled()
    (train.documents.matrix if bad == "feature" else train.labels)[9, 0] = float("nan")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        batches = shuffled_batches(train.documents.lengths, 5)
    batch = 1 + [9 in rows for rows in batches].index(True)
    with pytest.raises(FloatingPointError, match=f"classifier loss in epoch 1, batch {batch}: expected a finite"):
        fit(train=train)


def test_best_weights_restores_the_lowest_validation_loss():
    model = nn.Linear(2, 2)
    selection = BestWeights(model)
    for i, loss in enumerate([3.0, 1.0, 2.0, float("nan"), 1.0]):
        with torch.no_grad():
            model.weight.fill_(i)
        selection.observe({"train_loss": -i, "val_loss": loss}, False)
    selection.restore()
    assert model.weight[0, 0].item() == 1


def test_best_weights_without_validation_uses_the_training_loss():
    model = nn.Linear(2, 2)
    selection = BestWeights(model)
    for i, loss in enumerate([2.0, 3.0, 1.0, 4.0]):
        with torch.no_grad():
            model.weight.fill_(i)
        selection.observe({"train_loss": loss, "val_loss": None}, False)
    selection.restore()
    assert model.weight[0, 0].item() == 2


def test_best_weights_leaves_frozen_parameters_alone_and_keeps_buffers():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[0].bias.requires_grad_(False)
    selection = BestWeights(model)
    selection.observe({"train_loss": 1.0, "val_loss": None}, False)
    with torch.no_grad():
        for tensor in (model[0].weight, model[0].bias, model[1].running_mean):
            tensor.fill_(7)
    selection.restore()
    assert model[0].weight[0, 0].item() != 7
    assert model[0].bias[0].item() == 7
    assert model[1].running_mean[0].item() == 0


def test_best_weights_that_saw_nothing_change_nothing():
    model = nn.Linear(2, 2)
    before = copy.deepcopy(model)
    BestWeights(model).restore()
    assert_same_model(model, before)


def test_training_restores_the_selected_weights():
    encoder = LinearEncoder()
    selection = BestWeights(encoder.model)
    _, history = fit(encoder, valid=labeled(4, seed=9), epochs=6, selection=selection, seed=3)
    best = int(np.argmin([record["val_loss"] for record in history]))
    again, _ = fit(valid=labeled(4, seed=9), epochs=best + 1, seed=3)
    assert_same_model(encoder.model, again.model)


def branch_trainer(**changes):
    options = {"sub_feature_size": 4, "latent_size": 3, "batch_size": 7, **changes}
    branch = ContrastiveBranch(C, D, ContrastiveBranchArguments(**options), generator=torch.Generator().manual_seed(5))
    return BranchTrainer(branch, torch.Generator().manual_seed(6))


def test_a_branch_with_stopped_gradient_leaves_the_classifier_bit_identical():
    alone, _ = fit()
    trainer = branch_trainer()
    before = copy.deepcopy(trainer.branch.state_dict())
    along, _ = fit(branch=trainer)
    for name, value in alone.model.state_dict().items():
        assert torch.equal(along.model.state_dict()[name], value), name
    assert any(not torch.equal(trainer.branch.state_dict()[name], value) for name, value in before.items())


def test_a_branch_without_stopped_gradient_moves_the_encoder_and_not_the_head_directly():
    alone, _ = fit(epochs=1, batch_size=12)
    along, _ = fit(branch=branch_trainer(stop_gradient=False), epochs=1, batch_size=12)
    assert not torch.equal(along.model["trunk"].weight, alone.model["trunk"].weight)


def test_a_joint_branch_loss_that_is_not_finite_names_epoch_and_batch():
    trainer = branch_trainer(stop_gradient=False)
    with torch.no_grad():
        trainer.branch.encode.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="branch loss in epoch 1, batch 1: expected a finite number"):
        fit(branch=trainer)


def test_no_batch_is_left_waiting_at_the_end_of_an_epoch():
    trainer = branch_trainer(batch_size=100)
    fit(branch=trainer, epochs=1)
    assert trainer._waiting == []
    assert trainer.optimizer.state  # it has stepped

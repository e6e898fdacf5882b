"""What the user passes to the constructor and to fit means what the installed small-text documents."""

import numpy as np
import pytest
import torch
from small_text.training.early_stopping import EarlyStopping
from small_text.training.metrics import Metric
from small_text.training.model_selection import ModelSelection
from tiny_host import ONLY_1, ONLY_2, World, copied_weights, same_weights

from small_text_comal.host import (
    IS_HOST_2,
    model_arguments,
)


class Recorder(EarlyStopping):
    def __init__(self, stop_at):
        super().__init__(Metric("val_loss"), patience=10)
        self.calls, self.stop_at = 0, stop_at

    def check_early_stop(self, epoch, measured_values):
        super().check_early_stop(epoch, measured_values)
        self.calls += 1
        return self.calls == self.stop_at


def epochs_of(clf):
    return len(clf.history["classifier"])


def test_a_handler_of_the_user_stops_every_round_anew(world):
    handler = Recorder(stop_at=2)
    for _ in range(2):
        assert epochs_of(world.classifier(num_epochs=5, fit={"early_stopping": handler})) == 2
    assert handler.calls == 0


def test_early_stopping_none_trains_all_epochs(world):
    assert epochs_of(world.classifier(num_epochs=9, lr=1e-7, fit={"early_stopping": "none"})) == 9


def test_the_default_patience_watches_the_validation_loss(world):
    clf = world.classifier(num_epochs=30, lr=0.05, patience=1)
    losses = [record["val_loss"] for record in clf.history["classifier"]]
    assert len(losses) < 30
    assert min(losses) < losses[-1]


@ONLY_2
def test_training_accuracy_does_not_stop_sparse_labels(tiny_bert_folder):
    """All-zero predictions reach small-text 2.x's own threshold of 0.99 here."""
    y = np.eye(60, 120, dtype=int)
    clf = World(tiny_bert_folder, num_labels=120, y=y).classifier(num_epochs=5, lr=0.05, branch=None)
    records = clf.history["classifier"]
    assert records[1]["train_acc"] > 0.99
    assert len(records) == 5


@ONLY_1
def test_the_constructors_stopping_of_1x_is_honoured(world):
    with pytest.warns(DeprecationWarning):
        clf = world.factory(num_epochs=30, lr=0.05, early_stopping_acc=0.3).new()
    clf.fit(world.dataset[np.arange(40)].clone())
    assert epochs_of(clf) < 5


def best_epoch(clf):
    return 1 + int(np.argmin([record["val_loss"] for record in clf.history["classifier"]]))


@pytest.mark.parametrize("handler", [None, "handler"])
def test_the_best_weights_are_restored(world, handler):
    options = {"num_epochs": 8, "lr": 0.05, "branch": None}
    selection = ModelSelection() if handler else None
    clf = world.classifier(**options, fit={"early_stopping": "none", "model_selection": selection})
    best = best_epoch(clf)
    assert best < 8
    shorter = world.classifier(
        **{**options, "num_epochs": best}, fit={"early_stopping": "none", "model_selection": "none"}
    )
    assert same_weights(copied_weights(clf.model), copied_weights(shorter.model))
    assert not handler or len(selection.models) == 0  # a copy was used: the handler remembers nothing


def test_model_selection_none_keeps_the_last_weights(world):
    options = {"num_epochs": 8, "lr": 0.05, "branch": None}
    last = world.classifier(**options, fit={"early_stopping": "none", "model_selection": "none"})
    best = world.classifier(**options, fit={"early_stopping": "none"})
    assert not same_weights(copied_weights(last.model), copied_weights(best.model))


@ONLY_1
def test_model_selection_false_of_1x_keeps_the_last_weights(world):
    options = {"num_epochs": 8, "lr": 0.05, "branch": None}
    last = world.classifier(**options, fit={"early_stopping": "none", "model_selection": "none"})
    with pytest.warns(DeprecationWarning):
        off = world.classifier(**options, model_selection=False, fit={"early_stopping": "none"})
    assert same_weights(copied_weights(last.model), copied_weights(off.model))


def test_sample_weights_reach_the_loss(world):
    even = world.classifier(fit={"weights": np.ones(40, dtype=np.float32)})
    plain = world.classifier()
    assert same_weights(copied_weights(even.model), copied_weights(plain.model))
    skewed = world.classifier(fit={"weights": np.linspace(0.1, 5, 40).astype(np.float32)})
    assert not same_weights(copied_weights(skewed.model), copied_weights(plain.model))


LAST = {"early_stopping": "none", "model_selection": "none"}


@pytest.mark.filterwarnings("ignore:Setting class_weight to 'balanced' is intended for the single-label")
def test_class_weights_reach_the_loss(world):
    plain, balanced = world.classifier(), world.classifier(class_weight="balanced")
    assert not same_weights(copied_weights(plain.model), copied_weights(balanced.model))
    with pytest.raises(ValueError, match="Invalid value for class_weight"):
        world.classifier(class_weight="heavy")


def test_validations_within_an_epoch(world):
    seen = []

    class Watching(Recorder):
        def check_early_stop(self, epoch, measured_values):
            seen.append((epoch, measured_values["train_loss"] is None))
            return False

    world.classifier(validations_per_epoch=2, batch_size=9, fit={"early_stopping": Watching(0)})
    assert [epoch for epoch, _ in seen] == sorted(epoch for epoch, _ in seen)
    assert {within for _, within in seen} == {True, False}


def test_an_optimizer_and_a_scheduler_of_the_user(world):
    clf = world.factory(branch=None).new()
    clf.load_model()
    before = copied_weights(clf.model)
    optimizer = torch.optim.SGD([clf.model.classifier.bias], lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    clf.fit(world.dataset[np.arange(40)].clone(), optimizer=optimizer, scheduler=scheduler)
    after = copied_weights(clf.model)
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"classifier.bias"}
    assert optimizer.param_groups[0]["lr"] < 0.01


def test_the_linear_schedule_of_the_host(world):
    constant, linear = world.classifier(fit=LAST), world.classifier(fit={**LAST, "scheduler": "linear"})
    assert not same_weights(copied_weights(constant.model), copied_weights(linear.model))


@ONLY_1
def test_fine_tuning_arguments_of_1x(world):
    from small_text import FineTuningArguments

    clf = world.classifier(fine_tuning_arguments=FineTuningArguments(1e-3, 0.9))
    assert epochs_of(clf) == 2


@ONLY_2
def test_amp_arguments_do_nothing_on_the_cpu(world):
    from small_text.integrations.pytorch.classifiers.base import AMPArguments

    plain = world.classifier()
    amp = world.classifier(amp_args=AMPArguments(use_amp=True, device_type="cpu"))
    assert same_weights(copied_weights(plain.model), copied_weights(amp.model))


@ONLY_2
def test_compile_model_compiles_the_trainable_layers(world, monkeypatch):
    compiled, compile_module = [], torch.compile

    def without_code(module, **options):
        compiled.append(module)
        return compile_module(module, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", without_code)
    arguments, _ = model_arguments(str(world.folder))
    arguments.compile_model = True
    factory = world.factory()
    factory.transformer_model_args = arguments
    clf = factory.new().fit(world.dataset[np.arange(40)].clone())
    assert compiled
    assert clf.label_probabilities(world.dataset).shape == (60, 4)


def test_progress_switches(world, monkeypatch):
    clf = world.factory().new()
    assert clf.wants_progress
    if IS_HOST_2:
        clf.transformer_model_args.show_progress_bar = False
        assert not clf.wants_progress
        clf.transformer_model_args.show_progress_bar = True
    else:
        monkeypatch.setenv("SMALL_TEXT_PROGRESS_BARS", "0")
        assert not clf.wants_progress


def test_no_progress_bar_in_a_pipe(world, capfd):
    world.classifier().label_probabilities(world.dataset)
    assert "epoch" not in capfd.readouterr().err

"""Training of the branch: which epoch it keeps, when it stops, and what one step does, against plain loops."""

import copy
import doctest

import numpy as np
import pytest
import torch

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.method import branch_training
from small_text_comal.method.branch import ContrastiveBranch, branch_loss
from small_text_comal.method.branch_training import BranchTrainer, LabeledFeatures, check_finite, epochs
from small_text_comal.metrics import ndcg_at_k

C, D = 3, 6
SMALL = {"sub_feature_size": 5, "latent_size": 4, "batch_size": 8, "learning_rate": 0.01, "max_epochs": 6}


def arguments(**changes):
    return ContrastiveBranchArguments(**{**SMALL, **changes})


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def data(n=20, seed=0):
    generator = seeded(seed)
    features = torch.randn(n, D, generator=generator)
    return LabeledFeatures(features, (features[:, :C] > 0.3).float())


def trainer(**changes):
    branch = ContrastiveBranch(C, D, arguments(**changes), generator=seeded(1))
    return BranchTrainer(branch, seeded(2))


def weights(branch):
    return {name: value.clone() for name, value in branch.state_dict().items()}


def assert_same_weights(got, expected):
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, msg=name)


def watched_by_hand(branch, valid):
    if not branch.arguments.reconstruction:
        size = branch.arguments.batch_size
        same = seeded(0)
        with torch.no_grad():
            losses = [
                len(f) * step_loss(branch, f, y, same).item()
                for f, y in zip(valid.features.split(size), valid.labels.split(size), strict=True)
            ]
        return sum(losses) / len(valid.labels)
    with torch.no_grad():
        logits = branch(valid.features).logits
    return -ndcg_at_k(valid.labels.numpy(), logits.numpy(), min(5, C))


def step_loss(branch, features, labels, generator):
    return branch_loss(branch(features), features, labels, branch.arguments, generator=generator).total


def epochs_by_hand(train, **changes):
    """Weights after each epoch, and each epoch's training loss: one plain AdamW loop without stopping."""
    branch = ContrastiveBranch(C, D, arguments(**changes), generator=seeded(1))
    optimizer = torch.optim.AdamW(branch.parameters(), lr=branch.arguments.learning_rate)
    generator = seeded(2)
    for _ in range(branch.arguments.max_epochs):
        order = torch.randperm(len(train.labels), generator=generator)
        total = 0.0
        for start in range(0, len(order), branch.arguments.batch_size):
            rows = order[start : start + branch.arguments.batch_size]
            features, labels = train.features[rows], train.labels[rows]
            loss = step_loss(branch, features, labels, generator)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        yield copy.deepcopy(branch), total / len(order)


def test_docstring_examples():
    assert doctest.testmod(branch_training).failed == 0


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"reconstruction": False},
        {"contrastive": False},
        {"decoupling": "none"},
        {"sampled_negatives": 4},
        {"sampled_negatives": 4, "reconstruction": False},
    ],
)
@pytest.mark.parametrize("with_validation", [True, False])
def test_the_best_epoch_is_kept(changes, with_validation):
    train, valid = data(), data(9, seed=3) if with_validation else None
    history = list(epochs_by_hand(train, **changes))
    watched = [loss if valid is None else watched_by_hand(branch, valid) for branch, loss in history]
    trained = trainer(**changes)
    records = trained.fit(train, valid)
    assert [record["train_loss"] for record in records] == pytest.approx([loss for _, loss in history], rel=1e-4)
    assert [record["watched"] for record in records] == pytest.approx(watched, rel=1e-4)
    assert_same_weights(weights(trained.branch), weights(history[int(np.argmin(watched))][0]))
    assert not trained.branch.training


@pytest.mark.parametrize(
    ("watched", "patience", "ran", "best"),
    [
        ([5, 4, 3, 2, 1, 0], 2, 6, 6),
        ([5, 6, 7, 0, 0, 0], 2, 3, 1),
        ([5, 4, 4, 4, 0, 0], 2, 4, 2),
        ([5, 6, 4, 6, 6, 0], 2, 5, 3),
        ([5, 6, 0, 0, 0, 0], 1, 2, 1),
        ([5, 5, 5, 5, 5, 5], 0, 2, 1),
        ([float("nan"), 3, 4, 5, 5, 5], 2, 4, 2),
    ],
)
def test_patience(monkeypatch, watched, patience, ran, best):
    values = iter(watched)
    seen = []
    trained = trainer(patience=patience)
    monkeypatch.setattr(trained, "_watched", lambda valid: seen.append(weights(trained.branch)) or next(values))
    records = trained.fit(data(), data(4))
    assert len(records) == ran
    assert_same_weights(weights(trained.branch), seen[best - 1])


def test_no_epochs_leave_the_branch_as_it_is():
    trained = trainer(max_epochs=0)
    before = weights(trained.branch)
    assert trained.fit(data()) == []
    assert_same_weights(weights(trained.branch), before)
    assert not trained.branch.training


def test_a_pool_smaller_than_a_batch_and_one_document():
    for n in (1, 3):
        records = trainer(max_epochs=2).fit(data(n))
        assert all(np.isfinite(record["train_loss"]) for record in records)


def test_same_generator_same_branch_and_the_global_one_is_untouched():
    state = torch.get_rng_state()
    first, second = trainer(), trainer()
    first.fit(data())
    second.fit(data())
    assert_same_weights(weights(first.branch), weights(second.branch))
    assert torch.equal(torch.get_rng_state(), state)


def test_labels_without_positives_and_documents_without_labels():
    features, labels = data()
    labels[:, 1] = 0
    labels[3] = 0
    records = trainer().fit(LabeledFeatures(features, labels), LabeledFeatures(features[:4], torch.zeros(4, C)))
    assert all(np.isfinite(record["train_loss"]) for record in records)


def test_a_loss_that_is_not_finite_names_epoch_and_batch():
    features, labels = data(20)
    features[7] = float("nan")
    order = torch.randperm(20, generator=seeded(2))
    batch = 1 + int((order == 7).nonzero()) // SMALL["batch_size"]
    with pytest.raises(FloatingPointError, match=f"branch loss in epoch 1, batch {batch} of the branch: expected"):
        trainer().fit(LabeledFeatures(features, labels))


def test_collected_features_train_when_a_branch_batch_is_full():
    train = data(20)
    trained = trainer(batch_size=8)
    by_hand = ContrastiveBranch(C, D, arguments(batch_size=8), generator=seeded(1))
    optimizer = torch.optim.AdamW(by_hand.parameters(), lr=SMALL["learning_rate"])
    before = weights(trained.branch)

    def step(rows):
        features, labels = train.features[rows], train.labels[rows]
        loss = branch_loss(by_hand(features), features, labels, by_hand.arguments).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    trained.collect(train.features[:5], train.labels[:5], "batch 1")
    assert_same_weights(weights(trained.branch), before)
    trained.collect(train.features[5:10], train.labels[5:10], "batch 2")
    step(slice(0, 8))  # exactly a batch; the rest goes on waiting
    assert_same_weights(weights(trained.branch), weights(by_hand))
    trained.collect(train.features[10:14], train.labels[10:14], "batch 3")
    trained.flush("the last batch")
    step(slice(8, 14))
    assert_same_weights(weights(trained.branch), weights(by_hand))
    trained.flush("nothing waits")
    assert_same_weights(weights(trained.branch), weights(by_hand))


def test_collected_features_are_detached():
    features, labels = data(8)
    features.requires_grad_(True)
    trainer(batch_size=8).collect(features * 2, labels, "batch 1")
    assert features.grad is None


def test_a_collected_loss_that_is_not_finite_says_where():
    features, labels = data(8)
    with pytest.raises(FloatingPointError, match="branch loss in epoch 2, batch 5: expected a finite number, got nan"):
        trainer(batch_size=8).collect(features * float("nan"), labels, "epoch 2, batch 5")


def test_joint_loss_reaches_the_features_and_is_float32():
    features, labels = data(8)
    features = features.bfloat16().requires_grad_(True)
    loss = trainer().joint_loss(features, labels)
    loss.backward()
    assert loss.dtype == torch.float32
    assert float(features.grad.abs().sum()) > 0


def test_epochs_count_from_one_and_stay_silent_in_a_pipe(capfd):
    assert list(epochs(3, "branch", True)) == [1, 2, 3]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_check_finite(value):
    with pytest.raises(FloatingPointError, match=f"loss of x: expected a finite number, got {value}; lower the"):
        check_finite(torch.tensor(value), "loss of x")
    check_finite(torch.tensor(1.0), "loss of x")


def test_a_costly_fit_warns_once(monkeypatch):
    monkeypatch.setattr("small_text_comal.method.branch_cost._LONG_SECONDS", 0)
    with pytest.warns(RuntimeWarning, match="fitting the contrastive branch takes about .* for 3 labels") as seen:
        trainer().fit(data(4))
    assert len(seen) == 1
    assert seen[0].filename == __file__

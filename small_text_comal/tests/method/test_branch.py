"""The branch against loops over documents and labels, its folded form, its losses and its variants."""

import copy
import math
from itertools import product

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.method.branch import ContrastiveBranch, branch_loss
from small_text_comal.method.contrastive import document_supcon_loss, multi_label_supcon_loss

B, C, D, U, Z = 5, 3, 6, 4, 2
VARIANTS = list(product([None, "relu", "gelu"], ["label", "none"]))


def make_branch(num_classes=C, *, seed=0, **options):
    arguments = ContrastiveBranchArguments(sub_feature_size=U, latent_size=Z, **options)
    return ContrastiveBranch(num_classes, D, arguments, generator=torch.Generator().manual_seed(seed))


def random_features(documents=B, seed=1):
    return torch.randn(documents, D, generator=torch.Generator().manual_seed(seed))


def random_labels(documents=B, num_classes=C, seed=2):
    return (torch.rand(documents, num_classes, generator=torch.Generator().manual_seed(seed)) < 0.5).long()


# --- the oracle: Algorithm 1 in lists --------------------------------------------------------------------------------


def affine(weight, bias, vector):
    return [sum(w * x for w, x in zip(row, vector, strict=True)) + b for row, b in zip(weight, bias, strict=True)]


def activate(activation, vector):
    if activation == "relu":
        return [max(x, 0.0) for x in vector]
    if activation == "gelu":
        return [x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in vector]
    return vector


def branch_by_loops(branch, activation, decoupling, vector):
    """Latent vectors of each label, reconstruction and logits of one feature vector."""
    part = {name: parameter.tolist() for name, parameter in branch.named_parameters()}
    num_classes, maps = branch.num_classes, branch.num_classes if decoupling == "label" else 1
    latent, decoded = [], []
    for m in range(maps):
        rows = slice(m * U, (m + 1) * U)
        sub_feature = affine(part["decouple.weight"][rows], part["decouple.bias"][rows], vector)
        z = affine(part["encode.weight"], part["encode.bias"], activate(activation, sub_feature))
        latent.append(z)
        decoded += activate(activation, affine(part["decode.weight"], part["decode.bias"], z))
    reconstruction = affine(part["aggregate.weight"], part["aggregate.bias"], decoded)
    logits = affine(part["classify.weight"], part["classify.bias"], reconstruction)
    return latent if maps == num_classes else latent * num_classes, reconstruction, logits


# --- forward ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("activation", "decoupling"), VARIANTS)
@pytest.mark.parametrize("num_classes", [1, 2, 5])
def test_forward_equals_loops(activation, decoupling, num_classes):
    branch = make_branch(num_classes, activation=activation, decoupling=decoupling)
    features = random_features()
    output = branch(features)
    assert output.latent.shape == (B, num_classes, Z)
    assert output.reconstruction.shape == (B, D)
    assert output.logits.shape == (B, num_classes)
    for i, vector in enumerate(features.tolist()):
        expected = branch_by_loops(branch, activation, decoupling, vector)
        for got, by_loops in zip(output, expected, strict=True):
            torch.testing.assert_close(got[i], torch.tensor(by_loops), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(branch.latent(features), output.latent)


@pytest.mark.parametrize("decoupling", ["label", "none"])
def test_every_part_is_one_linear_layer_with_bias(decoupling):
    maps = C if decoupling == "label" else 1
    branch = make_branch(decoupling=decoupling)
    sizes = {
        name: (layer.in_features, layer.out_features) for name, layer in branch.named_children() if name != "activation"
    }
    assert sizes == {
        "decouple": (D, maps * U),
        "encode": (U, Z),
        "decode": (Z, U),
        "aggregate": (maps * U, D),
        "classify": (D, C),
    }
    assert len(list(branch.parameters())) == 2 * len(sizes)


def test_without_reconstruction_the_parts_behind_the_latent_vectors_are_gone():
    branch = make_branch(reconstruction=False)
    output = branch(random_features())
    assert output.latent.shape == (B, C, Z)
    assert output.reconstruction is None
    assert output.logits is None
    assert {name.split(".")[0] for name, _ in branch.named_parameters()} == {"decouple", "encode"}


def test_without_decoupling_all_labels_share_one_vector():
    latent = make_branch(decoupling="none")(random_features()).latent
    for j in range(C):
        assert torch.equal(latent[:, j], latent[:, 0])


def test_sizes_are_those_of_the_arguments():
    for arguments, sub_features, latent in [(None, 16, 32), (ContrastiveBranchArguments.paper(), 512, 256)]:
        branch = ContrastiveBranch(2, 7, arguments)
        assert branch(torch.ones(1, 7)).latent.shape == (1, 2, latent)
        assert branch.decouple.out_features == 2 * sub_features


@pytest.mark.parametrize(("activation", "decoupling"), VARIANTS)
def test_documents_are_independent_and_forward_changes_nothing(activation, decoupling):
    branch = make_branch(activation=activation, decoupling=decoupling)
    features, before = random_features(), copy.deepcopy(branch.state_dict())
    rows = torch.tensor([3, 0, 4])
    whole, training = branch(features), branch.train()(features)
    for part, single, permuted in zip(whole, branch(features[:1]), branch(features[rows]), strict=True):
        torch.testing.assert_close(single, part[:1])
        torch.testing.assert_close(permuted, part[rows])
    for part, in_training in zip(whole, training, strict=True):
        torch.testing.assert_close(part, in_training)
    for name, parameter in branch.state_dict().items():
        assert torch.equal(parameter, before[name])


class Operations(TorchDispatchMode):
    """Count the operations that reach the tensors."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def test_more_labels_are_no_more_operations():
    counts = []
    for num_classes in (2, 40):
        branch = make_branch(num_classes)
        with Operations() as operations:
            branch(random_features())
        counts.append(operations.count)
    assert counts[0] == counts[1] > 0


# --- folded ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("activation", "decoupling"), VARIANTS)
@pytest.mark.parametrize("num_classes", [1, 4, 2 * D])
@pytest.mark.parametrize("latent_size", [Z, 4 * U])
def test_folded_equals_unfolded(activation, decoupling, num_classes, latent_size):
    arguments = ContrastiveBranchArguments(
        sub_feature_size=U, latent_size=latent_size, activation=activation, decoupling=decoupling
    )
    branch = ContrastiveBranch(num_classes, D, arguments, generator=torch.Generator().manual_seed(0))
    features = 10 * random_features()
    output, folded = branch(features), branch.folded()
    torch.testing.assert_close(folded.latent(features), output.latent, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(folded.logits(features), output.logits, rtol=1e-5, atol=1e-5)


class LargestTensor(TorchDispatchMode):
    """Remember the largest number of elements that any operation returned."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.elements = max(self.elements, result.numel() if isinstance(result, torch.Tensor) else 0)
        return result


def test_folding_takes_no_more_memory_than_the_weights_however_many_the_labels():
    branch = make_branch(20 * D)
    with LargestTensor() as largest:
        branch.folded().logits(random_features(2))
    assert largest.elements == branch.decouple.weight.numel()


@pytest.mark.parametrize(("latent_size", "folds"), [(Z, True), (4 * U, False)])
def test_latent_vectors_are_folded_where_that_is_fewer_numbers(latent_size, folds):
    arguments = ContrastiveBranchArguments(sub_feature_size=U, latent_size=latent_size)
    branch = ContrastiveBranch(C, D, arguments)
    folded = branch.folded()
    branch.decouple.weight.data.zero_()
    before = folded.latent(random_features())
    assert bool(before.std(dim=0).sum() > 0) == folds


def test_folded_has_no_logits_without_reconstruction():
    branch, features = make_branch(reconstruction=False), random_features()
    torch.testing.assert_close(branch.folded().latent(features), branch.latent(features), rtol=1e-5, atol=1e-5)
    assert branch.folded().logits(features) is None


def test_folded_at_the_papers_sizes():
    generator = torch.Generator().manual_seed(0)
    branch = ContrastiveBranch(4, 64, ContrastiveBranchArguments.paper(), generator=generator)
    features = torch.randn(8, 64, generator=generator)
    output, folded = branch(features), branch.folded()
    torch.testing.assert_close(folded.latent(features), output.latent, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(folded.logits(features), output.logits, rtol=1e-5, atol=1e-5)


def test_folding_is_linear_it_builds_no_graph_and_leaves_the_branch_alone():
    branch, features = make_branch(), random_features()
    before = branch(features)
    folded = branch.folded()
    assert not folded.latent(features).requires_grad
    assert not folded.logits(features).requires_grad
    for now, then in zip(branch(features), before, strict=True):
        assert torch.equal(now, then)
    assert all(parameter.requires_grad for parameter in branch.parameters())


# --- initial weights -------------------------------------------------------------------------------------------------


def test_the_generator_decides_the_weights_and_the_global_one_is_left_alone():
    state = torch.get_rng_state()
    first, same, other = make_branch(seed=3), make_branch(seed=3), make_branch(seed=4)
    for name, parameter in first.named_parameters():
        assert torch.equal(parameter, same.get_parameter(name))
        assert not torch.equal(parameter, other.get_parameter(name))
    assert torch.equal(torch.get_rng_state(), state)


def test_initial_weights_are_uniform_as_in_any_linear_layer():
    branch = ContrastiveBranch(4, 64, generator=torch.Generator().manual_seed(0))
    for layer in (branch.decouple, branch.encode, branch.decode, branch.aggregate, branch.classify):
        bound = 1 / math.sqrt(layer.in_features)
        assert layer.weight.abs().max() <= bound
        assert layer.bias.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert abs(layer.weight.mean().item()) < 0.1 * bound


def test_a_saved_branch_is_the_same_branch():
    branch, other, features = make_branch(seed=3), make_branch(seed=4), random_features()
    other.load_state_dict(branch.state_dict())
    for one, two, three in zip(branch(features), other(features), copy.deepcopy(branch)(features), strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)


# --- loss ------------------------------------------------------------------------------------------------------------


def squared_error_by_loops(reconstruction, features):
    errors = [
        (a - b) ** 2
        for row, target in zip(reconstruction, features, strict=True)
        for a, b in zip(row, target, strict=True)
    ]
    return sum(errors) / len(errors)


def cross_entropy_by_loops(logits, labels):
    terms = []
    for row, truth in zip(logits, labels, strict=True):
        for logit, y in zip(row, truth, strict=True):
            probability = 1 / (1 + math.exp(-logit))
            terms.append(-math.log(probability if y else 1 - probability))
    return sum(terms) / len(terms)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"alpha": 0.3, "beta": 2.5},
        {"negatives": "per-label", "temperature": 0.5},
        {"negatives": "none"},
        {"decoupling": "none", "temperature": 0.2},
        {"contrastive": False, "alpha": 0.3, "beta": 0.2},
        {"reconstruction": False, "alpha": 7.0, "beta": 7.0},
    ],
)
def test_loss_equals_its_parts(options):
    branch, features, labels = make_branch(**options), random_features(), random_labels()
    arguments = branch.arguments
    output = branch(features)
    loss = branch_loss(output, features, labels, arguments)
    contrastive = reconstruction = classification = 0.0
    if arguments.decoupling == "none":
        contrastive = document_supcon_loss(output.latent[:, 0], labels, temperature=arguments.temperature).item()
    elif arguments.contrastive:
        contrastive = multi_label_supcon_loss(
            output.latent, labels, temperature=arguments.temperature, negatives=arguments.negatives
        ).item()
    if arguments.reconstruction:
        reconstruction = squared_error_by_loops(output.reconstruction.tolist(), features.tolist())
        classification = cross_entropy_by_loops(output.logits.tolist(), labels.tolist())
    assert loss.contrastive.item() == pytest.approx(contrastive, rel=1e-5)
    assert loss.reconstruction.item() == pytest.approx(reconstruction, rel=1e-5)
    assert loss.classification.item() == pytest.approx(classification, rel=1e-5)
    total = contrastive + arguments.alpha * reconstruction + arguments.beta * classification
    assert loss.total.item() == pytest.approx(total, rel=1e-5)
    assert (contrastive > 0, reconstruction > 0) == (arguments.contrastive, arguments.reconstruction)


def test_sampled_negatives_reach_the_loss_with_their_generator():
    branch, features, labels = make_branch(sampled_negatives=3), random_features(), random_labels()
    output = branch(features)
    expected = multi_label_supcon_loss(
        output.latent, labels, sampled_negatives=3, generator=torch.Generator().manual_seed(4)
    )
    assert int((labels == 0).sum()) > 3
    loss = branch_loss(output, features, labels, branch.arguments, generator=torch.Generator().manual_seed(4))
    assert torch.equal(loss.contrastive, expected)


@pytest.mark.parametrize("options", [{}, {"decoupling": "none"}, {"contrastive": False}, {"activation": "gelu"}])
def test_every_weight_learns(options):
    branch, features = make_branch(**options), random_features()
    branch_loss(branch(features), features, random_labels(), branch.arguments).total.backward()
    for name, parameter in branch.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("negatives", ["shared", "per-label", "none"])
@pytest.mark.parametrize(("documents", "num_classes"), [(1, 1), (1, 3), (4, 1)])
@pytest.mark.parametrize("decoupling", ["label", "none"])
def test_tiny_batches_and_missing_labels_keep_loss_and_gradient_finite(negatives, documents, num_classes, decoupling):
    for value in (0, 1):
        branch = make_branch(num_classes, negatives=negatives, decoupling=decoupling)
        features, labels = random_features(documents), torch.full((documents, num_classes), value)
        loss = branch_loss(branch(features), features, labels, branch.arguments)
        loss.total.backward()
        assert torch.isfinite(loss.total)
        assert all(torch.isfinite(parameter.grad).all() for parameter in branch.parameters())


def test_the_gradient_reaches_features_that_ask_for_it():
    branch, features = make_branch(stop_gradient=False), random_features().requires_grad_()
    branch_loss(branch(features), features, random_labels(), branch.arguments).total.backward()
    assert features.grad.abs().sum() > 0


def test_half_precision_features_give_a_finite_float32_loss():
    branch, features = make_branch().to(torch.bfloat16), random_features().to(torch.bfloat16)
    loss = branch_loss(branch(features), features, random_labels(), branch.arguments)
    assert loss.total.dtype == torch.float32
    assert torch.isfinite(loss.total)


def test_a_few_steps_lower_every_part_of_the_loss():
    branch, features, labels = make_branch(), random_features(20), random_labels(20)
    optimizer = torch.optim.AdamW(branch.parameters(), lr=0.01)
    history = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = branch_loss(branch(features), features, labels, branch.arguments)
        loss.total.backward()
        optimizer.step()
        history.append([part.item() for part in loss])
    assert all(last < first for first, last in zip(history[0], history[-1], strict=True))


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, D + 1), (D,), (2, 3, D)])
def test_features_of_another_size_are_an_error_that_names_both(shape):
    branch, features = make_branch(), torch.zeros(shape)
    folded = branch.folded()
    message = rf"expected features \(N, {D}\), got " + str(shape).replace("(", r"\(").replace(")", r"\)")
    for call in (branch, branch.latent, folded.latent, folded.logits):
        with pytest.raises(ValueError, match=message):
            call(features)

"""The contrastive losses against plain loops, the authors' numbers, finite differences and their invariances."""

import json
import math
from itertools import combinations
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from small_text_comal.method import contrastive
from small_text_comal.method.contrastive import document_supcon_loss, multi_label_supcon_loss

GOLDEN = json.loads((Path(__file__).parent / "golden" / "contrastive_loss.json").read_text())
NEGATIVES = ["shared", "per-label", "none"]
BLOCK_SIZES = [1, 2, 3, 5, 7, 1000]
LABELS = {
    "a label without positives, a document without labels": [[1, 0, 0], [1, 0, 1], [0, 0, 0], [0, 0, 1], [1, 0, 1]],
    "anchors without positives": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no positives": [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]],
    "only positives": [[1, 1], [1, 1], [1, 1]],
    "one label": [[1], [0], [1], [0], [0]],
    "two labels": [[1, 0], [1, 1], [0, 1], [0, 0]],
    "one document": [[1, 0, 0, 1]],
    "one document, one label": [[1]],
}


# --- the oracles: lists and loops, nothing shared with the package ---------------------------------------------------


def cosine(a, b):
    norms = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / norms


def anchor_loss(anchor, positives, others, temperature):
    logits = [cosine(anchor, other) / temperature for other in others]
    log_denominator = max(logits) + math.log(sum(math.exp(logit - max(logits)) for logit in logits))
    terms = [cosine(anchor, positive) / temperature - log_denominator for positive in positives]
    return -sum(terms) / len(terms)


def label_loss_by_loops(latent, labels, temperature, negatives):
    B, C = len(labels), len(labels[0])
    class_of = {}
    for i in range(B):
        for j in range(C):
            if labels[i][j]:
                class_of[i, j] = j
            elif negatives != "none":
                class_of[i, j] = C if negatives == "shared" else C + j
    total = 0.0
    for i, j in class_of:
        others = [pair for pair in class_of if pair != (i, j)]
        positives = [pair for pair in others if class_of[pair] == class_of[i, j]]
        if positives:
            total += anchor_loss(
                latent[i][j], [latent[m][k] for m, k in positives], [latent[m][k] for m, k in others], temperature
            )
    return total / (B * C)


def document_loss_by_loops(latent, labels, temperature):
    losses = []
    for i, row in enumerate(labels):
        for j, has_label in enumerate(row):
            others = [m for m in range(len(labels)) if m != i]
            positives = [m for m in others if labels[m][j]]
            if has_label and positives:
                losses.append(
                    anchor_loss(latent[i], [latent[m] for m in positives], [latent[m] for m in others], temperature)
                )
    return sum(losses) / len(losses) if losses else 0.0


def finite_difference_gradient(function, latent, step=1e-6):
    gradient = torch.zeros_like(latent)
    for position in range(latent.numel()):
        sides = []
        for sign in (+1, -1):
            moved = latent.clone()
            moved.view(-1)[position] += sign * step
            sides.append(function(moved.tolist()))
        gradient.view(-1)[position] = (sides[0] - sides[1]) / (2 * step)
    return gradient


def random_latent(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def random_labels(*shape, seed=0):
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed + 1)) < 0.4).long()


def value_and_gradient(loss, latent, labels, **options):
    latent = latent.clone().requires_grad_()
    value = loss(latent, labels, **options)
    assert value.shape == ()
    value.backward()
    return value.detach(), latent.grad


@pytest.mark.parametrize("case", range(len(GOLDEN)))
@pytest.mark.parametrize("block_size", [None, 4])
def test_golden_value_and_gradient(case, block_size):
    latent = torch.tensor(GOLDEN[case]["z"], dtype=torch.float64)
    labels = torch.tensor(GOLDEN[case]["y"])
    expected = torch.tensor(GOLDEN[case]["grad"], dtype=torch.float64)
    value, gradient = value_and_gradient(multi_label_supcon_loss, latent, labels, block_size=block_size)
    assert value.item() == pytest.approx(GOLDEN[case]["loss"], rel=1e-9)
    assert torch.linalg.norm(gradient - expected) <= 1e-9 * torch.linalg.norm(expected)


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_label_loss_equals_loops(labels, negatives):
    latent = random_latent(len(labels), len(labels[0]), 3)

    def oracle(z):
        return label_loss_by_loops(z, labels, 0.2, negatives)

    value, gradient = value_and_gradient(
        multi_label_supcon_loss, latent, torch.tensor(labels), temperature=0.2, negatives=negatives
    )
    assert value.item() == pytest.approx(oracle(latent.tolist()), rel=1e-9, abs=1e-12)
    torch.testing.assert_close(gradient, finite_difference_gradient(oracle, latent), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_document_loss_equals_loops(labels):
    latent = random_latent(len(labels), 3)

    def oracle(z):
        return document_loss_by_loops(z, labels, 0.2)

    value, gradient = value_and_gradient(document_supcon_loss, latent, torch.tensor(labels), temperature=0.2)
    assert value.item() == pytest.approx(oracle(latent.tolist()), rel=1e-9, abs=1e-12)
    torch.testing.assert_close(gradient, finite_difference_gradient(oracle, latent), rtol=1e-5, atol=1e-7)


def test_the_default_is_the_papers_temperature_and_shared_negatives():
    latent, labels = random_latent(5, 3, 4), random_labels(5, 3)
    expected = label_loss_by_loops(latent.tolist(), labels.tolist(), 0.07, "shared")
    assert multi_label_supcon_loss(latent, labels).item() == pytest.approx(expected, rel=1e-9)
    expected = document_loss_by_loops(latent[:, 0].tolist(), labels.tolist(), 0.07)
    assert document_supcon_loss(latent[:, 0], labels).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("block_size", [None, 2])
@pytest.mark.parametrize(
    ("labels", "negatives"), [([[0, 0]] * 3, "none"), ([[1, 0], [0, 1]], "none"), ([[1]], "shared")]
)
def test_no_anchor_with_a_positive_gives_loss_zero_and_gradient_zero(labels, negatives, block_size):
    latent, labels = random_latent(len(labels), len(labels[0]), 3), torch.tensor(labels)
    for loss, z, options in [
        (multi_label_supcon_loss, latent, {"negatives": negatives}),
        (document_supcon_loss, latent[:, 0], {}),
    ]:
        value, gradient = value_and_gradient(loss, z, labels, block_size=block_size, **options)
        assert value.item() == 0
        assert gradient.tolist() == torch.zeros_like(z).tolist()


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_label_loss_in_blocks_is_the_whole_loss(block_size, negatives):
    latent, labels = random_latent(6, 4, 5), random_labels(6, 4)
    whole = value_and_gradient(multi_label_supcon_loss, latent, labels, negatives=negatives)
    blocked = value_and_gradient(multi_label_supcon_loss, latent, labels, negatives=negatives, block_size=block_size)
    assert whole[0] > 0
    torch.testing.assert_close(blocked, whole, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_document_loss_in_blocks_is_the_whole_loss(block_size):
    latent, labels = random_latent(11, 5), random_labels(11, 4)
    whole = value_and_gradient(document_supcon_loss, latent, labels)
    blocked = value_and_gradient(document_supcon_loss, latent, labels, block_size=block_size)
    assert whole[0] > 0
    torch.testing.assert_close(blocked, whole, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("keep_bytes", [0, 2**27])
def test_many_pairs_fall_into_blocks_kept_or_not_for_backward_without_changing_the_loss(monkeypatch, keep_bytes):
    monkeypatch.setattr("small_text_comal.method.pair_denominators._KEEP_BYTES", keep_bytes)
    latent, labels = random_latent(250, 4, 3).requires_grad_(), random_labels(250, 4)
    loss = multi_label_supcon_loss(latent, labels)
    gradients = [torch.autograd.grad(loss, latent, retain_graph=True)[0] for _ in range(2)]  # the second like the first
    expected = value_and_gradient(multi_label_supcon_loss, latent.detach(), labels, block_size=37)
    for gradient in gradients:
        torch.testing.assert_close((loss.detach(), gradient), expected, rtol=1e-10, atol=1e-12)


class LargestTensor(TorchDispatchMode):
    """Remember the largest number of elements that any operation, forward or backward, returned."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_blocks_never_hold_all_pairs(negatives):
    B, C, Z, block_size = 100, 4, 2, 8
    latent, labels = random_latent(B, C, Z).requires_grad_(), random_labels(B, C)
    kept = []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    with LargestTensor() as largest, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        multi_label_supcon_loss(latent, labels, negatives=negatives, block_size=block_size).backward()
    assert 0 < largest.elements <= 2 * B * C * block_size
    assert sum(kept) < (B * C) ** 2 / 4  # blocks that are kept for the backward pass would add up to all pairs


@pytest.mark.parametrize("block_size", [None, 3])
@pytest.mark.parametrize("negatives", NEGATIVES)
def test_gradcheck(negatives, block_size):
    latent, labels = random_latent(3, 3, 3).requires_grad_(), torch.tensor([[1, 0, 1], [1, 0, 0], [0, 0, 1]])

    def label_loss(z):
        return multi_label_supcon_loss(z, labels, temperature=0.5, negatives=negatives, block_size=block_size)

    def document_loss(z):
        return document_supcon_loss(z, labels, temperature=0.5, block_size=block_size)

    assert torch.autograd.gradcheck(label_loss, (latent,))
    assert torch.autograd.gradcheck(document_loss, (latent[:, 0].detach().requires_grad_(),))


@given(
    seed=st.integers(0, 2**31),
    B=st.integers(1, 6),
    C=st.integers(1, 5),
    negatives=st.sampled_from(NEGATIVES),
    block_size=st.sampled_from(BLOCK_SIZES),
)
def test_label_loss_ignores_order_length_and_rotation(seed, B, C, negatives, block_size):
    generator = torch.Generator().manual_seed(seed)
    latent, labels = random_latent(B, C, 4, seed=seed), random_labels(B, C, seed=seed)
    rows, columns = torch.randperm(B, generator=generator), torch.randperm(C, generator=generator)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
    length = 0.01 + 10 * torch.rand(B, C, 1, generator=generator, dtype=torch.float64)
    expected = multi_label_supcon_loss(latent, labels, negatives=negatives)
    for same_latent, same_labels in [
        (latent[rows], labels[rows]),
        (latent[:, columns], labels[:, columns]),
        (latent * length, labels),
        (latent @ rotation, labels),
    ]:
        loss = multi_label_supcon_loss(same_latent, same_labels, negatives=negatives, block_size=block_size)
        torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-12)


@given(seed=st.integers(0, 2**31), B=st.integers(1, 7), C=st.integers(1, 4), block_size=st.sampled_from(BLOCK_SIZES))
def test_document_loss_ignores_order_and_length(seed, B, C, block_size):
    generator = torch.Generator().manual_seed(seed)
    latent, labels = random_latent(B, 4, seed=seed), random_labels(B, C, seed=seed)
    rows, columns = torch.randperm(B, generator=generator), torch.randperm(C, generator=generator)
    length = 0.01 + 10 * torch.rand(B, 1, generator=generator, dtype=torch.float64)
    expected = document_supcon_loss(latent, labels)
    for same_latent, same_labels in [
        (latent[rows], labels[rows]),
        (latent, labels[:, columns]),
        (latent * length, labels),
    ]:
        loss = document_supcon_loss(same_latent, same_labels, block_size=block_size)
        torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("temperature", [0.003, 0.024, 0.026])
@pytest.mark.parametrize("block_size", [None, 4])
def test_low_temperature_in_float32_neither_overflows_nor_drifts(temperature, block_size):
    latent = random_latent(5, 3, 4, dtype=torch.float32)
    latent[1] = latent[0]  # a duplicated document: cosine 1, the largest logit there is
    latent[3] = -latent[2]  # an opposite one: cosine -1, the smallest
    labels = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 1]])
    options = {"temperature": temperature, "block_size": block_size}
    exact = latent.double()
    results = [
        (
            value_and_gradient(multi_label_supcon_loss, latent, labels, negatives=negatives, **options),
            label_loss_by_loops(exact.tolist(), labels.tolist(), temperature, negatives),
        )
        for negatives in NEGATIVES
    ]
    by_loops = document_loss_by_loops(exact[:, 0].tolist(), labels.tolist(), temperature)
    results.append((value_and_gradient(document_supcon_loss, latent[:, 0], labels, **options), by_loops))
    for (value, gradient), expected in results:
        assert value.item() == pytest.approx(expected, rel=1e-5)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32, torch.float64])
def test_labels_of_any_type_mean_the_same_and_are_not_changed(dtype):
    latent, labels = random_latent(5, 3, 4), random_labels(5, 3)
    latent_before, typed = latent.clone(), labels.to(dtype)
    for negatives in NEGATIVES:
        expected = multi_label_supcon_loss(latent, labels, negatives=negatives)
        assert multi_label_supcon_loss(latent, typed, negatives=negatives) == expected
    assert document_supcon_loss(latent[:, 0], typed) == document_supcon_loss(latent[:, 0], labels)
    assert torch.equal(latent, latent_before)
    assert torch.equal(typed, labels.to(dtype))


def test_a_zero_latent_vector_is_no_error():
    latent, labels = random_latent(4, 2, 3), torch.tensor([[1, 0], [1, 1], [0, 1], [1, 0]])
    latent[0, 0] = 0
    assert torch.isfinite(multi_label_supcon_loss(latent, labels))
    assert torch.isfinite(document_supcon_loss(latent[:, 0], labels))


@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (4,), (4, 3, 1)])
def test_labels_of_another_shape_are_an_error_that_names_both(shape):
    with pytest.raises(ValueError, match=r"\(4, 3, 2\).*" + str(shape).replace("(", r"\(").replace(")", r"\)")):
        multi_label_supcon_loss(random_latent(4, 3, 2), torch.zeros(shape))


def test_documents_of_another_number_are_an_error_that_names_both():
    with pytest.raises(ValueError, match=r"4.*5"):
        document_supcon_loss(random_latent(4, 2), torch.zeros(5, 3))


def test_unknown_negatives_are_an_error_that_names_the_choices():
    with pytest.raises(ValueError, match=r"negatives.*per-label.*'hard'"):
        multi_label_supcon_loss(random_latent(4, 3, 2), torch.zeros(4, 3), negatives="hard")


@pytest.mark.parametrize(
    ("option", "value"), [("temperature", 0.0), ("temperature", -0.07), ("temperature", math.nan), ("block_size", 0)]
)
def test_impossible_options_are_an_error_that_names_them(option, value):
    message = rf"{option}.*expected.*got {value}"
    with pytest.raises(ValueError, match=message):
        multi_label_supcon_loss(random_latent(4, 3, 2), torch.zeros(4, 3), **{option: value})
    with pytest.raises(ValueError, match=message):
        document_supcon_loss(random_latent(4, 2), torch.zeros(4, 3), **{option: value})


# --- sampled negatives -----------------------------------------------------------------------------------------------


def sampled_loss_by_loops(latent, labels, temperature, negatives, sample):
    """The estimate from all positive pairs and the negative pairs in `sample`, weight by weight."""
    pairs = [(i, j) for i in range(len(labels)) for j in range(len(labels[0]))]
    n, s = sum(not labels[i][j] for i, j in pairs), len(sample)
    present = [(i, j) for i, j in pairs if labels[i][j] or (i, j) in sample]

    def class_of(i, j):
        return (1, j) if labels[i][j] else (0, j if negatives == "per-label" else 0)

    total = 0.0
    for anchor in present:
        positive = labels[anchor[0]][anchor[1]]
        size = sum(class_of(*pair) == class_of(*anchor) for pair in pairs)
        if size < 2:
            continue
        denominator = similarity = 0.0
        for other in present:
            if other == anchor:
                continue
            cos = cosine(latent[anchor[0]][anchor[1]], latent[other[0]][other[1]])
            weight = 1 if labels[other[0]][other[1]] else n / s if positive else (n - 1) / (s - 1)
            denominator += weight * math.exp(cos / temperature)
            if class_of(*other) == class_of(*anchor):
                similarity += cos if positive else cos * (n - 1) / (s - 1)
        total += (1 if positive else n / s) * (math.log(denominator) - similarity / (size - 1) / temperature)
    return total / len(pairs)


def negative_pairs(labels):
    return [(i, j) for i, row in enumerate(labels) for j, y in enumerate(row) if not y]


@pytest.mark.parametrize("negatives", ["shared", "per-label"])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("block_size", [None, 3])
def test_sampled_loss_equals_loops(labels, negatives, block_size):
    among = negative_pairs(labels)
    if len(among) < 3:
        pytest.skip("nothing to draw")
    size = max(2, len(among) // 2)
    generator = torch.Generator().manual_seed(5)
    sample = {among[k] for k in torch.randperm(len(among), generator=torch.Generator().manual_seed(5))[:size]}
    latent = random_latent(len(labels), len(labels[0]), 3)

    def oracle(z):
        return sampled_loss_by_loops(z, labels, 0.2, negatives, sample)

    value, gradient = value_and_gradient(
        multi_label_supcon_loss,
        latent,
        torch.tensor(labels),
        temperature=0.2,
        negatives=negatives,
        sampled_negatives=size,
        generator=generator,
        block_size=block_size,
    )
    assert value.item() == pytest.approx(oracle(latent.tolist()), rel=1e-9, abs=1e-12)
    torch.testing.assert_close(gradient, finite_difference_gradient(oracle, latent), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("negatives", ["shared", "per-label"])
@pytest.mark.parametrize("size", [2, 3, 6])
def test_the_mean_over_all_samples_is_the_full_loss_but_for_the_logarithm(monkeypatch, negatives, size):
    """At a high temperature the logarithm of a denominator is nearly linear, so nothing biased is left."""
    labels = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]])
    latent, temperature = random_latent(4, 3, 3), 1000.0
    n = int((labels == 0).sum())
    found = []
    for sample in combinations(range(n), size):
        monkeypatch.setattr(contrastive, "_drawn", lambda *_, sample=sample: torch.tensor(sample))
        options = {"temperature": temperature, "negatives": negatives, "sampled_negatives": size}
        found.append(value_and_gradient(multi_label_supcon_loss, latent, labels, **options))
    full = value_and_gradient(multi_label_supcon_loss, latent, labels, temperature=temperature, negatives=negatives)
    values, gradients = zip(*found, strict=True)
    assert torch.stack(values).std() > 0
    # the similarities are of order 1 / temperature, what the logarithm adds of order 1 / temperature^2
    assert abs(torch.stack(values).mean() - full[0]) * temperature < 2e-3
    torch.testing.assert_close(
        torch.stack(gradients).mean(dim=0) * temperature, full[1] * temperature, rtol=0, atol=2e-3
    )


def test_over_seeds_value_and_gradient_are_those_of_the_full_loss_and_come_closer_with_the_sample():
    latent, labels = random_latent(16, 12, 8), random_labels(16, 12) * random_labels(16, 12, seed=7)
    full, full_gradient = value_and_gradient(multi_label_supcon_loss, latent, labels, temperature=0.2)
    errors = []
    for size in (20, 80):
        found = [
            value_and_gradient(
                multi_label_supcon_loss,
                latent,
                labels,
                temperature=0.2,
                sampled_negatives=size,
                generator=torch.Generator().manual_seed(seed),
            )
            for seed in range(150)
        ]
        values, gradients = (torch.stack(part) for part in zip(*found, strict=True))
        errors.append(float(full - values.mean()))
        distance = torch.linalg.vector_norm(gradients.mean(dim=0) - full_gradient)
        assert distance < {20: 0.3, 80: 0.1}[size] * torch.linalg.vector_norm(full_gradient)
    assert 0 < errors[1] < errors[0] / 2  # Jensen: the logarithm makes it too small, less so with more negatives
    assert errors[1] < 0.005 * float(full)


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_a_sample_of_all_negatives_or_more_is_the_full_loss_and_draws_nothing(negatives):
    latent, labels = random_latent(5, 4, 3), random_labels(5, 4)
    n = int((labels == 0).sum())
    full = value_and_gradient(multi_label_supcon_loss, latent, labels, negatives=negatives)
    for size in (n, n + 1, 10**6):
        generator = torch.Generator().manual_seed(0)
        before = generator.get_state()
        options = {"negatives": negatives, "sampled_negatives": size, "generator": generator}
        got = value_and_gradient(multi_label_supcon_loss, latent, labels, **options)
        assert torch.equal(got[0], full[0])
        assert torch.equal(got[1], full[1])
        assert torch.equal(generator.get_state(), before)


def test_without_negatives_there_is_nothing_to_sample():
    latent, labels = random_latent(5, 4, 3), random_labels(5, 4)
    full = multi_label_supcon_loss(latent, labels, negatives="none")
    assert torch.equal(multi_label_supcon_loss(latent, labels, negatives="none", sampled_negatives=2), full)


def test_the_generator_decides_the_sample_and_negatives_that_are_not_drawn_have_no_gradient():
    latent, labels = random_latent(8, 6, 3), random_labels(8, 6)
    results = [
        value_and_gradient(
            multi_label_supcon_loss,
            latent,
            labels,
            sampled_negatives=5,
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (1, 1, 2)
    ]
    assert torch.equal(results[0][1], results[1][1])
    assert not torch.equal(results[0][1], results[2][1])
    touched = results[0][1].abs().sum(dim=-1) > 0
    assert int((touched & (labels == 0)).sum()) == 5
    assert bool(touched[labels == 1].all())


@pytest.mark.parametrize("size", [1, 0, -3])
def test_a_sample_of_fewer_than_two_negatives_is_an_error(size):
    with pytest.raises(ValueError, match=rf"sampled_negatives: expected None or an integer >= 2, got {size}"):
        multi_label_supcon_loss(random_latent(4, 3, 2), torch.zeros(4, 3), sampled_negatives=size)


def test_a_sample_keeps_the_pairs_few_whatever_the_number_of_labels():
    labels = torch.zeros(20, 300, dtype=torch.long)
    labels[torch.arange(20), torch.arange(20) % 7] = 1
    latent = random_latent(20, 300, 2).requires_grad_()
    with LargestTensor() as largest:
        multi_label_supcon_loss(latent, labels, sampled_negatives=50).backward()
    assert largest.elements <= 20 * 300 * 2  # the latent vectors themselves; all pairs would be 6000^2

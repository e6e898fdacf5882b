"""Prototypes and the similarity to them against plain loops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from small_text_comal.method.prototypes import label_prototypes, prototype_similarity

LABELS = {
    "every label has positives": [[1, 0, 1], [0, 1, 1], [1, 1, 0]],
    "a label without positives, a document without labels": [[1, 0, 0], [0, 0, 0], [1, 0, 1], [0, 0, 1]],
    "no positives": [[0, 0], [0, 0]],
    "one label": [[1], [0], [1]],
    "two labels": [[1, 0], [0, 1], [1, 1]],
    "one document": [[1, 0, 1]],
}


def unit(vector):
    norm = math.sqrt(sum(x * x for x in vector))
    return [x / norm for x in vector]


def prototypes_by_loops(latent, labels):
    """Mean of the unit vectors, component by component; None for a label without positives."""
    prototypes = []
    for j in range(len(labels[0])):
        members = [unit(latent[i][j]) for i in range(len(labels)) if labels[i][j]]
        prototypes.append([sum(part) / len(members) for part in zip(*members, strict=True)] if members else None)
    return prototypes


def similarity_by_loops(latent, prototypes):
    return [
        [
            math.nan if p is None else sum(a * b for a, b in zip(unit(z), unit(p), strict=True))
            for z, p in zip(document, prototypes, strict=True)
        ]
        for document in latent
    ]


def random_latent(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def random_labels(*shape, seed=0):
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed + 1)) < 0.4).long()


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_prototypes_and_similarity_equal_loops(labels):
    latent = random_latent(len(labels), len(labels[0]), 4)
    pool = random_latent(6, len(labels[0]), 4, seed=9)
    prototypes = label_prototypes(latent, torch.tensor(labels))
    expected = prototypes_by_loops(latent.tolist(), labels)
    for prototype, by_loops in zip(prototypes.tolist(), expected, strict=True):
        assert prototype == pytest.approx(by_loops or [math.nan] * 4, nan_ok=True)
    similarity = prototype_similarity(pool, prototypes)
    by_loops = torch.tensor(similarity_by_loops(pool.tolist(), expected), dtype=torch.float64)
    torch.testing.assert_close(similarity, by_loops, equal_nan=True)


def test_the_mean_of_unit_vectors_keeps_its_length():
    latent = torch.tensor([[[3.0, 0.0]], [[0.0, 0.2]]])
    prototypes = label_prototypes(latent, torch.tensor([[1], [1]]))
    torch.testing.assert_close(prototypes, torch.tensor([[0.5, 0.5]]))
    similarity = prototype_similarity(torch.tensor([[[7.0, 7.0]], [[-1.0, -1.0]]]), prototypes)
    torch.testing.assert_close(similarity, torch.tensor([[1.0], [-1.0]]))


def test_opposite_positives_leave_a_defined_similarity_of_zero():
    prototypes = label_prototypes(torch.tensor([[[1.0, 0.0]], [[-1.0, 0.0]]]), torch.tensor([[1], [1]]))
    assert prototypes.tolist() == [[0.0, 0.0]]
    assert prototype_similarity(torch.tensor([[[0.6, 0.8]]]), prototypes).tolist() == [[0.0]]


def test_similarity_never_leaves_its_range_by_rounding():
    latent = random_latent(200, 4, 16, dtype=torch.float32)
    for document in latent:  # 1 - k of such a document would be negative, and its root NaN
        similarity = prototype_similarity(torch.stack([document, -document]), document)
        assert similarity.abs().max() <= 1
        torch.testing.assert_close(similarity, torch.tensor([[1.0] * 4, [-1.0] * 4]))


@given(seed=st.integers(0, 2**31), documents=st.integers(1, 7), C=st.integers(1, 5))
def test_order_and_length_do_not_matter(seed, documents, C):
    generator = torch.Generator().manual_seed(seed)
    latent, labels = random_latent(documents, C, 3, seed=seed), random_labels(documents, C, seed=seed)
    rows, columns = torch.randperm(documents, generator=generator), torch.randperm(C, generator=generator)
    length = 0.01 + 10 * torch.rand(documents, C, 1, generator=generator, dtype=torch.float64)
    prototypes = label_prototypes(latent, labels)
    for changed, expected in [
        (label_prototypes(latent[rows], labels[rows]), prototypes),
        (label_prototypes(latent[:, columns], labels[:, columns]), prototypes[columns]),
        (label_prototypes(latent * length, labels), prototypes),
    ]:
        torch.testing.assert_close(changed, expected, equal_nan=True)
    similarity = prototype_similarity(latent, prototypes)
    for changed, expected in [
        (prototype_similarity(latent[rows], prototypes), similarity[rows]),
        (prototype_similarity(latent[:, columns], prototypes[columns]), similarity[:, columns]),
        (prototype_similarity(latent * length, prototypes * length[0]), similarity),
    ]:
        torch.testing.assert_close(changed, expected, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_label_types_mean_the_same_and_inputs_are_not_changed(dtype):
    latent, labels = random_latent(5, 3, 4, dtype=torch.float32), random_labels(5, 3)
    latent_before, labels_before = latent.clone(), labels.to(dtype)
    prototypes = label_prototypes(latent, labels_before)
    assert prototypes.dtype == torch.float32
    torch.testing.assert_close(prototypes, label_prototypes(latent, labels), equal_nan=True)
    prototype_similarity(latent, prototypes)
    assert torch.equal(latent, latent_before)
    assert torch.equal(labels_before, labels.to(dtype))


def test_a_duplicated_pool_has_the_same_prototypes():
    latent, labels = random_latent(5, 3, 4), random_labels(5, 3)
    doubled = label_prototypes(latent.repeat(2, 1, 1), labels.repeat(2, 1))
    torch.testing.assert_close(doubled, label_prototypes(latent, labels), equal_nan=True)


@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (4,)])
def test_labels_of_another_shape_are_an_error_that_names_both(shape):
    with pytest.raises(ValueError, match=r"\(4, 3, 2\).*" + str(shape).replace("(", r"\(").replace(")", r"\)")):
        label_prototypes(random_latent(4, 3, 2), torch.zeros(shape))


def test_prototypes_of_another_shape_are_an_error_that_names_both():
    with pytest.raises(ValueError, match=r"\(3, 5\).*\(4, 3, 2\)"):
        prototype_similarity(random_latent(4, 3, 2), random_latent(3, 5))

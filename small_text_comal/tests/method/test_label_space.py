"""The streaming pass over the pool, against one document and one label at a time."""

import doctest

import numpy as np
import pytest
import torch
from torch import nn

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.method import label_space as label_space_module
from small_text_comal.method.branch import ContrastiveBranch
from small_text_comal.method.label_space import (
    FeatureBatch,
    LabeledPrototypes,
    labeled_prototypes,
    latent_blocks,
    project,
)

N, C, D, Z = 11, 3, 6, 4
VARIANTS = [{}, {"activation": "relu"}, {"reconstruction": False}, {"decoupling": "none"}]


def branch(**changes):
    arguments = ContrastiveBranchArguments(sub_feature_size=5, latent_size=Z, **changes)
    return ContrastiveBranch(C, D, arguments, generator=torch.Generator().manual_seed(0)).eval()


def features(n=N):
    return torch.randn(n, D, generator=torch.Generator().manual_seed(1))


def labels():
    y = (torch.rand(N, C, generator=torch.Generator().manual_seed(2)) < 0.4).int()
    y[:, 1] = 0
    return y


def batches(values, size):
    """Batches as the encoder brings them: in any order, with the rows they belong to."""
    rows = np.random.default_rng(3).permutation(len(values))
    return [FeatureBatch(part, values[torch.from_numpy(part)]) for part in np.split(rows, range(size, len(rows), size))]


def unit(vector):
    return vector / max(float(torch.linalg.vector_norm(vector)), 1e-12)


def prototypes_by_hand(values, y, scorer):
    result = torch.full((C, Z), torch.nan)
    for j in range(C):
        members = [unit(scorer(values[i : i + 1]).latent[0, j]) for i in range(len(values)) if y[i, j]]
        if members:
            result[j] = sum(members) / len(members)
    return result


def of_vectors(vectors):
    return LabeledPrototypes(vectors, torch.full((2, C), 0.5))


def test_docstring_examples():
    assert doctest.testmod(label_space_module).failed == 0


@pytest.fixture(params=[1, 3, 100], ids=lambda n: f"blocks of {n}")
def blocks(request, monkeypatch):
    monkeypatch.setattr(label_space_module, "_LATENT_BYTES", request.param * 4 * C * Z)
    return request.param


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("folded", [False, True])
@torch.no_grad()
def test_every_number_is_that_of_its_document_and_label(blocks, variant, folded):
    model, values, head = branch(**variant), features(), nn.Linear(D, C)
    prototypes = prototypes_by_hand(values, labels(), model)
    space = project(
        batches(values, 4), N, model.folded() if folded else model, head=head, prototypes=of_vectors(prototypes)
    )
    for i in range(N):
        output = model(values[i : i + 1])
        for j in range(C):
            cosine = float(unit(output.latent[0, j]) @ unit(prototypes[j]))
            np.testing.assert_allclose(space.similarity[i, j], cosine, atol=1e-5)
        np.testing.assert_allclose(space.probabilities[i], torch.sigmoid(head(values[i])).numpy(), atol=1e-6)
        if output.logits is not None:
            expected = torch.sigmoid(output.logits[0]).numpy()
            np.testing.assert_allclose(space.branch_probabilities[i], expected, atol=1e-5)
    assert (space.branch_probabilities is None) == (not variant.get("reconstruction", True))
    assert np.isnan(space.similarity).all(axis=0).tolist() == [False, True, False]
    assert {a.dtype for a in space if a is not None} == {np.dtype("float32")}
    assert space.similarity.shape == space.probabilities.shape == (N, C)
    np.testing.assert_array_equal(space.labeled_similarity, np.full((2, C), 0.5))


@pytest.mark.parametrize("kept_bytes", [0, 2**20], ids=["computed twice", "kept"])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@torch.no_grad()
def test_the_labeled_pool_in_blocks_is_that_of_single_documents(blocks, variant, kept_bytes, monkeypatch):
    monkeypatch.setattr(label_space_module, "_KEPT_BYTES", kept_bytes)
    model, values, y = branch(**variant), features(), labels()
    got = labeled_prototypes(values, y, model.folded())
    expected = prototypes_by_hand(values, y, model)
    torch.testing.assert_close(got.vectors, expected, atol=1e-5, rtol=0, equal_nan=True)
    for i in range(N):
        for j in range(C):
            cosine = float(unit(model(values[i : i + 1]).latent[0, j]) @ unit(expected[j]))
            np.testing.assert_allclose(float(got.similarity[i, j]), cosine, atol=1e-5)


@torch.no_grad()
def test_branch_probabilities_can_be_left_out():
    model, values = branch(), features()
    space = project(
        batches(values, 4),
        N,
        model,
        head=nn.Linear(D, C),
        prototypes=of_vectors(torch.ones(C, Z)),
        branch_probabilities=False,
    )
    assert space.branch_probabilities is None


@torch.no_grad()
def test_latent_blocks_are_small_and_complete(blocks):
    model, values = branch(), features()
    found = list(latent_blocks(values, model.folded()))
    assert max(len(latent) for latent in found) <= blocks
    torch.testing.assert_close(torch.cat(found), model(values).latent, atol=1e-5, rtol=0)


@torch.no_grad()
def test_no_documents():
    model = branch()
    space = project([], 0, model, head=nn.Linear(D, C), prototypes=of_vectors(torch.zeros(C, Z)))
    assert space.similarity.shape == space.probabilities.shape == (0, C)
    assert torch.cat(list(latent_blocks(features(0), model))).shape == (0, C, Z)
    assert torch.isnan(labeled_prototypes(features(0), torch.zeros(0, C), model).vectors).all()


@torch.no_grad()
def test_the_latent_tensor_never_exists_for_more_than_a_block(monkeypatch):
    monkeypatch.setattr(label_space_module, "_LATENT_BYTES", 2 * 4 * C * Z)
    model, largest = branch(), []

    class Watched:
        num_classes, latent_size, reconstructs = C, Z, False

        def latent(self, block):
            largest.append(len(block))
            return model(block).latent

    project(batches(features(), N), N, Watched(), head=nn.Linear(D, C), prototypes=of_vectors(torch.ones(C, Z)))
    assert max(largest) == 2
    assert sum(largest) == N

"""Weighted denominators against a loop over pairs."""

import doctest
import math

import pytest
import torch

from small_text_comal.method import pair_denominators
from small_text_comal.method.pair_denominators import ColumnWeights, log_denominators


def unit_rows(n, seed=0):
    rows = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=-1)


def random_weights(n):
    generator = torch.Generator().manual_seed(1)
    marked = (torch.rand(n, generator=generator) < 0.5).double()
    return ColumnWeights(3 * torch.rand(n, generator=generator, dtype=torch.float64), marked)


def by_loops(z, temperature, weights):
    result = []
    for i in range(len(z)):
        total = 0.0
        for k in range(len(z)):
            if k != i:
                often = 1.0 if weights is None else 1 + float(weights.excess[i]) * float(weights.marked[k])
                total += often * math.exp((float(z[i] @ z[k]) - 1) / temperature)
        result.append(math.log(total) if total else -math.inf)
    return result


def test_docstring_examples():
    assert doctest.testmod(pair_denominators).failed == 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("block_size", [None, 1, 2, 3, 100])
@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_equals_loops(n, block_size, weighted):
    z, weights = unit_rows(n), random_weights(n) if weighted else None
    got = log_denominators(z, 0.3, weights=weights, block_size=block_size)
    assert got.tolist() == pytest.approx(by_loops(z, 0.3, weights))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("block_size", [None, 4])
def test_gradcheck(block_size, weighted):
    z, weights = unit_rows(7).requires_grad_(), random_weights(7) if weighted else None
    assert torch.autograd.gradcheck(
        lambda rows: log_denominators(rows, 0.5, weights=weights, block_size=block_size), (z,)
    )

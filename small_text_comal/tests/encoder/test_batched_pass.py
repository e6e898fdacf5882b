"""Batches that fit into memory: every document once, and half the batch where it does not fit."""

import doctest

import numpy as np
import pytest
import torch

from small_text_comal.encoder import batched_pass as batched_pass_module
from small_text_comal.encoder.batched_pass import batched_pass

LENGTHS = np.array([9, 3, 12, 6, 3, 7, 11])


def memory_for(limit, sizes):
    """Computes the lengths of documents; there is no memory for more than `limit` at once."""

    def compute(rows):
        sizes.append(len(rows))
        assert torch.is_inference_mode_enabled()
        if len(rows) > limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory (a test)")
        return torch.from_numpy(LENGTHS_OF[rows])

    return compute


LENGTHS_OF = np.concatenate([LENGTHS, np.full(40, 6)])


def test_docstring_examples():
    assert doctest.testmod(batched_pass_module).failed == 0


def test_each_document_once_with_its_own_result():
    rows, sizes = np.array([6, 0, 2, 5]), []
    for batch, result in batched_pass(memory_for(4, sizes), rows, LENGTHS_OF, 24):
        assert not torch.is_inference_mode_enabled()  # the caller's code runs between the batches
        assert result.tolist() == LENGTHS_OF[batch].tolist()
    assert sizes == [2, 2]


def test_no_documents():
    assert list(batched_pass(memory_for(4, []), np.arange(0), LENGTHS_OF, 24)) == []


def test_out_of_memory_halves_the_batch_for_the_rest_and_says_so_once():
    sizes = []
    with pytest.warns(UserWarning, match="out of CUDA memory: continuing with half as many") as notes:
        passed = list(batched_pass(memory_for(4, sizes), np.arange(7, 47), LENGTHS_OF, 16 * 6))
    assert len(notes) == 1
    assert sorted(np.concatenate([batch for batch, _ in passed]).tolist()) == list(range(7, 47))
    assert sizes == [16, 8] + [4] * 10


def test_documents_of_unequal_length_out_of_memory():
    with pytest.warns(UserWarning, match="out of CUDA memory"):
        passed = list(batched_pass(memory_for(2, []), np.arange(7), LENGTHS_OF, 100))
    assert sorted(np.concatenate([batch for batch, _ in passed]).tolist()) == list(range(7))
    assert all(result.tolist() == LENGTHS_OF[batch].tolist() for batch, result in passed)


def test_out_of_memory_with_one_document_is_raised():
    sizes = []
    with pytest.warns(UserWarning, match="out of CUDA memory"), pytest.raises(torch.cuda.OutOfMemoryError):
        list(batched_pass(memory_for(0, sizes), np.arange(7), LENGTHS_OF, 24))
    assert sizes == [2, 1]

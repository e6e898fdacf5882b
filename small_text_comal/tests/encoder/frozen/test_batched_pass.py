"""Batches that fit into memory: every document once, and half the batch where it does not fit."""

import doctest

import numpy as np
import pytest
import torch
from tiny_encoders import token_rows

from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen import batched_pass as batched_pass_module
from small_text_comal.encoder.frozen.batched_pass import batched_pass

MIXED = Documents(token_rows([9, 3, 12, 6, 3, 7, 11]))
ALIKE = Documents(token_rows([6] * 40))


class Memory:
    """Computes the lengths of documents, not of more than `limit` at once; `sizes` are the batches that came."""

    def __init__(self, limit):
        self.limit, self.sizes = limit, []

    def __call__(self, documents, rows):
        assert torch.is_inference_mode_enabled()
        self.sizes.append(len(rows))
        if len(rows) > self.limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory (a test)")
        return torch.from_numpy(documents.lengths[rows])


def passed_rows(documents, passed):
    assert all(result.tolist() == documents.lengths[batch].tolist() for batch, result in passed)
    return sorted(np.concatenate([batch for batch, _ in passed]).tolist())


def test_docstring_examples():
    assert doctest.testmod(batched_pass_module).failed == 0


def test_the_wanted_documents_once_with_their_own_results():
    memory, passed = Memory(9), []
    for batch, result in batched_pass(memory, MIXED, 2, rows=np.array([6, 0, 2, 5]), trim=True):
        assert not torch.is_inference_mode_enabled()  # the caller's code runs between the batches
        passed.append((batch, result))
    assert passed_rows(MIXED, passed) == [0, 2, 5, 6]
    assert memory.sizes == [2, 2]


def test_documents_that_keep_their_padding_count_with_it():
    trimmed, padded = Memory(9), Memory(9)
    list(batched_pass(trimmed, MIXED, 2, rows=np.arange(7), trim=True))
    list(batched_pass(padded, MIXED, 2, rows=np.arange(7), trim=False))
    assert (trimmed.sizes, padded.sizes) == ([2, 2, 3], [2, 2, 2, 1])


def test_no_documents():
    assert list(batched_pass(Memory(4), MIXED, 2, rows=np.arange(0), trim=True)) == []


def test_out_of_memory_halves_the_batches_of_the_rest_and_says_so_once():
    memory = Memory(4)
    with pytest.warns(UserWarning, match="out of CUDA memory: continuing with half as many") as notes:
        passed = list(batched_pass(memory, ALIKE, 16, rows=np.arange(40), trim=True))
    assert len(notes) == 1
    assert passed_rows(ALIKE, passed) == list(range(40))
    assert memory.sizes == [16, 8] + [4] * 10


def test_documents_of_unequal_length_out_of_memory():
    with pytest.warns(UserWarning, match="out of CUDA memory"):
        passed = list(batched_pass(Memory(2), MIXED, 7, rows=np.arange(7), trim=True))
    assert passed_rows(MIXED, passed) == list(range(7))


def test_out_of_memory_with_one_document_is_raised():
    memory = Memory(0)
    with pytest.warns(UserWarning, match="out of CUDA memory"), pytest.raises(torch.cuda.OutOfMemoryError):
        list(batched_pass(memory, MIXED, 2, rows=np.arange(7), trim=True))
    assert memory.sizes == [2, 1]

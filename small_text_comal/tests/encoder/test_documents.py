"""Trimmed documents, their content keys, and batches of similar length, against plain loops."""

import doctest
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_encoders import token_rows

from small_text_comal.encoder import documents as documents_module
from small_text_comal.encoder.documents import Documents, length_sorted_batches, shuffled_batches

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=30)


def test_docstring_examples():
    assert doctest.testmod(documents_module).failed == 0


def trimmed_by_hand(ids, mask):
    tokens, flags = ids[0].tolist(), mask[0].tolist()
    while len(flags) > 1 and flags[-1] == 0:
        tokens, flags = tokens[:-1], flags[:-1]
    return tokens, flags


@given(LENGTHS, st.integers(0, 5), st.booleans())
def test_only_trailing_padding_is_dropped(lengths, extra, pad_left):
    rows = token_rows(lengths, padded_to=max(lengths) + extra, pad_left=pad_left)
    documents = Documents(rows)
    expected = [trimmed_by_hand(ids, mask) for ids, mask, _ in rows]
    alone = [documents.padded([row], "cpu") for row in range(len(documents))]
    assert [(ids[0].tolist(), mask[0].tolist()) for ids, mask in alone] == expected
    assert documents.lengths.tolist() == [len(tokens) for tokens, _ in expected]
    assert documents.padded_length == max(lengths) + extra


def test_a_mask_with_holes_is_kept():
    ids, mask = torch.tensor([[3, 4, 5, 6, 0]]), torch.tensor([[0, 1, 0, 1, 0]])
    documents = Documents([(ids, mask)])
    assert documents.padded_mask([0], "cpu").tolist() == [[0, 1, 0, 1]]


def test_rows_of_different_width_and_more_than_a_chunk(monkeypatch):
    monkeypatch.setattr(documents_module, "_CHUNK", 3)
    rows = [row for width in (4, 9, 2, 7, 9) for row in token_rows([2, 1], padded_to=width)]
    documents = Documents(rows)
    assert documents.lengths.tolist() == [2, 1] * 5
    assert documents.padded_length == 9


def test_no_documents():
    documents = Documents([])
    assert len(documents) == 0
    assert documents.lengths.shape == (0,)
    assert documents.keys == []
    assert list(length_sorted_batches(documents.lengths, 0)) == []


def test_a_document_without_tokens_keeps_one_position():
    documents = Documents([(torch.zeros((1, 4), dtype=torch.long), torch.zeros((1, 4), dtype=torch.long))])
    assert documents.lengths.tolist() == [1]
    ids, mask = documents.padded(np.array([0]), "cpu")
    assert ids.shape == (1, 1)
    assert mask.tolist() == [[0]]


def test_padded_batch_in_the_asked_order():
    documents = Documents(token_rows([3, 5, 2, 4], padded_to=8))
    ids, mask = documents.padded(np.array([2, 0]), "cpu")
    assert ids.shape == mask.shape == (2, 3)
    assert mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert ids[0, :2].tolist() == documents.ids[2].tolist()
    assert ids[0, 2] == 0
    assert ids[1].tolist() == documents.ids[0].tolist()
    assert torch.equal(documents.padded_mask(np.array([2, 0]), "cpu"), mask)


def test_subset_keeps_padded_length_and_keys():
    documents = Documents(token_rows([3, 5, 2], padded_to=8))
    subset = documents.subset(np.array([2, 0]))
    assert len(subset) == 2
    assert subset.padded_length == 8
    assert subset.lengths.tolist() == [2, 3]
    assert subset.keys == [documents.keys[2], documents.keys[0]]
    assert documents.subset(np.array([2, 0])).keys[0] is documents.keys[2]  # not computed again


def test_keys_tell_contents_apart_and_ignore_trailing_padding():
    short, wide = Documents(token_rows([3, 4, 3], padded_to=4)), Documents(token_rows([3, 4, 3], padded_to=9))
    assert short.keys == wide.keys
    assert len(set(short.keys)) == 3
    assert {len(key) for key in short.keys} == {16}


def test_keys_see_the_mask():
    ids = torch.tensor([[7, 8, 9]])
    keys = [Documents([(ids, torch.tensor([mask]))]).keys[0] for mask in ([1, 1, 1], [0, 1, 1], [1, 0, 1])]
    assert len(set(keys)) == 3


def test_keys_ignore_the_integer_type():
    ids, mask = torch.tensor([[7, 8, 9]]), torch.ones((1, 3), dtype=torch.long)
    assert Documents([(ids, mask)]).keys == Documents([(ids.int(), mask.int())]).keys


@given(LENGTHS, st.integers(1, 60))
def test_batches_hold_each_document_once_within_the_budget_longest_first(lengths, token_budget):
    batches = [batch.tolist() for batch in length_sorted_batches(np.array(lengths), token_budget)]
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    widths = [lengths[row] for batch in batches for row in batch]
    assert widths == sorted(widths, reverse=True)
    for batch in batches:
        tokens = len(batch) * max(lengths[row] for row in batch)
        assert tokens <= token_budget or len(batch) == 1


@given(LENGTHS, st.integers(12, 60))
def test_batches_are_as_full_as_the_budget_allows(lengths, token_budget):
    batches = list(length_sorted_batches(np.array(lengths), token_budget))
    for batch, following in itertools.pairwise(batches):
        longest = max(lengths[row] for row in batch)
        assert (len(batch) + 1) * longest > token_budget
        assert max(lengths[row] for row in following) <= longest


@pytest.mark.parametrize("seed", range(3))
def test_equal_lengths_keep_their_order(seed):
    lengths = np.random.default_rng(seed).integers(1, 3, 10)
    order = np.concatenate(list(length_sorted_batches(lengths, 100)))
    for length in (1, 2):
        rows = order[lengths[order] == length]
        assert rows.tolist() == sorted(rows.tolist())


@given(LENGTHS, st.integers(1, 6), st.integers(0, 99))
def test_shuffled_batches_hold_each_document_once_in_runs_of_similar_length(lengths, batch_size, seed):
    batches = shuffled_batches(np.array(lengths), batch_size, torch.Generator().manual_seed(seed))
    rows = [batch.tolist() for batch in batches]
    assert sorted(row for batch in rows for row in batch) == list(range(len(lengths)))
    assert sorted((len(batch) for batch in rows), reverse=True)[:-1] == [batch_size] * (len(rows) - 1)
    if len(lengths) <= 16 * batch_size:  # one run: the batches cut the documents, sorted by length, into pieces
        by_length = sorted(([lengths[row] for row in batch] for batch in rows), key=lambda batch: (batch[0], batch[-1]))
        assert [length for batch in by_length for length in sorted(batch)] == sorted(lengths)


def test_shuffled_batches_differ_from_epoch_to_epoch_and_repeat_with_the_generator():
    def epochs(seed):
        generator = torch.Generator().manual_seed(seed)
        return [[batch.tolist() for batch in shuffled_batches(np.ones(20), 4, generator)] for _ in range(2)]

    assert epochs(0) == epochs(0)
    assert epochs(0) != epochs(1)
    first, second = epochs(0)
    assert first != second
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}


def test_short_documents_do_not_always_come_first():
    lengths = np.arange(40)
    generator = torch.Generator().manual_seed(0)
    firsts = [float(lengths[shuffled_batches(lengths, 4, generator)[0]].mean()) for _ in range(20)]
    assert min(firsts) < 10
    assert max(firsts) > 30

"""All layers frozen: only the head is left, and of a document only what it reads is kept."""

import pytest
import torch
from tiny_encoders import (
    ARCHITECTURES,
    DEPTH,
    EXACT,
    LABELS,
    logits_one_by_one,
    small_cache,
    streamed_logits,
    tiny_model,
    token_rows,
)

from small_text_comal import features as features_module
from small_text_comal.documents import Documents
from small_text_comal.features import DocumentEncoder

ROWS = token_rows([9, 3, 12, 6, 3, 7, 11], padded_to=15)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "deberta-v2"])
def test_all_layers_frozen_keeps_the_token_that_the_head_reads(name):
    model = tiny_model(name)
    encoder = DocumentEncoder(model, LABELS, frozen_layers=DEPTH, cache=small_cache())
    torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS), **EXACT)
    kept = {len(encoder.cache.get(key)) for key in Documents(ROWS).keys}
    reads_the_mean = getattr(model.config, "classifier_pooling", "cls") == "mean"
    assert kept == ({3, 6, 7, 9, 11, 12} if reads_the_mean else {1})


@pytest.mark.parametrize("frozen", [0, 2, DEPTH])
@pytest.mark.parametrize("short", [[1, 1], [2], [2, 1]])
def test_short_documents_do_not_hide_that_the_head_reads_all(frozen, short):
    model = tiny_model("modernbert", classifier_pooling="mean")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=frozen, cache=small_cache())
    for rows in (token_rows(short, padded_to=4), ROWS):
        torch.testing.assert_close(streamed_logits(encoder, rows), logits_one_by_one(model, rows), **EXACT)


def test_deberta_with_all_layers_frozen_runs_as_a_whole():
    """Its own code fails without layers."""
    features_module._note_no_split.cache_clear()
    model = tiny_model("deberta-v2")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=DEPTH, cache=small_cache())
    with pytest.warns(UserWarning, match="frozen layers of DebertaV2.* cannot be computed apart"):
        logits = streamed_logits(encoder, ROWS)
    torch.testing.assert_close(logits, logits_one_by_one(model, ROWS), **EXACT)


def test_a_head_that_reads_all_tokens_does_not_get_the_cached_first_one():
    first, mean = (tiny_model("modernbert", classifier_pooling=pooling) for pooling in ("cls", "mean"))
    shared = small_cache()
    for model in (first, mean, first):
        encoder = DocumentEncoder(model, LABELS, frozen_layers=DEPTH, cache=shared)
        torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS), **EXACT)

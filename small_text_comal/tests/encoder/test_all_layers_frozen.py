"""All layers frozen: only the head is left, and of a document only what it reads is kept."""

import pytest
import torch
from tiny_encoders import (
    ARCHITECTURES,
    DEPTH,
    EXACT,
    LABELS,
    ROWS,
    logits_one_by_one,
    small_cache,
    streamed_logits,
    tiny_model,
    token_rows,
)

from small_text_comal.encoder.document_encoder import DocumentEncoder
from small_text_comal.encoder.documents import Documents


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "deberta-v2"])  # runs whole
def test_all_layers_frozen_keeps_the_token_that_the_head_reads(name):
    model = tiny_model(name)
    encoder = DocumentEncoder(model, LABELS, frozen_layers=DEPTH, cache=small_cache())
    torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS), **EXACT)
    kept = {len(encoder.frozen_output.cache.get(key)) for key in Documents(ROWS).keys}
    assert kept == {1}


@pytest.mark.parametrize("frozen", [0, 2, DEPTH])
@pytest.mark.parametrize("short", [[1, 1], [2], [2, 1]])
def test_short_documents_do_not_hide_that_the_head_reads_all(frozen, short):
    model = tiny_model("modernbert", classifier_pooling="mean")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=frozen, cache=small_cache())
    for rows in (token_rows(short, padded_to=4), ROWS):
        torch.testing.assert_close(streamed_logits(encoder, rows), logits_one_by_one(model, rows), **EXACT)


def test_a_head_that_reads_all_tokens_does_not_get_the_cached_first_one():
    first, mean = (tiny_model("modernbert", classifier_pooling=pooling) for pooling in ("cls", "mean"))
    shared = small_cache()
    for model, tokens_kept in ((first, {1}), (mean, {3, 6, 7, 9, 11, 12}), (first, {1})):
        encoder = DocumentEncoder(model, LABELS, frozen_layers=DEPTH, cache=shared)
        torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS), **EXACT)
        assert {len(shared.get(key)) for key in Documents(ROWS).keys} == tokens_kept

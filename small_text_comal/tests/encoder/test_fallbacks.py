"""Models that no shortcut fits run whole, with a note, and give their own numbers."""

import pytest
import torch
from tiny_encoders import (
    DEPTH,
    EXACT,
    LABELS,
    ROWS,
    logits_one_by_one,
    small_cache,
    streamed_logits,
    tiny_decoder,
    tiny_model,
    token_rows,
)
from transformers import BertForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput

from small_text_comal.encoder.document_encoder import DocumentEncoder
from small_text_comal.encoder.documents import Documents


class OwnHead(BertForSequenceClassification):
    """BERT whose head reads what `pool` makes of the last hidden states."""

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None):
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds)[0]
        return SequenceClassifierOutput(logits=self.classifier(self.pool(hidden, input_ids, attention_mask)))


class SeesTokenIds(OwnHead):
    """Wrong on purpose for a split: a suffix is never given the token ids."""

    size = 1.0

    def pool(self, hidden, input_ids, attention_mask):
        seen = 0 if input_ids is None else 0.01 * (input_ids[:, :1] % 7)
        return self.size * (hidden[:, 0] + seen)


class SeesTokenIdsFaintly(SeesTokenIds):
    """The same with features so small that their error is small as well."""

    size = 1e-3


class WrongUnderPadding(OwnHead):
    """Right on hidden states without padding, wrong as soon as a document is padded."""

    def pool(self, hidden, input_ids, attention_mask):
        return hidden[:, 0] if input_ids is not None else hidden[:, 0] + (1 - attention_mask).sum(dim=1, keepdim=True)


class MeanOfTokens(OwnHead):
    """Its head reads the mean of all tokens, so the last layer must compute them all."""

    def pool(self, hidden, input_ids, attention_mask):
        weights = attention_mask[:, : hidden.shape[1], None].to(hidden)
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


class SquashedLogits(BertForSequenceClassification):
    """Its logits are not what the last linear layer gives."""

    def forward(self, **inputs):
        output = super().forward(**inputs)
        return SequenceClassifierOutput(logits=torch.tanh(output.logits))


class IdsOnly(BertForSequenceClassification):
    """Refuses hidden states."""

    def forward(self, input_ids, attention_mask=None):
        return super().forward(input_ids=input_ids, attention_mask=attention_mask)


def made_of(model_class, seed=0):
    model = model_class(tiny_model("bert").config).eval()
    model.load_state_dict(tiny_model("bert", seed=seed).state_dict())
    return model


@pytest.mark.parametrize("model_class", [SeesTokenIds, SeesTokenIdsFaintly, WrongUnderPadding, IdsOnly])
def test_a_model_that_cannot_be_split_runs_whole_with_one_note(model_class):
    model = made_of(model_class)
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache())
    with pytest.warns(UserWarning, match=f"{model_class.__name__} cannot be computed apart from the rest") as notes:
        logits = streamed_logits(encoder, ROWS)
    assert len(notes) == 1
    torch.testing.assert_close(logits, logits_one_by_one(model, ROWS), **EXACT)
    assert len(encoder.frozen_output.cache) == 0
    again = DocumentEncoder(model, LABELS, frozen_layers=2)  # and no second note: warnings are errors here
    torch.testing.assert_close(streamed_logits(again, ROWS), logits, **EXACT)


def test_a_split_that_fails_under_padding_is_found_out_on_documents_of_one_length():
    model = made_of(WrongUnderPadding)
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache())
    with pytest.warns(UserWarning, match="cannot be computed apart"):
        encoder.prepare(Documents(token_rows([6, 6, 6])), 4)
    torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS), **EXACT)


def test_a_head_that_reads_all_tokens_keeps_the_whole_last_layer():
    model = made_of(MeanOfTokens)
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2, cache=small_cache())
    torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS), **EXACT)
    assert encoder.route.prefix is not None


def test_heads_that_read_one_and_all_tokens_share_a_cache():
    shared = small_cache()
    for model in (tiny_model("bert"), made_of(MeanOfTokens), tiny_model("bert")):  # same weights, same config
        encoder = DocumentEncoder(model, LABELS, frozen_layers=DEPTH, cache=shared)
        torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS), **EXACT)


def test_deberta_with_a_convolution_runs_whole():
    model = tiny_model("deberta-v2", conv_kernel_size=3, conv_act="gelu")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2)
    with pytest.warns(UserWarning, match="cannot be computed apart"):
        logits = streamed_logits(encoder, ROWS)
    torch.testing.assert_close(logits, logits_one_by_one(model, ROWS), **EXACT)


def test_deberta_with_all_layers_frozen_runs_whole():
    model = tiny_model("deberta-v2")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=DEPTH)
    with pytest.warns(UserWarning, match="cannot be computed apart"):
        logits = streamed_logits(encoder, ROWS)
    torch.testing.assert_close(logits, logits_one_by_one(model, ROWS), **EXACT)
    encoder.set_training(True)
    assert not any(module.training for frozen in model.deberta.encoder.layer for module in frozen.modules())


def test_a_head_with_something_behind_it_is_refused():
    encoder = DocumentEncoder(made_of(SquashedLogits), LABELS, frozen_layers=0)
    with pytest.raises(ValueError, match="SquashedLogits does something to that layer's output: choose a model"):
        encoder.prepare(Documents(ROWS), 4)


def test_an_unknown_architecture_runs_whole_with_a_note():
    model = tiny_decoder()
    with pytest.warns(UserWarning, match="layers of LlamaForSequenceClassification cannot be found: all of"):
        encoder = DocumentEncoder(model, LABELS)
    torch.testing.assert_close(streamed_logits(encoder, ROWS), logits_one_by_one(model, ROWS), **EXACT)


@pytest.mark.parametrize("frozen", [0, 2])
def test_a_model_to_which_padding_matters_gets_the_padding_of_the_dataset(frozen):
    model = tiny_model("convbert")
    encoder = DocumentEncoder(model, LABELS, frozen_layers=frozen, cache=small_cache())
    with pytest.warns(UserWarning, match=f"{type(model).__name__} depend on how far a document is padded") as notes:
        logits = streamed_logits(encoder, ROWS)
    assert len(notes) == 1
    with torch.no_grad():
        expected = torch.cat([model(input_ids=ids, attention_mask=mask).logits for ids, mask, _ in ROWS])
    assert float((logits_one_by_one(model, ROWS) - expected).abs().max()) > 1e-3  # trimmed, they would be others
    torch.testing.assert_close(logits, expected, **EXACT)
    assert len(encoder.frozen_output.cache or []) == 0

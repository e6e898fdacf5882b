"""Small random sequence classifiers of every architecture whose layers the package splits, and token sequences.

The weights are drawn wide (standard deviation 0.2, not the usual 0.02), so that a wrong position, mask or layer moves
the outputs by far more than rounding does.
"""

import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    ConvBertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    LlamaConfig,
    ModernBertConfig,
    MPNetConfig,
    RobertaConfig,
)
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen.feature_cache import FeatureCache

VOCABULARY, HIDDEN, LABELS, DEPTH = 60, 16, 3, 3
EXACT = {"atol": 1e-5, "rtol": 0}  # of logits, where nothing is stored in 16 bits
PAD = 0  # what Documents pads with, whatever the tokenizer's own id
FIRST_TOKEN_HEADS = ("bert", "roberta", "electra", "electra-narrow")

_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "num_hidden_layers": DEPTH,
    "max_position_embeddings": 40,
    "num_labels": LABELS,
    "initializer_range": 0.2,
}
_SPECIAL_TOKENS = {"pad_token_id": PAD, "bos_token_id": 1, "eos_token_id": 2}

_CONFIGS = {
    "bert": lambda: BertConfig(**_SIZES),
    "roberta": lambda: RobertaConfig(**_SIZES),
    "electra": lambda: ElectraConfig(**_SIZES, embedding_size=HIDDEN),
    "electra-narrow": lambda: ElectraConfig(**_SIZES, embedding_size=8),
    "distilbert": lambda: DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=HIDDEN,
        n_heads=2,
        hidden_dim=24,
        n_layers=DEPTH,
        max_position_embeddings=40,
        num_labels=LABELS,
        initializer_range=0.2,
    ),
    "deberta-v2": lambda: DebertaV2Config(
        **_SIZES,
        relative_attention=True,
        position_buckets=8,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        pooler_hidden_size=HIDDEN,
    ),
    "mpnet": lambda: MPNetConfig(**_SIZES),
    "modernbert": lambda: ModernBertConfig(
        **_SIZES, **_SPECIAL_TOKENS, cls_token_id=1, sep_token_id=2, global_attn_every_n_layers=2, local_attention=4
    ),
}
ARCHITECTURES = tuple(_CONFIGS)
# not among those that are split: its features depend on how far a document is padded
_CONFIGS["convbert"] = lambda: ConvBertConfig(**_SIZES, embedding_size=HIDDEN, head_ratio=2, conv_kernel_size=3)


def tiny_model(name, *, seed=0, **changes):
    """A random model in evaluation mode; `changes` to its config."""
    config = _CONFIGS[name]()
    for key, value in changes.items():
        setattr(config, key, value)
    return _seeded(config, seed)


def tiny_decoder(*, pad_token_id=5):
    """A causal model whose head reads the last token that is not padding: an architecture that cannot be split."""
    sizes = {key: value for key, value in _SIZES.items() if key != "initializer_range"}
    return _seeded(LlamaConfig(**sizes, **{**_SPECIAL_TOKENS, "pad_token_id": pad_token_id}), seed=0)


def _seeded(config, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForSequenceClassification.from_config(config).eval()


def without_layers(hidden_states, *args, **kwargs):
    """An encoder's forward that never reaches a layer."""
    return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden_states)


def token_rows(lengths, *, padded_to=None, pad_left=False, seed=0):
    """Rows as small-text's datasets hold them: ids (1, S), mask (1, S), labels. Token ids start at 10."""
    generator = torch.Generator().manual_seed(seed)
    width = padded_to or max(lengths)
    rows = []
    for length in lengths:
        ids, mask = torch.full((1, width), PAD), torch.zeros((1, width), dtype=torch.long)
        real = slice(width - length, width) if pad_left else slice(0, length)
        ids[0, real] = torch.randint(10, VOCABULARY, (length,), generator=generator)
        mask[0, real] = 1
        rows.append((ids, mask, None))
    return rows


@torch.no_grad()
def logits_one_by_one(model, rows):
    """The oracle: the whole model on each document alone, its trailing padding cut off, (N, C)."""
    result = []
    for ids, mask, *_ in rows:
        length = int(mask[0].nonzero().max()) + 1
        result.append(model(input_ids=ids[:, :length], attention_mask=mask[:, :length]).logits[0])
    return torch.stack(result)


def count_calls(module):
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    return calls


ROWS = token_rows([9, 3, 12, 6, 3, 7, 11], padded_to=15)


def small_cache(dtype="float32", **options):
    return FeatureCache(FeatureCacheArguments(dtype=dtype, **options))


def streamed_logits(encoder, rows, *, batch_size=4):
    """Logits (N, C) in the order in which the encoder promises them: the caller's."""
    documents = Documents(rows)
    logits = torch.full((len(documents), encoder.head.out_features), torch.nan)
    seen = []
    for batch in encoder.stream(documents, batch_size):
        logits[torch.from_numpy(batch.rows)] = encoder.logits(batch.features).detach()
        seen += batch.rows.tolist()
    assert sorted(seen) == list(range(len(documents)))
    return logits

"""Tiny sentence encoders on disk: a random BERT, its tokenizer, and what sentence-transformers would declare of it."""

import json

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizerFast

WORDS = [f"word{i}" for i in range(20)]
HIDDEN, POSITIONS = 16, 24
TEXTS = [
    "word1 word2 word3",
    "",
    "word4",
    " ".join(WORDS * 30),
    "word5 word6 word7 word8 word9 word10 word11",
    "Word1 WORD2",
    "word4 nowhere word5",
]

_LIBRARY = "sentence_transformers.models."


def save_tiny_encoder(folder, *, seed=0, lower_case=True, vocabulary=None):
    """A random BERT of width 16 with 24 positions, and its tokenizer; `vocabulary`: more than the tokenizer has."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=lower_case).save_pretrained(folder)
    config = BertConfig(
        vocab_size=vocabulary or len(words),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=POSITIONS,
        initializer_range=0.2,
    )
    save_random_model(BertModel, config, folder, seed)
    return folder


def save_random_model(model_class, config, folder, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model_class(config).save_pretrained(folder)


def declare(folder, pooling, *, modules=("Transformer", "Pooling", "Normalize"), max_length=None, **options):
    """Write the files of sentence-transformers: `pooling` its configuration, `options` of the transformer."""
    paths = [f"{i}_{kind}" if i else "" for i, kind in enumerate(modules)]
    kinds = [kind if "." in kind else _LIBRARY + kind for kind in modules]
    listed = [{"idx": i, "name": str(i), "path": paths[i], "type": kind} for i, kind in enumerate(kinds)]
    _write(folder / "modules.json", listed)
    _write(folder / "1_Pooling" / "config.json", pooling)
    if max_length is not None:
        options["max_seq_length"] = max_length
    _write(folder / "sentence_bert_config.json", options)
    return folder


def declare_prompt(folder, prompt):
    _write(folder / "config_sentence_transformers.json", {"prompts": {"doc": prompt}, "default_prompt_name": "doc"})


def _write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def hidden_states(folder, texts, max_length=POSITIONS):
    """The oracle's hidden states: each text alone, without padding; (L, H) arrays."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        rows = [tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt") for text in texts]
        return [model(**row).last_hidden_state[0].numpy().astype(np.float64) for row in rows]


def unit(vector):
    return vector / np.sqrt((vector**2).sum())


def tokenised_rows(folder, texts, *, max_length=POSITIONS):
    """Rows as small-text's TransformersDataset holds them, padded to `max_length`."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = []
    for text in texts:
        row = tokenizer(text, truncation=True, padding="max_length", max_length=max_length, return_tensors="pt")
        rows.append((row["input_ids"], row["attention_mask"], None))
    return rows

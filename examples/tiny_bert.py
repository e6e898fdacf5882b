"""A small BERT made on the spot: a WordPiece vocabulary trained on the texts, weights drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

MAX_LENGTH = 128


def write_tiny_bert(folder: Path, texts: Sequence[str], *, vocabulary: int = 1200, seed: int = 0) -> str:
    """Write tokenizer, config and weights to `folder` as `from_pretrained` wants them, and return the folder's name.

    Nothing is downloaded and nothing is pre-trained: every layer has to be trained on the labeled documents.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _word_pieces(texts, vocabulary).save_model(str(folder))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=MAX_LENGTH)
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=MAX_LENGTH,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.08,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(folder)
    return str(folder)


def _word_pieces(texts: Sequence[str], size: int) -> BertWordPieceTokenizer:
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    characters = {character for text in texts for character in tokenizer.normalize(text) if not character.isspace()}
    # The trainer numbers pieces inside of words in the order of a hash map, and breaks ties by number: given a number
    # beforehand, they make the same vocabulary in every run.
    inside_words = [f"##{character}" for character in sorted(characters)]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *inside_words]
    tokenizer.train_from_iterator(texts, vocab_size=size, min_frequency=2, special_tokens=special, show_progress=False)
    return tokenizer

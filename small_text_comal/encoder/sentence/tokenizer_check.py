"""Whether a tokenizer belongs to its model and can read the documents; how long a document may be.

transformers 5 invents a tokenizer of five words for a folder that has none: every word becomes [UNK] (BERT), or
vanishes (RoBERTa), and every document gets the same vector without an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["checked_max_length", "checked_tokenizer", "position_limit"]

_SMALLEST_SHARE = 0.5  # of the model's vocabulary; tokenizers in use have 0.97 and more
_MOST_UNKNOWN = 0.5  # of the tokens of the first documents
_POSITIONS_BEHIND_PADDING = {
    "roberta", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm", "camembert", "mpnet", "longformer", "xmod",
    "data2vec-text", "ibert", "luke", "lilt", "markuplm", "layoutlmv3",
}  # fmt: skip
_SHORTEST = 3  # one token between the two that many tokenizers add


def checked_tokenizer(
    model_name_or_folder: str | Path, tokenizer: Any, sample_texts: Sequence[str] = (), *, config: Any = None
) -> Any:
    """Return `tokenizer`, or say why it cannot be that of the model.

    Parameters
    ----------
    model_name_or_folder : where the tokenizer came from
    tokenizer : as AutoTokenizer loads it
    sample_texts : some documents; with none, only the size of the vocabulary is looked at
    config : the model's configuration; None: read from `model_name_or_folder`

    Raises
    ------
    ValueError
        When the vocabulary has less than half the words of the model's, or when at least half the tokens of the
        documents are unknown or nothing is left of them.
    """
    if config is None:
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(model_name_or_folder)
    expected, size = getattr(config, "vocab_size", None), len(tokenizer)
    if expected is not None and size < _SMALLEST_SHARE * expected:
        raise ValueError(
            f"expected a tokenizer for the model's vocabulary of {expected}, got one of {size} words: "
            f"{_missing_files(model_name_or_folder, tokenizer)}"
        )
    texts = [text for text in sample_texts if text.strip()]
    unknown = _unknown_share(tokenizer, texts, f"{model_name_or_folder}") if texts else 0.0
    if unknown >= _MOST_UNKNOWN:
        raise ValueError(
            f"expected a tokenizer that knows the words of the documents, but that of {model_name_or_folder} makes "
            f"{unknown:.0%} of the first {len(texts)} documents unknown: "
            f"{_missing_files(model_name_or_folder, tokenizer)}, or the documents are in a language or script that the "
            "model has not learned"
        )
    return tokenizer


def _unknown_share(tokenizer: Any, texts: list[str], name: str) -> float:
    """Unknown tokens among all tokens; 1 when nothing is left of any text."""
    try:
        ids = [token for row in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"] for token in row]
    except Exception as error:  # what the Rust library raises has no type of its own
        raise ValueError(
            f"the tokenizer of {name} cannot read the documents ({error}): is one of its files missing?"
        ) from None
    if not ids:
        return 1.0
    return sum(token == tokenizer.unk_token_id for token in ids) / len(ids)


def _missing_files(name: str | Path, tokenizer: Any) -> str:
    """Which of the tokenizer's files are not in the folder; what to look for on the hub."""
    files = list(dict.fromkeys(["tokenizer.json", *getattr(tokenizer, "vocab_files_names", {}).values()]))
    folder = Path(name).expanduser()
    if folder.is_dir() and not any((folder / file).is_file() for file in files):
        return f"{folder} has no {' or '.join(files)}; save the tokenizer there with tokenizer.save_pretrained"
    return f"the tokenizer files of {name} ({', '.join(files)}) are not those of this model"


def position_limit(config: Any) -> int | None:
    """Return the number of tokens a model has positions for, None where it has no limit.

    Examples
    --------
    >>> from transformers import BertConfig, RobertaConfig, T5Config
    >>> position_limit(BertConfig()), position_limit(RobertaConfig(max_position_embeddings=514))
    (512, 512)
    >>> position_limit(T5Config()) is None
    True
    """
    positions = getattr(config, "max_position_embeddings", None)
    relative_only = not getattr(config, "position_biased_input", True)  # DeBERTa
    if not isinstance(positions, int) or positions < 1 or relative_only:
        return None
    if config.model_type in _POSITIONS_BEHIND_PADDING:
        positions -= (config.pad_token_id or 0) + 1
    return positions


def checked_max_length(max_length: int, config: Any) -> int:
    """Return `max_length`, or refuse one that is beyond the positions of the model with this configuration.

    Raises
    ------
    ValueError
        When it is not an integer of at least 3, or more tokens than the model has positions for.
    """
    if not isinstance(max_length, int) or isinstance(max_length, bool) or max_length < _SHORTEST:
        raise ValueError(f"max_length: expected an integer >= {_SHORTEST}, got {max_length!r}")
    limit = position_limit(config)
    if limit is not None and max_length > limit:
        raise ValueError(
            f"max_length: expected at most {limit}, the tokens that this {config.model_type} model has positions for, "
            f"got {max_length}"
        )
    return max_length

"""What a sentence encoder's folder declares about itself: pooling, longest input, prompt.

The sentence-transformers library writes `modules.json`, a list of modules that run one after another, and a
configuration for each. Its files are read here, not its code: the library need not be installed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from small_text_comal.encoder.sentence.pooling import POOLINGS

__all__ = ["Declaration", "is_sentence_encoder", "read_declaration"]

_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}  # in the order in which several are put side by side
_WITHOUT_EFFECT = ("Normalize", "Dropout")  # vectors are scaled here anyway, and nothing is trained
_WAY_OUT = "Pass a callable instead, such as SentenceTransformer({name!r}).encode"

_FAMILIES = (
    r"(^|[-_.])(e5|bge|gte|sbert|simcse|labse|gtr|instructor)([-_.]|$)",
    r"embed",
    r"^(all|paraphrase|multi-qa|msmarco)-.*(minilm|mpnet|distil|roberta|bert|albert)",
    r"sentence-?(t5|bert|transformer)",
)
_NO_ENCODER = r"rerank|cross-?encoder"  # they score pairs of texts


class Declaration(NamedTuple):
    """How documents become vectors.

    Parameters
    ----------
    pooling : names in `POOLINGS`
    max_length : tokens at which a document is cut, None where the folder does not say
    lower_case : True: texts are lowered before they are tokenised
    prompt : what every text begins with
    subfolder : where the transformer lies in the folder, "" for the folder itself
    """

    pooling: tuple[str, ...] = ("mean",)
    max_length: int | None = None
    lower_case: bool = False
    prompt: str = ""
    subfolder: str = ""


def is_sentence_encoder(name_or_folder: str | Path) -> bool:
    """Whether a folder or a name says that it is a sentence encoder; nothing is downloaded.

    A folder says so by its `modules.json`. A name on the hub says so by the organisation `sentence-transformers` or
    by the name of a family: e5, bge, gte, sbert, simcse, labse, gtr, instructor, anything with "embed",
    all-/paraphrase-/multi-qa-/msmarco- followed by an encoder's name, sentence-t5. Rerankers and cross-encoders are
    none. A sentence encoder with another name is not recognised: say which classifier you want.

    Examples
    --------
    >>> is_sentence_encoder("BAAI/bge-small-en-v1.5"), is_sentence_encoder("google-bert/bert-base-uncased")
    (True, False)
    """
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return (folder / "modules.json").is_file()
    organisation, _, name = str(name_or_folder).lower().rpartition("/")
    if re.search(_NO_ENCODER, name) or organisation == "cross-encoder":
        return False
    return organisation == "sentence-transformers" or any(re.search(family, name) for family in _FAMILIES)


def read_declaration(read: Callable[[str], Any], name: str) -> Declaration:
    """Return what a sentence encoder declares; mean over real tokens where nothing is declared.

    Parameters
    ----------
    read : path in the folder -> parsed JSON, None where there is no such file
    name : the folder or model, for messages

    Raises
    ------
    ValueError
        When the folder declares a module, a pooling or a task that is not supported.

    Examples
    --------
    >>> read_declaration({}.get, "bert").pooling
    ('mean',)
    """
    modules = read("modules.json")
    if modules is None:
        return Declaration()
    kinds = [_kind(module, name) for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or any(kind not in _WITHOUT_EFFECT for kind in kinds[2:]):
        raise _refusal(name, f"modules Transformer, Pooling and Normalize, got {', '.join(kinds)}")
    transformer, pooling = (_path(module, name) for module in modules[:2])
    options = read(f"{transformer}sentence_bert_config.json") or {}
    if options.get("transformer_task", "feature-extraction") != "feature-extraction":
        raise _refusal(name, f"an encoder of texts, got the task {options['transformer_task']!r}")
    pooling_options = read(f"{pooling}config.json") or {}
    prompt = _default_prompt(read("config_sentence_transformers.json") or {})
    if prompt and not pooling_options.get("include_prompt", True):
        raise _refusal(name, "a pooling that includes the prompt, got one that leaves it out")
    return Declaration(
        _poolings(pooling_options, name),
        options.get("max_seq_length"),
        bool(options.get("do_lower_case", False)),
        prompt,
        transformer.rstrip("/"),
    )


def _refusal(name: str, what: str) -> ValueError:
    return ValueError(f"{name}: expected {what}. {_WAY_OUT.format(name=name)}")


def _kind(module: dict[str, Any], name: str) -> str:
    library, _, kind = module["type"].rpartition(".")
    if library.split(".")[0] != "sentence_transformers":
        raise _refusal(name, f"modules of sentence-transformers, got code of its own ({module['type']})")
    return kind


def _path(module: dict[str, Any], name: str) -> str:
    """The module's folder with a slash behind it, "" for the folder itself."""
    path = module["path"].strip("/")
    if ".." in Path(path).parts or Path(module["path"]).is_absolute():
        raise _refusal(name, f"modules inside the folder, got {module['path']!r}")
    return f"{path}/" if path else ""


def _poolings(options: dict[str, Any], name: str) -> tuple[str, ...]:
    declared = options.get("pooling_mode") or [mode for flag, mode in _FLAGS.items() if options.get(flag)] or ["mean"]
    poolings = (declared,) if isinstance(declared, str) else tuple(declared)
    if unknown := [pooling for pooling in poolings if pooling not in POOLINGS]:
        raise _refusal(name, f"a pooling among {', '.join(POOLINGS)}, got {unknown[0]!r}")
    return poolings


def _default_prompt(options: dict[str, Any]) -> str:
    return (options.get("prompts") or {}).get(options.get("default_prompt_name"), "") or ""

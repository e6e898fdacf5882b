"""The files of a model: where they lie, and what they hold once they are loaded.

Loading is shared: encoders made from the same files in one process use the same weights in memory, and the two
models that were used last stay there (`forget_models` lets go of them). Nobody trains or changes these weights.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub import _CACHED_NO_EXIST, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer

from small_text_comal.encoder.sentence.folder import Declaration, read_declaration
from small_text_comal.encoder.sentence.tokenizer_check import checked_tokenizer

__all__ = ["LoadedModel", "ModelSource", "describe", "digest_of", "forget_models", "load"]

_CONFIG_WITHOUT_EFFECT = {
    "_name_or_path", "architectures", "dtype", "torch_dtype", "id2label", "label2id", "num_labels", "problem_type",
    "transformers_version", "finetuning_task", "use_cache",
}  # fmt: skip
_NOT_TAKEN = ("model_kwargs", "tokenizer_kwargs", "config_kwargs")  # of small-text 2.x


class ModelSource(NamedTuple):
    """Where a model's files lie: a name on the hub or a folder for each of model, tokenizer and configuration.

    Parameters
    ----------
    model, tokenizer, config : names or folders
    local_files_only : True: nothing is downloaded
    """

    model: str
    tokenizer: str
    config: str
    local_files_only: bool = False

    @classmethod
    def of(cls, encoder: Any) -> ModelSource:
        """Return the source that a name, a folder or small-text's TransformerModelArguments stands for.

        Raises
        ------
        ValueError
            When the arguments hold keywords for transformers, which are not passed on.
        """
        if isinstance(encoder, (str, Path)):
            name = _expanded(encoder)
            return cls(name, name, name)
        if given := [name for name in _NOT_TAKEN if getattr(encoder, name, None)]:
            raise ValueError(f"{given[0]}: expected none for a sentence encoder, got {getattr(encoder, given[0])!r}")
        strategy = getattr(getattr(encoder, "model_loading_strategy", None), "name", "")
        return cls(
            _expanded(encoder.model),
            _expanded(encoder.tokenizer or encoder.model),
            _expanded(encoder.config or encoder.model),
            strategy == "ALWAYS_LOCAL",
        )

    def read(self, path: str) -> Any:
        """Return the parsed JSON file of the model at `path`, None where there is none.

        Raises
        ------
        ValueError
            When that cannot be found out: no connection, and the file is not in the hub's cache.
        """
        if Path(self.model).is_dir():
            file = Path(self.model, path)
            return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        try:
            found = hf_hub_download(self.model, path, local_files_only=self.local_files_only)
        except LocalEntryNotFoundError as error:
            if try_to_load_from_cache(self.model, path) is _CACHED_NO_EXIST:
                return None
            raise ValueError(
                f"expected a folder, or a name on the hub whose {path} can be read, got {self.model!r}: it is not in "
                "the cache of the hub, and without it the model's pooling is unknown. Connect once, or give a folder"
            ) from error
        except EntryNotFoundError:
            return None
        return json.loads(Path(found).read_text(encoding="utf-8"))

    @property
    def stamp(self) -> tuple:
        """What shows that a local folder was written to since it was read."""
        folders = [Path(part) for part in dict.fromkeys(self[:3]) if Path(part).is_dir()]
        files = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
        return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def _expanded(name: str | Path) -> str:
    folder = Path(name).expanduser()
    return str(folder.resolve() if folder.is_dir() else name)


class LoadedModel(NamedTuple):
    """A model in evaluation mode, its tokenizer, and digests of all that decides what the two compute."""

    model: nn.Module
    tokenizer: Any
    weights: str
    vocabulary: str


def describe(source: ModelSource) -> tuple[Declaration, Any]:
    """Return what a model's small files declare, and its configuration; no weights are loaded.

    Raises
    ------
    ValueError
        When the model is not one that this package can run.
    """
    return _described(source, source.stamp)


def load(source: ModelSource, device: torch.device) -> LoadedModel:
    """Return the model on `device`, float32, with its tokenizer.

    Raises
    ------
    ValueError
        When weights are missing, or the tokenizer is missing or not this model's.
    """
    return _loaded(source, str(device), source.stamp)


def forget_models() -> None:
    """Let go of the models that are kept in memory for the next encoder made from the same files."""
    _loaded.cache_clear()
    _described.cache_clear()


@functools.lru_cache(maxsize=8)
def _described(source: ModelSource, stamp: tuple) -> tuple[Declaration, Any]:
    """What the model's small files say; no weights."""
    declared = read_declaration(source.read, source.model)
    options = {"local_files_only": source.local_files_only, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(source.config, subfolder=declared.subfolder, **options)
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(
            f"{source.model}: expected an encoder, got one with a decoder ({config.model_type}). Pass a callable "
            f"instead, such as SentenceTransformer({source.model!r}).encode"
        )
    return declared, config


@functools.lru_cache(maxsize=2)
def _loaded(source: ModelSource, device: str, stamp: tuple) -> LoadedModel:
    declared, config = _described(source, stamp)
    options = {
        "local_files_only": source.local_files_only,
        "trust_remote_code": False,
        "subfolder": declared.subfolder,
    }
    tokenizer = checked_tokenizer(source.tokenizer, _tokenizer(source, options), config=config)
    with torch.random.fork_rng(devices=[]):  # weights that the files lack are drawn, and thrown away below
        model, report = AutoModel.from_pretrained(
            source.model, config=config, dtype=torch.float32, output_loading_info=True, **options
        )
    missing = [name for name in report["missing_keys"] if "pooler" not in name]
    if missing:
        raise ValueError(f"{source.model}: expected all weights of a {config.model_type} model, got none for {missing}")
    model = model.eval().requires_grad_(False).to(device)
    model.config.use_cache = False
    return LoadedModel(model, tokenizer, _weights_digest(model), _vocabulary_digest(tokenizer))


def _tokenizer(source: ModelSource, options: dict[str, Any]) -> Any:
    try:
        return AutoTokenizer.from_pretrained(source.tokenizer, **options)
    except Exception as error:  # a missing file shows as OSError, TypeError or ValueError, or comes from Rust
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"expected a tokenizer in {source.tokenizer} (tokenizer.json, vocab.txt or another vocabulary file), got "
            f"none that can be loaded: {reason}"
        ) from error


def digest_of(*parts: Any) -> str:
    """Return a digest of values that JSON can write."""
    return hashlib.blake2b(json.dumps(parts, default=str).encode(), digest_size=32).hexdigest()


def _weights_digest(model: nn.Module) -> str:
    """Of the configuration and of all weights but a pooler's, which are not used and may have been drawn."""
    config = {k: v for k, v in model.config.to_dict().items() if k not in _CONFIG_WITHOUT_EFFECT}  # type: ignore
    digest = hashlib.blake2b(json.dumps(config, sort_keys=True, default=str).encode(), digest_size=32)
    for name, weight in sorted(model.named_parameters()):
        if "pooler" not in name:
            digest.update(name.encode())
            digest.update(weight.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _vocabulary_digest(tokenizer: Any) -> str:
    """Of all that decides which tokens a text becomes; taken before the first call, which writes into the backend."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules: Any = (sorted(tokenizer.get_vocab().items()), getattr(tokenizer, "init_kwargs", {}))
    if backend is not None:
        rules = backend.to_str()
    sides = [tokenizer.truncation_side, tokenizer.padding_side]
    return digest_of(type(tokenizer).__name__, rules, sides)

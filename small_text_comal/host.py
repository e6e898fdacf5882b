"""The one door to small-text: everything that differs between its releases, and every private name of it.

Supported are small-text 1.4.1 and 2.0.0.dev4 (and newer 2.x), with transformers 4.57 and newer.
"""

from __future__ import annotations

import copy
import functools
import os
import tempfile
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from packaging.version import Version
from scipy.sparse import csr_matrix, issparse

__all__ = [
    "HOST_VERSION",
    "IS_HOST_2",
    "AbstractClassifierFactory",
    "HostClassification",
    "HostSelection",
    "QueryStrategy",
    "ScoringMixin",
    "dense_probabilities",
    "initialize_learner",
    "make_dataset",
    "model_arguments",
]


def _check_versions() -> tuple[Version, Version]:
    """The installed small-text and transformers, or an ImportError that says what to install."""
    found = {}
    for package in ("small-text", "transformers", "datasets"):
        try:
            found[package] = Version(version(package))
        except PackageNotFoundError as error:
            raise ImportError(f"small-text-comal needs the package {package}: pip install {package}") from error
    host, transformers = found["small-text"], found["transformers"]
    if not (Version("1.4.1") <= host < Version("3.dev0")) or Version("2.dev0") <= host < Version("2.0.0.dev4"):
        raise ImportError(
            f"small-text-comal runs on small-text 1.4.1 and on 2.0.0.dev4 or newer 2.x, found {host}: "
            "pip install small-text==1.4.1 (or small-text==2.0.0.dev4)"
        )
    if transformers < Version("4.57"):
        raise ImportError(
            f"small-text-comal needs transformers 4.57 or newer, found {transformers}: pip install 'transformers>=4.57'"
        )
    return host, transformers


HOST_VERSION, TRANSFORMERS_VERSION = _check_versions()
IS_HOST_2 = Version("2.dev0") <= HOST_VERSION

from small_text import (  # noqa: E402
    ModelSelection,
    PoolBasedActiveLearner,
    TransformerBasedClassification,
    TransformerModelArguments,
    TransformersDataset,
)
from small_text.classifiers.factories import AbstractClassifierFactory  # noqa: E402
from small_text.integrations.pytorch.classifiers.base import PytorchClassifier  # noqa: E402
from small_text.query_strategies import QueryStrategy  # noqa: E402
from small_text.training.early_stopping import EarlyStopping  # noqa: E402
from small_text.training.metrics import Metric  # noqa: E402
from small_text.utils.classification import empty_result, prediction_result  # noqa: E402
from small_text.utils.data import check_training_data  # noqa: E402
from small_text.utils.system import get_tmp_dir_base  # noqa: E402

from small_text_comal.optimizers import adamw  # noqa: E402

if IS_HOST_2:
    from small_text.query_strategies.base import ScoringMixin
else:

    class ScoringMixin(ABC):  # type: ignore[no-redef]
        """What small-text 2.x calls a strategy that scores documents; 1.x has no such class."""

        @property
        @abstractmethod
        def last_scores(self) -> np.ndarray | None:
            """The scores of the last `score` or `query`."""

        @abstractmethod
        def score(self, clf: Any, dataset: Any, indices_unlabeled: Any, indices_labeled: Any, y: Any) -> np.ndarray:
            """Return a score for each unlabeled document."""


def _mend_from_arrays() -> None:
    """Let `TransformersDataset.from_arrays` of small-text 1.x run on transformers 5.

    It calls ``tokenizer.encode_plus``, which transformers 5 dropped; ``tokenizer(...)`` does the same. Nothing else of
    small-text is touched, and no other pair of releases.
    """
    original = TransformersDataset.from_arrays.__func__

    @functools.wraps(original)
    def from_arrays(cls: Any, texts: Any, y: Any, tokenizer: Any, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(tokenizer, "encode_plus"):
            tokenizer = _WithEncodePlus(tokenizer)
        return original(cls, texts, y, tokenizer, *args, **kwargs)

    TransformersDataset.from_arrays = classmethod(from_arrays)


class _WithEncodePlus:
    def __init__(self, tokenizer: Any) -> None:
        self.encode_plus = tokenizer


if not IS_HOST_2 and Version("5.dev0") <= TRANSFORMERS_VERSION:
    _mend_from_arrays()


class HostClassification(TransformerBasedClassification):
    """small-text's transformer classifier with one face for both releases; CoMALClassification builds on it.

    Subclasses implement `_model_loaded` and `label_probabilities`.
    """

    model: Any
    _args_name = "transformer_model_args" if IS_HOST_2 else "transformer_model"

    def _model_loaded(self) -> None:
        """Called when the host has loaded a fresh model."""
        raise NotImplementedError

    def label_probabilities(self, dataset: Any) -> np.ndarray:
        """Return (N, C) float32."""
        raise NotImplementedError

    def load_model(self) -> None:
        """Load tokenizer, config and model as the host does."""
        if IS_HOST_2:
            self.initialize()
        else:
            self.initialize_transformer(self.cache_dir)

    if IS_HOST_2:

        def initialize(self) -> Any:
            """Load the model (small-text 2.x)."""
            super().initialize()
            self._model_loaded()
            return self.model

        def predict(self, dataset: Any, return_proba: bool = False, multi_label_threshold: float = 0.5) -> Any:
            """Predict as small-text 2.x: CSR labels and, if wanted, the CSR of probabilities above the threshold."""
            if len(dataset) == 0:
                return empty_result(True, self.num_classes, return_prediction=True, return_proba=return_proba)
            return prediction_result(
                self.label_probabilities(dataset).astype(float),
                True,
                self.num_classes,
                return_proba=return_proba,
                multi_label_threshold=multi_label_threshold,
            )

        def predict_proba(self, dataset: Any, multi_label_threshold: float = 0.5, dropout_sampling: int = 1) -> Any:
            """Return the CSR of probabilities above the threshold, as small-text 2.x does."""
            if dropout_sampling > 1:
                return super().predict_proba(dataset, dropout_sampling=dropout_sampling)
            if len(dataset) == 0:
                return empty_result(True, self.num_classes, return_prediction=False, return_proba=True)
            return self.predict(dataset, return_proba=True, multi_label_threshold=multi_label_threshold)[1]

    else:

        def initialize_transformer(self, cache_dir: str) -> None:
            """Load the model (small-text 1.x)."""
            super().initialize_transformer(cache_dir)
            self._model_loaded()

        def predict(self, dataset: Any, return_proba: bool = False) -> Any:  # type: ignore[misc]
            """Predict as small-text 1.x: CSR labels and, if wanted, the dense probabilities."""
            if len(dataset) == 0:
                return empty_result(True, self.num_classes, return_prediction=True, return_proba=return_proba)
            proba = self.label_probabilities(dataset).astype(float)
            labels = prediction_result(proba, True, self.num_classes)
            return (labels, proba) if return_proba else labels

        def predict_proba(self, dataset: Any, dropout_sampling: int = 1) -> Any:  # type: ignore[misc]
            """Return the dense probabilities (N, C), as small-text 1.x does."""
            if dropout_sampling > 1:
                return super().predict_proba(dataset, dropout_sampling=dropout_sampling)
            if len(dataset) == 0:
                return empty_result(True, self.num_classes, return_prediction=False, return_proba=True)
            return self.label_probabilities(dataset).astype(float)

    @property
    def train_batch(self) -> int:
        """Documents of a training batch."""
        return self.transformer_model_args.train_batch_size if IS_HOST_2 else self.mini_batch_size

    @property
    def predict_batch(self) -> int:
        """Documents of a prediction batch, as the host would pad them."""
        return self.transformer_model_args.predict_batch_size if IS_HOST_2 else self.mini_batch_size

    @property
    def wants_progress(self) -> bool:
        """Whether the host's switches allow progress bars."""
        if IS_HOST_2:
            return bool(self.transformer_model_args.show_progress_bar)
        return os.environ.get("SMALL_TEXT_PROGRESS_BARS", "1").lower() not in ("0", "false")

    @property
    def wants_compile(self) -> bool:
        """Whether the model arguments ask for torch.compile."""
        return bool(getattr(getattr(self, self._args_name), "compile_model", False))

    @property
    def plain_model(self) -> Any:
        """The model without torch.compile's wrapper."""
        return getattr(self.model, "_orig_mod", self.model)

    def autocast(self) -> AbstractContextManager:
        """Return the host's mixed-precision context (2.x with `amp_args` on CUDA), else one that does nothing."""
        if not self.mixed_precision:
            return nullcontext()
        return torch.autocast(device_type=self.amp_args.device_type, dtype=self.amp_args.dtype)

    @property
    def mixed_precision(self) -> bool:
        """Whether the host's mixed precision is on (never on the CPU)."""
        return IS_HOST_2 and self.model is not None and bool(self.amp_args.use_amp)

    def stopping(self, early_stopping: Any, *, patience: int, has_validation: bool) -> Any:
        """Return the early stopping handler of one fit.

        What the user passes to fit, or to the constructor of 1.x, means what the host documents. A handler is copied:
        the learner passes the same one in every round, and its memory of earlier rounds would stop later ones.
        """
        if early_stopping is None and not self._constructor_stops():
            return EarlyStopping(Metric("val_loss" if has_validation else "train_loss"), patience=patience)
        arguments: tuple[Any, ...] = (early_stopping, self.validations_per_epoch)
        if not IS_HOST_2:
            arguments = (
                early_stopping,
                self.early_stopping_no_improvement,
                self.early_stopping_acc,
                self.validations_per_epoch,
            )
        return copy.deepcopy(self._get_default_early_stopping(*arguments))

    def _constructor_stops(self) -> bool:
        return not IS_HOST_2 and (self.early_stopping_no_improvement != 5 or self.early_stopping_acc != -1)

    def selects_models(self, model_selection: Any) -> bool:
        """Whether the best weights are to be restored ('none', and False in 1.x's constructor, say no)."""
        return not (isinstance(model_selection, str) and model_selection == "none") and getattr(
            self, "model_selection", True
        )

    def optimizer_and_scheduler(self, optimizer: Any, scheduler: Any, n_train: int) -> tuple[Any, Any]:
        """Return the user's optimizer and scheduler, or AdamW as the host sets it up with a constant rate."""
        optimizer = optimizer if optimizer is not None else self.optimizer
        scheduler = scheduler if scheduler is not None else self.scheduler
        if not IS_HOST_2 and self.fine_tuning_arguments is not None and optimizer is not None:
            raise ValueError("When fine_tuning_arguments are provided you cannot pass optimizer and scheduler to fit()")
        if scheduler is not None and not isinstance(scheduler, str) and optimizer is None:
            raise ValueError("You must also pass an optimizer if you pass a scheduler to fit()")
        if optimizer is None and getattr(self, "fine_tuning_arguments", None) is None:
            optimizer = adamw((p for p in self.model.parameters() if p.requires_grad), self.lr)
        if isinstance(scheduler, str):  # the host's own entry leaves a name as it is beside an optimizer
            return self._initialize_optimizer_and_scheduler(
                optimizer, scheduler, self.num_epochs, _Sized(n_train), self.lr
            )
        return self._get_optimizer_and_scheduler(optimizer, scheduler, self.num_epochs, _Sized(n_train))

    def positive_weights(self, dataset: Any) -> Any:
        """Return the host's class weights (C,) for ``class_weight='balanced'``, else None."""
        return self.initialize_class_weights(dataset)

    @staticmethod
    def check_training_data(train_set: Any, validation_set: Any, weights: Any) -> None:
        """Run the host's own checks of training data and weights."""
        check_training_data(train_set, validation_set, weights=weights)

    def log(self, message: str) -> None:
        """Log at the host's verbosity for epochs."""
        self.logger.info(message, verbosity=20)


class _Sized:
    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n


class HostSelection:
    """Runs a small-text model selection handler: it wants every candidate as a file."""

    def __init__(self, handler: Any, model: torch.nn.Module) -> None:
        self.handler = copy.deepcopy(handler)
        self.model = model
        self._folder = tempfile.TemporaryDirectory(dir=get_tmp_dir_base())
        self._count = 0

    def observe(self, measured: dict[str, Any], stop: bool) -> None:
        """Save the weights and tell the handler about them."""
        self._count += 1
        path = Path(self._folder.name) / f"model_{self._count}.pt"
        torch.save(self.model.state_dict(), path)
        fields = {ModelSelection.FIELD_NAME_EARLY_STOPPING: stop}
        self.handler.add_model(str(self._count), path, measured, fields=fields)

    def restore(self) -> None:
        """Load the weights that the handler selects, if any."""
        result = self.handler.select()
        if result is not None:
            self.model.load_state_dict(torch.load(result.model_path, weights_only=True))
        self._folder.cleanup()


def dense_probabilities(clf: Any, dataset: Any) -> np.ndarray:
    """Return the probability of every label for every document, whatever the release lets out.

    Parameters
    ----------
    clf : a multi-label classifier of this package or of small-text
    dataset : what the classifier predicts on

    Returns
    -------
    probabilities : (N, C) float64

    Raises
    ------
    ValueError
        When the classifier is single-label, or gives out only the probabilities above 0.5.
    """
    if not getattr(clf, "multi_label", False):
        raise ValueError(f"expected a multi-label classifier, got {type(clf).__name__} with multi_label=False")
    if hasattr(clf, "label_probabilities"):
        return np.asarray(clf.label_probabilities(dataset), dtype=float)
    if IS_HOST_2 and isinstance(clf, PytorchClassifier) and not _is_setfit(clf):
        # The base class keeps what lies above the threshold; its subclasses drop the argument on the way.
        proba = PytorchClassifier.predict_proba(clf, dataset, multi_label_threshold=-1.0)
    elif IS_HOST_2 and _is_setfit(clf):
        proba = clf.predict_proba(dataset, multi_label_threshold=-1.0)
    else:
        proba = clf.predict_proba(dataset)
    if issparse(proba):
        if proba.nnz != proba.shape[0] * proba.shape[1]:
            raise ValueError(
                f"{type(clf).__name__} gives out thresholded probabilities only: use CoMALClassificationFactory, "
                "or small-text 1.4.1, whose predict_proba is dense"
            )
        proba = proba.toarray()
    return np.asarray(proba, dtype=float)


def _is_setfit(clf: Any) -> bool:
    return any(base.__name__ == "SetFitClassification" for base in type(clf).__mro__)


def make_dataset(
    texts: Any, y: csr_matrix, tokenizer: Any, *, num_classes: int, max_length: int = 512
) -> TransformersDataset:
    """Return a multi-label TransformersDataset that knows all its classes (N texts, y (N, C) CSR)."""
    return TransformersDataset.from_arrays(
        texts, y, tokenizer, target_labels=np.arange(num_classes), max_length=max_length
    )


def model_arguments(
    model: str, *, train_batch_size: int = 12, predict_batch_size: int = 12
) -> tuple[TransformerModelArguments, dict[str, Any]]:
    """Return TransformerModelArguments and the keywords that belong to the classifier, as the release wants them."""
    if IS_HOST_2:
        sizes = {"train_batch_size": train_batch_size, "predict_batch_size": predict_batch_size}
        return TransformerModelArguments(model, **sizes), {}
    return TransformerModelArguments(model), {"mini_batch_size": train_batch_size}


def initialize_learner(learner: PoolBasedActiveLearner, indices: np.ndarray, y: csr_matrix) -> None:
    """Start a learner with the labeled documents `indices`, whose labels are the rows of y (L, C)."""
    if IS_HOST_2:
        if learner.dataset.y[indices].shape != y.shape or (learner.dataset.y[indices] != y).nnz:
            raise ValueError("small-text 2.x takes the initial labels from dataset.y, which differ from the given y")
        learner.initialize(indices)
    else:
        learner.initialize_data(indices, y)

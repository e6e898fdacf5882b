"""small-text's transformer classifier with one face for both releases."""

from __future__ import annotations

import copy
import os
from typing import Any

import numpy as np
from small_text import TransformerBasedClassification
from small_text.training.early_stopping import EarlyStopping
from small_text.training.metrics import Metric
from small_text.utils.data import check_training_data

from small_text_comal.host.predictions import MultiLabelPredictions
from small_text_comal.host.versions import IS_HOST_2
from small_text_comal.method.optimizers import adamw

__all__ = ["HostClassification"]


class HostClassification(MultiLabelPredictions, TransformerBasedClassification):
    """small-text's transformer classifier with one face for both releases; CoMALClassification builds on it.

    Subclasses implement `_model_loaded`, `label_probabilities` and `thresholds`.
    """

    model: Any
    _args_name = "transformer_model_args" if IS_HOST_2 else "transformer_model"

    def _model_loaded(self) -> None:
        """Called when the host has loaded a model, before anything is trained."""
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

    else:

        def initialize_transformer(self, cache_dir: str) -> None:
            """Load the model (small-text 1.x)."""
            super().initialize_transformer(cache_dir)
            self._model_loaded()

    def _opinions(self, dataset: Any, samples: int) -> np.ndarray:
        return TransformerBasedClassification.predict_proba(self, dataset, dropout_sampling=samples)

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

    @property
    def autocast_options(self) -> dict[str, Any]:
        """The host's mixed precision as `device_type`, `dtype` and `enabled`; empty when it is off."""
        if not self.mixed_precision:
            return {}
        return {"device_type": self.amp_args.device_type, "dtype": self.amp_args.dtype, "enabled": True}

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

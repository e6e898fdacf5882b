"""Feature vectors of documents, at the cost of the trainable layers only.

Batches are sorted by length and trimmed to their longest document (`batched_pass`). The output of the frozen lower
layers comes from a cache that outlives the classifier (`frozen_output`). The layers above run on it, and the last one
computes only the token that the head reads; shortcuts are taken where they give the whole model's features (`routes`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen.batched_pass import batched_pass
from small_text_comal.encoder.frozen.feature_cache import FeatureCache
from small_text_comal.encoder.frozen.frozen_output import FrozenOutput
from small_text_comal.encoder.frozen.layered_model import LayeredModel
from small_text_comal.encoder.frozen.precision import Precision
from small_text_comal.encoder.frozen.routes import choose_route, whole_model
from small_text_comal.method.label_space import FeatureBatch

__all__ = ["DocumentEncoder"]


class DocumentEncoder:
    """Computes the feature vectors v (D) of documents with a sequence-classification model.

    The model is not changed: `freeze` is a step of its own. Until `prepare` has compared the shortcuts with the model
    on real documents, every pass runs the whole model.

    Parameters
    ----------
    model : a model as AutoModelForSequenceClassification makes it, on its device
    num_classes : C
    frozen_layers : layers to freeze together with the embeddings; None: three quarters; 0: nothing
    cache : where the frozen layers' output is stored; None: it is computed each time
    precision : in which the model runs
    compile_model : run the trainable layers through `torch.compile`

    Raises
    ------
    ValueError
        When frozen_layers is more than the encoder has, or the encoder's layers cannot be found.
    """

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        *,
        frozen_layers: int | None = None,
        cache: FeatureCache | None = None,
        precision: Precision = Precision(),  # noqa: B008 (frozen)
        compile_model: bool = False,
    ) -> None:
        self.layered = LayeredModel(model, num_classes, frozen_layers)
        self.model, self.head = model, self.layered.head
        self.precision = precision
        self.frozen_output = FrozenOutput(self.layered, cache if self.layered.frozen_layers else None, precision)
        self.route = whole_model(self.layered)
        self._compile_model = compile_model
        self._compared = False

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.layered.device

    def freeze(self) -> None:
        """Take the frozen layers' parameters out of training; to be called before an optimizer is made."""
        self.layered.freeze()

    def set_training(self, training: bool) -> None:
        """Put the trainable layers into training or evaluation mode; frozen ones are always in evaluation mode."""
        self.route.trainable.train(training)
        for module in self.layered.frozen_modules:
            module.eval()

    def prepare(self, documents: Documents, batch_size: int, *, progress: bool = False) -> None:
        """Choose the shortcuts that hold on the first documents; cache the frozen layers' output of all of them.

        The model is left in evaluation mode.
        """
        self.set_training(False)
        if not self._compared and len(documents):
            self.route = choose_route(self.layered, documents, compile_model=self._compile_model)
            self._compared = True
        if self.route.prefix is not None:
            self.frozen_output.store(self.route.prefix, documents, batch_size, progress=progress)

    def features(self, documents: Documents, rows: np.ndarray) -> Tensor:
        """Return the feature vectors (B, D) of the documents `rows`; differentiable, in the mode that is set.

        With a cache, `prepare` must have seen the documents.
        """
        with self.precision.autocast():
            if self.route.prefix is None:
                ids, mask = documents.padded(rows, self.device, self.layered.pad_id, trimmed=self.route.trims)
                return self.route.trainable(input_ids=ids, attention_mask=mask).logits
            hidden = self.frozen_output.states(self.route.prefix, documents, rows)
            mask = documents.padded_mask(rows, self.device)
            return self.route.trainable(inputs_embeds=hidden, attention_mask=mask).logits

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits (B, C) float32 of `features` (B, D)."""
        return self.head(features.to(self.head.weight.dtype)).float()

    def dropout_modules(self) -> list[nn.Module]:
        """Return the dropout modules that training uses: those of the frozen layers are not among them."""
        frozen = {module for part in self.layered.frozen_modules for module in part.modules()}
        return [m for m in self.layered.plain.modules() if isinstance(m, nn.Dropout) and m.p > 0 and m not in frozen]

    def stream(self, documents: Documents, batch_size: int, *, progress: bool = False) -> Iterator[FeatureBatch]:
        """Yield the feature vectors of all documents in evaluation mode, in batches of similar length.

        `batch_size` counts documents padded to the caller's full length: a batch here has as many tokens.
        """
        self.prepare(documents, batch_size, progress=progress)
        rows, trim = np.arange(len(documents)), self.route.trims
        batches = batched_pass(self.features, documents, batch_size, rows=rows, trim=trim, progress=progress)
        for batch, features in batches:
            yield FeatureBatch(batch, features.to(torch.float32, copy=True))  # a normal tensor, that autograd can use

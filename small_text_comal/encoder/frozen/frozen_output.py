"""The hidden states that leave the frozen layers: read from the cache, or computed."""

from __future__ import annotations

import functools
import hashlib
import json

import numpy as np
import torch
from torch import Tensor

from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen.batched_pass import batched_pass
from small_text_comal.encoder.frozen.feature_cache import FeatureCache
from small_text_comal.encoder.frozen.layer_split import Prefix
from small_text_comal.encoder.frozen.layered_model import LayeredModel, weights_state
from small_text_comal.encoder.frozen.precision import Precision

__all__ = ["FrozenOutput"]

_CONFIG_WITHOUT_EFFECT = {
    "_name_or_path", "architectures", "dtype", "torch_dtype", "id2label", "label2id", "num_labels", "problem_type",
    "transformers_version", "finetuning_task",
}  # fmt: skip


class FrozenOutput:
    """Serves hidden states (B, S, H) of documents after the frozen layers.

    Parameters
    ----------
    layered : the model, on its device
    cache : where the states are stored; None: they are computed each time
    precision : in which the frozen layers run
    """

    def __init__(self, layered: LayeredModel, cache: FeatureCache | None, precision: Precision) -> None:
        self.layered, self.cache, self.precision = layered, cache, precision
        self._fingerprints: dict[tuple, str] = {}

    def compute(self, prefix: Prefix, documents: Documents, rows: np.ndarray) -> Tensor:
        """Return the states (B, S, H) of the documents `rows` by running `prefix`, in the head's number format."""
        with torch.no_grad(), self.precision.autocast():
            hidden = prefix(*documents.padded(rows, self.layered.device, self.layered.pad_id))
        return hidden.to(self.layered.head.weight.dtype)

    def store(self, prefix: Prefix, documents: Documents, batch_size: int, *, progress: bool = False) -> None:
        """Compute and store the states of all documents that the cache lacks; `prefix` is in evaluation mode."""
        if self.cache is None:
            return
        self.cache.use(self._fingerprint(prefix))
        missing = self.cache.missing(documents.keys)
        if not missing:
            return
        rows = np.array(list({documents.keys[row]: row for row in reversed(missing)}.values()))[::-1]
        compute = functools.partial(self.compute, prefix)
        for batch, hidden in batched_pass(compute, documents, batch_size, rows=rows, trim=True, progress=progress):
            trimmed = [states[:length] for states, length in zip(hidden, documents.lengths[batch], strict=True)]
            self.cache.put([documents.keys[row] for row in batch], trimmed)
        self.cache.close_segment()

    def states(self, prefix: Prefix, documents: Documents, rows: np.ndarray) -> Tensor:
        """Return the states (B, S, H) of the documents `rows`, which `store` has seen: padded with 0, on the device."""
        if self.cache is None:
            return self.compute(prefix, documents, rows)
        dtype = self.layered.head.weight.dtype
        if self.cache.fingerprint != self._fingerprint(prefix):  # another model shares the cache and used it last
            return self.compute(prefix, documents, rows).to(self.cache.dtype).to(dtype)
        states = [self.cache.get(documents.keys[row]) for row in rows]
        padded = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
        return padded.to(self.layered.device, non_blocking=True).to(dtype)

    def _fingerprint(self, prefix: Prefix) -> str:
        """The fingerprint of the current weights; computed again when a frozen weight was written to."""
        current = prefix.first_token_only, weights_state(self.layered.frozen_weights.values())
        if current not in self._fingerprints:
            self._fingerprints = {current: _new_fingerprint(self.layered, prefix, self.precision)}
        return self._fingerprints[current]


def _new_fingerprint(layered: LayeredModel, prefix: Prefix, precision: Precision) -> str:
    """A digest of all that decides the output of `prefix`: weights, configuration, number format."""
    config = {k: v for k, v in layered.plain.config.to_dict().items() if k not in _CONFIG_WITHOUT_EFFECT}  # type: ignore
    with precision.autocast():
        one = torch.ones(1, 1, device=layered.device)
        dtype = str((one @ one).dtype)
    output = [layered.frozen_layers, prefix.first_token_only, dtype, config]
    digest = hashlib.blake2b(json.dumps(output, sort_keys=True, default=str).encode())
    for name, weight in layered.frozen_weights.items():
        digest.update(name.encode())
        values = weight.detach().cpu().reshape(-1).contiguous()
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()

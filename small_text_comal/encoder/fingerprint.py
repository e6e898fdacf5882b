"""What tells the output of frozen layers from any other model's, and current weights from earlier ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import torch
from torch import Tensor

from small_text_comal.encoder.layer_split import Prefix
from small_text_comal.encoder.layered_model import LayeredModel
from small_text_comal.encoder.precision import Precision

__all__ = ["fingerprint", "weights_state"]

_CONFIG_WITHOUT_EFFECT = {
    "_name_or_path", "architectures", "dtype", "torch_dtype", "id2label", "label2id", "num_labels", "problem_type",
    "transformers_version", "finetuning_task",
}  # fmt: skip


def weights_state(weights: Iterable[Tensor]) -> tuple[tuple[int, int], ...]:
    """Return what changes when one of `weights` is written to (except through ``.data``), moved or replaced."""
    return tuple((weight.data_ptr(), weight._version) for weight in weights)


def fingerprint(layered: LayeredModel, prefix: Prefix, precision: Precision) -> str:
    """Return a digest of all that decides the output of `prefix`: weights, configuration, number format."""
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

"""Features of the documents of the last fit, which the query after it does not compute again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor, nn

from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen.layered_model import weights_state
from small_text_comal.method.label_space import FeatureBatch

__all__ = ["KnownFeatures"]

_BLOCK_DOCUMENTS = 256


class KnownFeatures:
    """Feature vectors by document content, valid while the weights of the model stay as they are.

    Parameters
    ----------
    keys : content keys of the documents, see `Documents.keys`
    features : (len(keys), D)
    model : the model that they come from
    """

    def __init__(self, keys: list[bytes], features: Tensor, model: nn.Module) -> None:
        self._rows = {key: row for row, key in enumerate(keys)}
        self._features = features
        self._weights = weights_state(model.parameters())

    def rows_of(self, documents: Documents, model: nn.Module) -> np.ndarray:
        """Return the positions of the documents that are known; none when `model` is not as it was."""
        if weights_state(model.parameters()) != self._weights:
            return np.empty(0, dtype=int)
        return np.array([row for row, key in enumerate(documents.keys) if key in self._rows], dtype=int)

    def batches(self, documents: Documents, rows: np.ndarray) -> Iterator[FeatureBatch]:
        """Yield the features of the known documents `rows`."""
        for start in range(0, len(rows), _BLOCK_DOCUMENTS):
            block = rows[start : start + _BLOCK_DOCUMENTS]
            yield FeatureBatch(block, self._features[[self._rows[documents.keys[row]] for row in block]])

"""From documents to one unit vector each, computed once.

Any of three things is an encoder: a model (a name on the hub, a folder, or small-text's TransformerModelArguments),
or a callable texts -> (N, D) of another library or service. Vectors are kept by content: a document that was embedded
in an earlier round, run or process is not embedded again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.sentence.callable_encoder import CallableEncoder
from small_text_comal.encoder.sentence.folder import is_sentence_encoder
from small_text_comal.encoder.sentence.model import SentenceModel
from small_text_comal.encoder.sentence.model_files import ModelSource
from small_text_comal.encoder.sentence.pooling import POOLINGS, unit_length
from small_text_comal.encoder.sentence.vector_cache import VectorCache, VectorStore, text_key

__all__ = ["SentenceEncoder", "is_sentence_encoder"]

_Batches = Iterator[tuple[np.ndarray, np.ndarray]]


class SentenceEncoder:
    """Computes the unit vectors (D) of documents, and keeps them.

    Parameters
    ----------
    encoder : a model's name on the hub or folder; small-text's TransformerModelArguments; or a callable
        texts (list of n str) -> (n, D)
    name : of a callable, the identity under which its vectors are stored. Needed where a folder keeps them; change it
        when the callable changes
    pooling : a name in `POOLINGS`; None: as the model's folder declares it, else the mean over real tokens
    max_length : tokens at which a text is cut; None: as declared, at most what the model has positions for
    device : where the model runs; None: on CUDA where there is a card
    batch_size : documents of `max_length` tokens a batch (32), or texts a call (256)
    progress : show a progress bar
    cache : where vectors are kept; None: in memory, float32, as long as this object lives

    Raises
    ------
    ValueError
        Here, when an option has no meaning; at the first use, when the model's files do not fit together.

    Notes
    -----
    Weights are loaded at the first use, once for all encoders made from the same files in one process, so a new
    encoder in every round costs nothing. Pickling keeps the options and drops weights and vectors.

    A vector depends on the rest of its batch by float rounding only. The same documents, in any order, form the same
    batches and give the same bits; a document that is known keeps the vector that was computed first.

    Examples
    --------
    >>> encoder = SentenceEncoder(lambda texts: [[len(text), 0.0] for text in texts])
    >>> encoder.encode_texts(["four", ""]).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """

    def __init__(
        self,
        encoder: Any,
        *,
        name: str | None = None,
        pooling: str | None = None,
        max_length: int | None = None,
        device: torch.device | str | None = None,
        batch_size: int | None = None,
        progress: bool = False,
        cache: VectorCache | None = None,
    ) -> None:
        self.encoder = _checked_encoder(encoder)
        self.cache = VectorCache() if cache is None else cache
        self.name, self.pooling, self.max_length, self.device = name, pooling, max_length, device
        self.batch_size, self.progress = batch_size, progress
        self._check_options()

    def _check_options(self) -> None:
        if self.batch_size is not None and not (isinstance(self.batch_size, int) and self.batch_size > 0):
            raise ValueError(f"batch_size: expected an integer >= 1 or None, got {self.batch_size!r}")
        if self.pooling is not None and self.pooling not in POOLINGS:
            raise ValueError(f"pooling: expected None or one of {', '.join(POOLINGS)}, got {self.pooling!r}")
        if not self.takes_tokens:
            if self.pooling is not None or self.max_length is not None:
                raise ValueError("pooling, max_length: expected None where the encoder is a callable: it decides both")
            if self.cache.arguments.enabled and self.cache.arguments.folder is not None and self.name is None:
                raise ValueError(
                    "name: expected a name for a callable whose vectors are kept in a folder, since nothing else tells "
                    "them from another callable's, got None"
                )
        elif self.name is not None:
            raise ValueError(f"name: expected None where the encoder is a model, which names itself, got {self.name!r}")

    @property
    def takes_tokens(self) -> bool:
        """Whether tokenised documents can be encoded: not by a callable."""
        return not callable(self.encoder)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_embedder"}

    @functools.cached_property
    def _embedder(self) -> SentenceModel | CallableEncoder:
        if not self.takes_tokens:
            return CallableEncoder(self.encoder, self.name, self.batch_size)
        return SentenceModel(
            ModelSource.of(self.encoder),
            pooling=self.pooling,
            max_length=self.max_length,
            device=self.device,
            batch_size=self.batch_size,
        )

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return the unit vectors (N, D) float32 of texts; a vector of zeros stays one.

        Raises
        ------
        ValueError
            When a text is no str, or the encoder's output is not finite or of the wrong shape.
        """
        texts = _checked_texts(texts)
        keys = [text_key(text) for text in texts]
        store = self.cache.store(self._embedder.text_fingerprint)
        rows = self._order(keys, store)
        self._compute(store, [keys[row] for row in rows], lambda: self._embedder.embed_texts([texts[i] for i in rows]))
        return self._stored(store, keys)

    def encode_documents(self, documents: Documents) -> np.ndarray:
        """Return the unit vectors (N, D) float32 of documents that are tokenised already.

        Whether they were tokenised for this model cannot be seen; that their ids lie in its vocabulary can, and is
        checked. They are not cut at `max_length`.

        Raises
        ------
        ValueError
            When the encoder is a callable, or the documents cannot have been tokenised for this model.
        """
        model = self._embedder
        if isinstance(model, CallableEncoder):
            raise ValueError(
                "expected texts, since the encoder is a callable, got tokenised documents: make a TextDataset"
            )
        store = self.cache.store(model.token_fingerprint)
        rows = self._order(documents.keys, store)
        subset = documents.subset(np.array(rows, dtype=np.int64))
        self._compute(store, [documents.keys[row] for row in rows], lambda: model.embed_documents(subset))
        return self._stored(store, documents.keys)

    def encode_names(self, names: Sequence[str]) -> np.ndarray:
        """Return the unit vectors (C, D) float32 of label names; underscores are read as spaces."""
        return self.encode_texts([name.replace("_", " ") for name in _checked_texts(names)])

    def _order(self, keys: Sequence[bytes], store: VectorStore) -> list[int]:
        """The rows to compute; for a model in an order that does not depend on the caller's."""
        missing = store.missing(keys)
        return sorted(missing, key=lambda row: keys[row]) if self.takes_tokens else missing

    def _compute(self, store: VectorStore, keys: list[bytes], batches: Callable[[], _Batches]) -> None:
        if not keys:
            return
        try:
            with tqdm(total=len(keys), unit="doc", leave=False, disable=None if self.progress else True) as bar:
                for positions, vectors in batches():
                    store.put([keys[position] for position in positions], unit_length(vectors))
                    bar.update(len(positions))
        finally:
            store.flush()  # what is computed is kept, whatever stopped the rest

    def _stored(self, store: VectorStore, keys: Sequence[bytes]) -> np.ndarray:
        if not keys:
            return np.zeros((0, store.dimension or self._embedder.dimension), dtype=np.float32)
        return store.get(keys)


def _checked_encoder(encoder: Any) -> Any:
    if isinstance(encoder, torch.nn.Module):
        raise ValueError(
            f"encoder: expected a callable texts -> (N, D), got the module {type(encoder).__name__}, which takes "
            "tensors: pass its method for texts, such as SentenceTransformer(...).encode"
        )
    has_parts = all(isinstance(getattr(encoder, part, None), (str, Path)) for part in ("model", "tokenizer", "config"))
    if isinstance(encoder, (str, Path)) or callable(encoder) or has_parts:
        return encoder
    raise ValueError(
        "encoder: expected a model's name or folder, TransformerModelArguments, or a callable texts -> (N, D), got "
        f"{type(encoder).__name__}"
    )


def _checked_texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise ValueError("texts: expected a list of str, got one str")
    texts = list(texts)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"texts: expected str, got {type(text).__name__} in row {row}: {text!r}")
    return [str(text) for text in texts]  # NumPy's own str among them

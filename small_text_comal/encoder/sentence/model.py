"""A transformer model with its pooling: from texts or tokens to one vector a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from small_text_comal.encoder.documents import Documents, length_sorted_batches
from small_text_comal.encoder.sentence.model_files import ModelSource, describe, digest_of, load
from small_text_comal.encoder.sentence.pooling import pooled
from small_text_comal.encoder.sentence.tokenizer_check import checked_max_length, checked_tokenizer, position_limit

__all__ = ["SentenceModel"]

_LONGEST_BY_DEFAULT = 512
_DOCUMENTS_A_BATCH = 32  # of the longest length; shorter ones come in larger batches
_TEXTS_TOKENISED_AT_ONCE = 1000
_SAMPLE = 16  # texts from which "most tokens are unknown" means something


class SentenceModel:
    """A model that is loaded, with the pooling and the longest input that are used.

    Parameters
    ----------
    source : the files
    pooling : a name in `POOLINGS`; None: as the folder declares it, the mean over real tokens where it does not
    max_length : tokens at which a text is cut; None: as declared, at most what the model has positions for
    device : None: CUDA where there is a card
    batch_size : documents of `max_length` tokens that make a batch

    Raises
    ------
    ValueError
        When pooling, max_length, the folder's modules or its tokenizer are not what they have to be.
    """

    def __init__(
        self,
        source: ModelSource,
        *,
        pooling: str | None = None,
        max_length: int | None = None,
        device: torch.device | str | None = None,
        batch_size: int | None = None,
    ) -> None:
        self.source = source
        self.declared, self.config = describe(source)
        if max_length is not None:
            checked_max_length(max_length, self.config)
        self.poolings = self.declared.pooling if pooling is None else (pooling,)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._loaded = load(source, self.device)
        self.max_length = max_length or self._default_length()
        self.batch_size = batch_size or _DOCUMENTS_A_BATCH

    def _default_length(self) -> int:
        said = self.declared.max_length or min(self._loaded.tokenizer.model_max_length, _LONGEST_BY_DEFAULT)
        return min(said, position_limit(self.config) or said)

    @property
    def dimension(self) -> int:
        """D, the size of a vector."""
        return self.config.hidden_size * len(self.poolings)

    @property
    def token_fingerprint(self) -> str:
        """A digest of all that decides the vector of a token sequence."""
        return digest_of(self._loaded.weights, self.poolings)

    @property
    def text_fingerprint(self) -> str:
        """A digest of all that decides the vector of a text."""
        declared = self.declared
        text_options = [self.max_length, declared.lower_case, declared.prompt]
        return digest_of(self._loaded.weights, self.poolings, self._loaded.vocabulary, text_options)

    def embed_texts(self, texts: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions (b,) and vectors (b, D) float32 of the texts, longest first."""
        if len(texts) >= _SAMPLE:
            checked_tokenizer(self.source.tokenizer, self._loaded.tokenizer, texts[:_SAMPLE], config=self.config)
        yield from self._embed(self._tokenised(texts))

    def embed_documents(self, documents: Documents) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions (b,) and vectors (b, D) float32 of tokenised documents, longest first.

        Raises
        ------
        ValueError
            When a document is longer than the model has positions for, or has ids that are not in the model's
            vocabulary, or the model wants a prompt before every text.
        """
        if self.declared.prompt:
            raise ValueError(
                f"{self.source.model} begins every text with {self.declared.prompt!r}, which documents that are "
                "tokenised already do not have: give texts (small-text's TextDataset)"
            )
        self._check(documents)
        yield from self._embed(documents)

    def _tokenised(self, texts: list[str]) -> Documents:
        declared, rows = self.declared, []
        whole = [declared.prompt + text for text in texts] if declared.prompt else texts
        whole = [text.lower() for text in whole] if declared.lower_case else whole
        for start in range(0, len(whole), _TEXTS_TOKENISED_AT_ONCE):
            part = whole[start : start + _TEXTS_TOKENISED_AT_ONCE]
            options = {"truncation": True, "max_length": self.max_length, "verbose": False}
            rows += [_row(ids) for ids in self._loaded.tokenizer(part, **options)["input_ids"]]
        return Documents(rows)

    def _check(self, documents: Documents) -> None:
        limit = position_limit(self.config)
        if limit is not None and len(documents) and documents.lengths.max() > limit:
            raise ValueError(
                f"expected documents of at most the {limit} tokens that {self.source.model} has positions for, got one "
                f"of {documents.lengths.max()}: tokenise with max_length={limit}"
            )
        embeddings: Any = self._loaded.model.get_input_embeddings()  # type: ignore[operator]
        words = embeddings.num_embeddings
        for row, ids in enumerate(documents.ids):
            if int(ids.min()) < 0 or int(ids.max()) >= words:
                raise ValueError(
                    f"expected token ids from 0 to {words - 1}, the vocabulary of {self.source.model}, got "
                    f"{int(ids.min())} to {int(ids.max())} in document {row}: were the documents tokenised for another "
                    "model?"
                )

    def _embed(self, documents: Documents) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rows in length_sorted_batches(documents.lengths, self.batch_size * self.max_length):
            with torch.inference_mode():  # never across the yield
                ids, mask = documents.padded(rows, self.device)
                hidden = self._loaded.model(input_ids=ids, attention_mask=mask).last_hidden_state
                vectors = pooled(hidden, mask, self.poolings).cpu().numpy()
            if not np.isfinite(vectors).all():
                raise ValueError(f"{self.source.model} computes NaN or infinity: are its weights complete?")
            yield rows, vectors


def _row(ids: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask (1, L); a text of which no token is left gets one padding token, masked."""
    return torch.tensor([ids or [0]]), torch.full((1, max(len(ids), 1)), int(bool(ids)))

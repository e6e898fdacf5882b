"""Factories: they make a new classifier for each round, and keep for all rounds what need not be computed again."""

from __future__ import annotations

from typing import Any

from small_text_comal.classifiers.embedding import CoMALEmbeddingClassification
from small_text_comal.classifiers.transformer import CoMALClassification
from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.frozen.feature_cache import FeatureCache
from small_text_comal.encoder.sentence.vector_cache import VectorCache
from small_text_comal.encoder.sentence_encoder import SentenceEncoder
from small_text_comal.host import AbstractClassifierFactory

__all__ = ["CoMALClassificationFactory", "CoMALEmbeddingClassificationFactory"]


class CoMALClassificationFactory(AbstractClassifierFactory):
    """Makes a new CoMALClassification for each round, and keeps the frozen layers' output for all of them.

    Parameters
    ----------
    transformer_model_args : small-text's TransformerModelArguments
    num_classes : C
    classification_kwargs : keywords of CoMALClassification
    kwargs : the same under the name that small-text 1.x uses
    feature_cache : options of the cache that all classifiers share; may also stand in classification_kwargs

    Raises
    ------
    ValueError
        When a keyword is given twice, or a classifier's option is out of range.

    Examples
    --------
    >>> from small_text import TransformerModelArguments
    >>> factory = CoMALClassificationFactory(TransformerModelArguments("google-bert/bert-base-uncased"), 54)
    >>> factory.new().num_classes
    54
    """

    def __init__(
        self,
        transformer_model_args: Any,
        num_classes: int,
        classification_kwargs: dict[str, Any] | None = None,
        *,
        kwargs: dict[str, Any] | None = None,
        feature_cache: FeatureCache | FeatureCacheArguments | None = None,
    ) -> None:
        self.transformer_model_args = transformer_model_args
        self.num_classes = num_classes
        self.classification_kwargs = _either(classification_kwargs, kwargs)
        # a cache of each classifier's own would be empty in every round
        of_classifier = self.classification_kwargs.pop("feature_cache", None)
        if feature_cache is not None and of_classifier is not None:
            raise ValueError("expected feature_cache once, got it as an argument and in classification_kwargs")
        cache = feature_cache if feature_cache is not None else of_classifier
        self.feature_cache = cache if isinstance(cache, FeatureCache) else FeatureCache(cache)
        self.new()  # options that are wrong fail here, before any document is labeled

    def new(self) -> CoMALClassification:
        """Return a new, unfitted classifier."""
        keywords = {"feature_cache": self.feature_cache, **self.classification_kwargs}
        return CoMALClassification(self.transformer_model_args, self.num_classes, **keywords)


class CoMALEmbeddingClassificationFactory(AbstractClassifierFactory):
    """Makes a new CoMALEmbeddingClassification for each round; documents are embedded once for all of them.

    Parameters
    ----------
    encoder : a sentence encoder's name or folder, small-text's TransformerModelArguments, or a callable
        texts -> (N, D)
    num_classes : C
    classification_kwargs : keywords of CoMALEmbeddingClassification
    kwargs : the same under the name that small-text 1.x uses
    feature_cache : where vectors are kept: in memory, or in a folder that runs and processes share

    Raises
    ------
    ValueError
        When keywords are given twice, or an option is out of range.

    Examples
    --------
    >>> factory = CoMALEmbeddingClassificationFactory("sentence-transformers/all-MiniLM-L6-v2", 54)
    >>> factory.new().num_classes
    54
    """

    def __init__(
        self,
        encoder: Any,
        num_classes: int,
        classification_kwargs: dict[str, Any] | None = None,
        *,
        kwargs: dict[str, Any] | None = None,
        feature_cache: FeatureCacheArguments | None = None,
    ) -> None:
        self.num_classes = num_classes
        self.classification_kwargs = _either(classification_kwargs, kwargs)
        cache = VectorCache(feature_cache)
        self.encoder = encoder if isinstance(encoder, SentenceEncoder) else SentenceEncoder(encoder, cache=cache)
        self.new()  # options that are wrong fail here, before any document is labeled

    def new(self) -> CoMALEmbeddingClassification:
        """Return a new, unfitted classifier."""
        return CoMALEmbeddingClassification(self.encoder, self.num_classes, **self.classification_kwargs)


def _either(classification_kwargs: dict[str, Any] | None, kwargs: dict[str, Any] | None) -> dict[str, Any]:
    if classification_kwargs and kwargs:
        raise ValueError("expected classification_kwargs or kwargs (its name in small-text 1.x), got both")
    return dict(classification_kwargs or kwargs or {})

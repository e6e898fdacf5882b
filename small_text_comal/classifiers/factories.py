"""Factories: they make a new classifier for each round, and keep for all rounds what need not be computed again."""

from __future__ import annotations

from typing import Any

from small_text_comal.classifiers.transformer import CoMALClassification
from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.feature_cache import FeatureCache
from small_text_comal.host import AbstractClassifierFactory

__all__ = ["CoMALClassificationFactory"]


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
        if classification_kwargs and kwargs:
            raise ValueError("expected classification_kwargs or kwargs (its name in small-text 1.x), got both")
        self.transformer_model_args = transformer_model_args
        self.num_classes = num_classes
        self.classification_kwargs = dict(classification_kwargs or kwargs or {})
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

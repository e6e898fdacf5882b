"""The one door to small-text: everything that differs between its releases, and every private name of it.

Supported are small-text 1.4.1 and 2.0.0.dev4 (and newer 2.x), with transformers 4.57 and newer.
"""

from small_text_comal.host.versions import HOST_VERSION, IS_HOST_2  # first: it refuses releases that do not work

# isort: split
from small_text import PoolBasedActiveLearner
from small_text.classifiers.classification import Classifier
from small_text.classifiers.factories import AbstractClassifierFactory
from small_text.utils.data import check_training_data

from small_text_comal.host.features import feature_vectors
from small_text_comal.host.heads import ends_in_sklearn_head, sklearn_head
from small_text_comal.host.model_selection import HostSelection
from small_text_comal.host.predictions import MultiLabelPredictions
from small_text_comal.host.probabilities import dense_probabilities
from small_text_comal.host.scripts import (
    initialize_learner,
    make_dataset,
    make_text_dataset,
    model_arguments,
    setfit_factory,
)
from small_text_comal.host.strategy import QueryStrategy, ScoringMixin, built_in_strategy, check_query_input
from small_text_comal.host.texts import texts_of
from small_text_comal.host.transformer_classifier import HostClassification

__all__ = [
    "HOST_VERSION",
    "IS_HOST_2",
    "AbstractClassifierFactory",
    "Classifier",
    "HostClassification",
    "HostSelection",
    "MultiLabelPredictions",
    "PoolBasedActiveLearner",
    "QueryStrategy",
    "ScoringMixin",
    "built_in_strategy",
    "check_query_input",
    "check_training_data",
    "dense_probabilities",
    "ends_in_sklearn_head",
    "feature_vectors",
    "initialize_learner",
    "make_dataset",
    "make_text_dataset",
    "model_arguments",
    "setfit_factory",
    "sklearn_head",
    "texts_of",
]

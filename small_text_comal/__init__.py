"""CoMAL, contrastive multi-label active learning (KDD 2024), for small-text."""

from small_text_comal.classifiers.any_host import WithContrastiveBranch
from small_text_comal.classifiers.embedding import CoMALEmbeddingClassification
from small_text_comal.classifiers.factories import CoMALClassificationFactory, CoMALEmbeddingClassificationFactory
from small_text_comal.classifiers.transformer import CoMALClassification
from small_text_comal.config import ContrastiveBranchArguments, FeatureCacheArguments
from small_text_comal.initialization import herding_initialization, label_covering_initialization
from small_text_comal.method.branch import ContrastiveBranch
from small_text_comal.method.contrastive import multi_label_supcon_loss
from small_text_comal.method.label_space import LabelSpace
from small_text_comal.method.prototypes import label_prototypes
from small_text_comal.query_strategies.comal import CoMAL
from small_text_comal.query_strategies.dense import WithDenseProbabilities
from small_text_comal.query_strategies.max_herding import MaxHerding
from small_text_comal.query_strategies.uncertainty_herding import UncertaintyHerding

__version__ = "0.1.0"

__all__ = [
    "CoMAL",
    "CoMALClassification",
    "CoMALClassificationFactory",
    "CoMALEmbeddingClassification",
    "CoMALEmbeddingClassificationFactory",
    "ContrastiveBranch",
    "ContrastiveBranchArguments",
    "FeatureCacheArguments",
    "LabelSpace",
    "MaxHerding",
    "UncertaintyHerding",
    "WithContrastiveBranch",
    "WithDenseProbabilities",
    "herding_initialization",
    "label_covering_initialization",
    "label_prototypes",
    "multi_label_supcon_loss",
]

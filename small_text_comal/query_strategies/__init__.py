"""Query strategies, one a file: CoMAL, the baselines, and the adapter for small-text's own."""

from small_text_comal.query_strategies.adaptive import Adaptive
from small_text_comal.query_strategies.audi import AUDI
from small_text_comal.query_strategies.badge import MultiLabelBADGE
from small_text_comal.query_strategies.besra import BESRA
from small_text_comal.query_strategies.comal import CoMAL, DocumentExplanation
from small_text_comal.query_strategies.core_set import CoreSet
from small_text_comal.query_strategies.cvirs import CVIRS
from small_text_comal.query_strategies.dense import WithDenseProbabilities
from small_text_comal.query_strategies.dropout import DropoutDisagreement
from small_text_comal.query_strategies.gpb2m import GPB2M
from small_text_comal.query_strategies.learning_loss import LearningLoss
from small_text_comal.query_strategies.max_herding import MaxHerding
from small_text_comal.query_strategies.mmc import MMC
from small_text_comal.query_strategies.registry import make_strategy, strategy_names
from small_text_comal.query_strategies.uncertainty_herding import UncertaintyHerding

__all__ = [
    "AUDI",
    "BESRA",
    "CVIRS",
    "GPB2M",
    "MMC",
    "Adaptive",
    "CoMAL",
    "CoreSet",
    "DocumentExplanation",
    "DropoutDisagreement",
    "LearningLoss",
    "MaxHerding",
    "MultiLabelBADGE",
    "UncertaintyHerding",
    "WithDenseProbabilities",
    "make_strategy",
    "strategy_names",
]

"""Query criteria, one reading a file. A new one is a new file and a line of `CRITERIA`."""

from small_text_comal.method.criteria.criterion import Criterion, CriterionScores, cardinality_gap
from small_text_comal.method.criteria.entropy import ENTROPY, EntropyCriterion, binary_entropy, label_entropy
from small_text_comal.method.criteria.hard import (
    PAPER,
    REFERENCE,
    HardCriterion,
    cardinality_inconsistency,
    comal_score,
    mean_threshold,
    midrange_threshold,
    positive_feature_diversity,
    projected_labels,
    reference_diversity,
    reference_score,
)
from small_text_comal.method.criteria.soft import (
    SOFT,
    SoftCriterion,
    projection_threshold,
    soft_cardinality_inconsistency,
    soft_diversity,
    soft_projection,
)

__all__ = [
    "CRITERIA",
    "Criterion",
    "CriterionScores",
    "EntropyCriterion",
    "HardCriterion",
    "SoftCriterion",
    "binary_entropy",
    "cardinality_gap",
    "cardinality_inconsistency",
    "comal_score",
    "label_entropy",
    "mean_threshold",
    "midrange_threshold",
    "positive_feature_diversity",
    "projected_labels",
    "projection_threshold",
    "reference_diversity",
    "reference_score",
    "soft_cardinality_inconsistency",
    "soft_diversity",
    "soft_projection",
]

CRITERIA: dict[str, Criterion] = {"reference": REFERENCE, "paper": PAPER, "soft": SOFT, "entropy": ENTROPY}

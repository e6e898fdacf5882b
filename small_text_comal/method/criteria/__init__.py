"""Query criteria, one reading a file. A new one is a new file and a line of `CRITERIA`."""

from small_text_comal.method.criteria.criterion import Criterion, CriterionScores, cardinality_gap
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

__all__ = [
    "CRITERIA",
    "Criterion",
    "CriterionScores",
    "HardCriterion",
    "cardinality_gap",
    "cardinality_inconsistency",
    "comal_score",
    "mean_threshold",
    "midrange_threshold",
    "positive_feature_diversity",
    "projected_labels",
    "reference_diversity",
    "reference_score",
]

CRITERIA: dict[str, Criterion] = {"reference": REFERENCE, "paper": PAPER}

"""Metrics by name."""

import numpy as np
import pytest

from small_text_comal.experiments.options.metrics import checked_metrics, evaluate
from small_text_comal.metrics import ndcg_at_k, precision_at_k


def test_evaluation_by_name():
    rng = np.random.default_rng(0)
    y, probabilities = (rng.random((30, 4)) < 0.4).astype(int), rng.random((30, 4))
    values = evaluate(y, probabilities, checked_metrics(("Micro-F1", "p@1", "nDCG@3", "p@5", "micro_f1")))
    predicted = probabilities >= 0.5
    true_positives = sum(int(a and b) for a, b in zip(y.ravel(), predicted.ravel(), strict=True))
    assert values == {
        "micro_f1": pytest.approx(2 * true_positives / (y.sum() + predicted.sum())),
        "p@1": precision_at_k(y, probabilities, 1),
        "ndcg@3": ndcg_at_k(y, probabilities, 3),
    }
    with pytest.raises(ValueError, match=r"unknown metric 'mikro_f1'. Did you mean 'micro_f1'"):
        checked_metrics(("mikro_f1",))
    with pytest.raises(ValueError, match="unknown metric 'p@0'"):
        checked_metrics(("p@0",))

"""The entropy criterion against loops with math.log."""

import doctest
import math

import numpy as np
import pytest
from label_space_fakes import random_space

from small_text_comal.method.criteria import CRITERIA, binary_entropy, entropy, label_entropy, projection_threshold


def entropy_by_hand(p):
    return -sum(x * math.log(x) for x in (p, 1 - p) if x > 0)


def test_docstring_examples():
    assert doctest.testmod(entropy).failed == 0


def test_binary_entropy_equals_its_definition():
    values = [0.0, 1e-9, 0.1, 0.5, 0.9, 1.0]
    assert binary_entropy(np.array(values)) == pytest.approx([entropy_by_hand(p) for p in values])
    assert np.isnan(binary_entropy(np.array([np.nan])))
    assert binary_entropy(np.array([0.25], dtype=np.float32)).dtype == np.float64


def test_a_label_without_prototype_is_left_out_of_both_terms():
    kappa, q = np.array([[0.2, np.nan]]), np.array([[0.7, 0.5]])
    assert label_entropy(kappa, q)[0] == pytest.approx([entropy_by_hand(0.2) + entropy_by_hand(0.7), 0])


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_loops(seed):
    space, labels, thresholds = random_space(seed)
    tau = projection_threshold(space.labeled_similarity, labels)
    expected = []
    for similarity, probabilities in zip(space.similarity.tolist(), space.probabilities.tolist(), strict=True):
        total = 0.0
        for k, p, t in zip(similarity, probabilities, thresholds.tolist(), strict=True):
            if not math.isnan(k):
                odds = p / (1 - p) * (1 - t) / t
                total += entropy_by_hand(1 / (1 + math.exp(-(k - tau) / 0.1))) + entropy_by_hand(odds / (1 + odds))
        expected.append(total)
    found = CRITERIA["entropy"].scores(space, labels, thresholds, 0.5)
    assert found.score == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(
        CRITERIA["entropy"].label_shares(space, labels, thresholds).sum(axis=1), found.score, rtol=1e-12
    )


def test_gamma_makes_no_difference_to_the_score():
    space, labels, thresholds = random_space(0)
    scores = [CRITERIA["entropy"].scores(space, labels, thresholds, gamma).score.tolist() for gamma in (0.0, 1.0)]
    assert scores[0] == scores[1]
    assert not CRITERIA["entropy"].takes_gamma


def test_inconsistency_and_diversity_are_reported_as_the_soft_ones():
    space, labels, thresholds = random_space(0)
    found, of_soft = (CRITERIA[name].scores(space, labels, thresholds, 0.5) for name in ("entropy", "soft"))
    for quantity in ("slci", "pfd", "projected", "positive"):
        np.testing.assert_array_equal(getattr(found, quantity), getattr(of_soft, quantity))

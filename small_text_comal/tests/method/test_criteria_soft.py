"""The soft criterion against expectations over all sets of labels, and against the hard one that it becomes."""

import doctest
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_space_fakes import random_space

from small_text_comal.method.criteria import (
    CRITERIA,
    cardinality_inconsistency,
    positive_feature_diversity,
    projection_threshold,
    soft,
    soft_cardinality_inconsistency,
    soft_diversity,
    soft_projection,
)
from small_text_comal.method.label_space import LabelSpace

# --- the oracles ------------------------------------------------------------------------------------------------------


def f1_by_loops(similarity, labels, tau):
    hits = misses = alarms = 0
    for row, truth in zip(similarity, labels, strict=True):
        for k, positive in zip(row, truth, strict=True):
            if math.isnan(k):
                continue
            hits += positive and k > tau
            misses += positive and not k > tau
            alarms += k > tau and not positive
    return 2 * hits / (2 * hits + misses + alarms) if hits else 0.0


def inconsistency_over_all_sets(projection, cardinality):
    """Root of E[(K - c)^2], where each label is in K by itself with its probability."""
    result = []
    for row in projection:
        chances = [kappa for kappa in row if not math.isnan(kappa)]
        expected = 0.0
        for chosen in itertools.product([0, 1], repeat=len(chances)):
            chance = math.prod(kappa if in_set else 1 - kappa for kappa, in_set in zip(chances, chosen, strict=True))
            expected += chance * (sum(chosen) - cardinality) ** 2
        result.append(math.sqrt(expected))
    return result


def score_by_loops(space, labels, thresholds, gamma):
    """U from the formulas, a document and a label at a time."""
    tau = projection_threshold(space.labeled_similarity, labels)
    cardinality = labels.sum() / len(labels)
    scores = []
    for similarity, probabilities in zip(space.similarity.tolist(), space.probabilities.tolist(), strict=True):
        kappas, pfd = [], 0.0
        for k, p, t in zip(similarity, probabilities, thresholds.tolist(), strict=True):
            if math.isnan(k):
                continue
            kappas.append(1 / (1 + math.exp(-(k - tau) / 0.1)))
            q = 1 / (1 + math.exp(-(math.log(p / (1 - p)) - math.log(t / (1 - t)))))
            pfd += q * (1 - k)
        slci = inconsistency_over_all_sets([kappas], cardinality)[0]
        scores.append(slci**gamma * pfd ** (1 - gamma))
    return scores


def test_docstring_examples():
    assert doctest.testmod(soft).failed == 0


# --- the formulas -----------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**31), digits=st.integers(1, 3))
def test_no_other_cut_has_a_better_f1(seed, digits):
    space, labels, _ = random_space(seed)
    similarity = (0.9 * space.labeled_similarity.astype(float)).round(digits)  # no cut within (-1, 1) reaches -1
    tau = projection_threshold(similarity, labels)
    values = [-1.0, *sorted(k for row in similarity.tolist() for k in row if not math.isnan(k)), 1.0]
    best = max(f1_by_loops(similarity.tolist(), labels.tolist(), cut) for cut in [-1.1, *values])
    assert f1_by_loops(similarity.tolist(), labels.tolist(), tau) == pytest.approx(best)
    if best > 0:
        below, above = max(k for k in values if k < tau), min(k for k in values if k > tau)
        assert tau == pytest.approx((below + above) / 2)


def test_the_cut_of_a_pool_without_any_positive_or_prototype():
    similarity = np.array([[0.2, 0.4], [0.0, 0.6]])
    assert projection_threshold(similarity, np.zeros((2, 2), dtype=bool)) > 0.6  # nothing is projected
    assert projection_threshold(np.full((2, 2), np.nan), np.zeros((2, 2), dtype=bool)) == 0


@given(seed=st.integers(0, 2**31), cardinality=st.floats(0, 6))
def test_inconsistency_is_the_expectation_over_all_sets_of_labels(seed, cardinality):
    projection = np.random.default_rng(seed).random((4, 6))
    projection[:, 2] = np.nan
    projection[0] = projection[0].round()
    expected = inconsistency_over_all_sets(projection.tolist(), cardinality)
    assert soft_cardinality_inconsistency(projection, cardinality) == pytest.approx(expected, abs=1e-6)


@given(seed=st.integers(0, 2**31))
def test_certain_projections_and_labels_give_the_printed_quantities(seed):
    rng = np.random.default_rng(seed)
    similarity = rng.choice([-0.9, 0.9, np.nan], size=(6, 5))
    projection = soft_projection((similarity * 1e3), 0.0)
    hard = cardinality_inconsistency(similarity, np.zeros(5), 1.4)
    assert soft_cardinality_inconsistency(projection, 1.4) == pytest.approx(hard)
    positive = rng.random((6, 5)) < 0.5
    known = np.where(np.isnan(similarity), 1, similarity)  # a label without prototype adds nothing
    assert soft_diversity(similarity, positive.astype(float)) == pytest.approx(
        positive_feature_diversity(known, positive)
    )


def test_an_undecided_label_is_never_without_inconsistency():
    assert soft_cardinality_inconsistency(np.array([[0.5, 0.5]]), 1.0)[0] == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_loops(seed, gamma):
    space, labels, thresholds = random_space(seed)
    found = CRITERIA["soft"].scores(space, labels, thresholds, gamma)
    assert found.score == pytest.approx(score_by_loops(space, labels, thresholds, gamma), rel=1e-5)
    if gamma in (0, 1):
        np.testing.assert_array_equal(found.score, found.slci if gamma else found.pfd)
    tau = projection_threshold(space.labeled_similarity, labels)
    np.testing.assert_array_equal(found.projected, space.similarity > tau)
    np.testing.assert_array_equal(found.positive, space.probabilities >= thresholds)


@pytest.mark.parametrize("name", CRITERIA)
def test_shares_are_one_number_a_label_and_never_nan(name):
    space, labels, thresholds = random_space(1)
    space = space._replace(branch_probabilities=space.probabilities)
    shares = CRITERIA[name].label_shares(space, labels, thresholds)
    assert shares.shape == space.similarity.shape
    assert (shares >= 0).all()
    if name in ("soft", "paper"):
        np.testing.assert_allclose(shares.sum(axis=1), CRITERIA[name].scores(space, labels, thresholds, 0.5).pfd)


def test_diversity_counts_labels_by_their_probability_from_the_cut():
    space, labels, thresholds = random_space(2)
    at_its_cut = space._replace(probabilities=np.tile(thresholds, (7, 1)))
    found = CRITERIA["soft"].scores(at_its_cut, labels, thresholds, 0.0)
    assert found.pfd == pytest.approx(np.nansum(0.5 * (1 - space.similarity), axis=1), rel=1e-5)
    assert found.positive.all()


def test_permuting_labels_changes_nothing():
    space, labels, thresholds = random_space(3)
    order = np.random.default_rng(0).permutation(5)
    permuted = LabelSpace(*(None if a is None else a[:, order] for a in space))
    for name in ("soft", "entropy"):
        expected = CRITERIA[name].scores(space, labels, thresholds, 0.5).score
        found = CRITERIA[name].scores(permuted, labels[:, order], thresholds[order], 0.5).score
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["soft", "entropy"])
@pytest.mark.filterwarnings("error")
def test_degenerate_label_spaces(name):
    space, _, thresholds = random_space(4)
    nothing = np.full_like(space.similarity, np.nan)
    no_label = space._replace(similarity=nothing, labeled_similarity=np.full((9, 5), np.nan, dtype=np.float32))
    found = CRITERIA[name].scores(no_label, np.zeros((9, 5), dtype=bool), thresholds, 0.5)
    assert found.score.tolist() == [0] * 7
    assert not found.projected.any()
    sure = space._replace(probabilities=np.round(space.probabilities))
    one_document = sure._replace(labeled_similarity=space.labeled_similarity[:1])
    for labels in (np.ones((1, 5), dtype=bool), np.zeros((1, 5), dtype=bool)):
        found = CRITERIA[name].scores(one_document, labels, thresholds, 0.5)
        assert np.isfinite(found.score).all()
        assert (found.score >= 0).all()

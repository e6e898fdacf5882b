"""SLCI, PFD and their product against plain loops and the ranking of the authors' code."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_text_comal.method.criteria import (
    cardinality_inconsistency,
    comal_score,
    mean_threshold,
    midrange_threshold,
    positive_feature_diversity,
    reference_score,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "reference_ranking.json").read_text())
GAMMAS = [0.0, 0.3, 0.5, 1.0]


# --- the oracles: loops over documents and labels, NaN tested by hand ------------------------------------------------


def slci_by_loops(similarity, threshold, cardinality):
    result = []
    for row in similarity:
        projected = 0
        for k, bar in zip(row, threshold, strict=True):
            if not math.isnan(k) and not math.isnan(bar) and k > bar:
                projected += 1
        result.append(abs(projected - cardinality))
    return result


def pfd_by_loops(similarity, positive):
    result = []
    for row, judged in zip(similarity, positive, strict=True):
        total = 0.0
        for k, is_positive in zip(row, judged, strict=True):
            if is_positive:
                total += 1 - (0.0 if math.isnan(k) else k)
        result.append(total)
    return result


def reference_factor_by_loops(similarity, positive):
    result = []
    for row, judged in zip(similarity, positive, strict=True):
        total = len(row) * 1e-10
        for k, is_positive in zip(row, judged, strict=True):
            if is_positive:
                total += ((0.0 if math.isnan(k) else k) + 1) / 2
        result.append(1 / total)
    return result


def product_by_loops(slci, diversity, gamma):
    return [math.pow(a, gamma) * math.pow(b, 1 - gamma) for a, b in zip(slci, diversity, strict=True)]


def midrange_by_loops(similarity, labels):
    result = []
    for j in range(len(similarity[0])):
        positives = [row[j] for row, document in zip(similarity, labels, strict=True) if document[j]]
        result.append((max(positives) + min(positives)) / 2 if positives else math.nan)
    return result


def random_case(seed, N=9, C=4, dtype=np.float64):
    """Similarity, threshold, cardinality, positive labels; about every fourth label has no prototype."""
    rng = np.random.default_rng(seed)
    similarity = rng.uniform(-1, 1, (N, C)).astype(dtype)
    similarity[:, rng.random(C) < 0.25] = np.nan
    threshold = np.where(np.isnan(similarity[0]), np.nan, rng.uniform(-1, 1, C)).astype(dtype)
    return similarity, threshold, rng.uniform(0, C), rng.random((N, C)) < 0.4


# --- the formulas ----------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**31), N=st.integers(1, 8), C=st.integers(1, 6), gamma=st.sampled_from(GAMMAS))
def test_scores_equal_loops(seed, N, C, gamma):
    similarity, threshold, cardinality, positive = random_case(seed, N, C)
    slci = cardinality_inconsistency(similarity, threshold, cardinality)
    pfd = positive_feature_diversity(similarity, positive)
    slci_loops = slci_by_loops(similarity, threshold, cardinality)
    assert slci == pytest.approx(slci_loops)
    assert pfd == pytest.approx(pfd_by_loops(similarity, positive))
    assert comal_score(slci, pfd, gamma) == pytest.approx(product_by_loops(slci, pfd, gamma))
    expected = product_by_loops(slci_loops, reference_factor_by_loops(similarity, positive), gamma)
    assert reference_score(similarity, threshold, cardinality, positive, gamma) == pytest.approx(expected, rel=1e-9)


@given(seed=st.integers(0, 2**31), N=st.integers(1, 8), C=st.integers(1, 6))
def test_thresholds_equal_loops(seed, N, C):
    similarity = random_case(seed, N, C)[0]
    labels = np.random.default_rng(seed + 1).integers(0, 2, (N, C))
    labels[:, np.isnan(similarity[0])] = 0
    mean = [sum(row[j] for row in similarity) / N for j in range(C)]
    assert mean_threshold(similarity) == pytest.approx(mean, nan_ok=True)
    expected = midrange_by_loops(similarity, labels)
    assert midrange_threshold(similarity, labels) == pytest.approx(expected, nan_ok=True)
    assert midrange_threshold(similarity, labels.astype(bool)) == pytest.approx(expected, nan_ok=True)


def test_midrange_is_not_the_mean_and_sees_positives_only():
    similarity, labels = np.array([[0.1], [0.2], [0.9], [-1.0]]), np.array([[1], [1], [1], [0]])
    assert midrange_threshold(similarity, labels) == pytest.approx([0.5])
    assert mean_threshold(similarity) == pytest.approx([0.05])


def test_by_hand():
    similarity = np.array([[0.9, 0.2, np.nan], [0.4, 0.6, np.nan], [0.5, 0.5, np.nan]])
    positive = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]])
    threshold = np.array([0.5, 0.5, np.nan])
    assert cardinality_inconsistency(similarity, threshold, 1.5) == pytest.approx([0.5, 0.5, 1.5])
    assert positive_feature_diversity(similarity, positive) == pytest.approx([0.1 + 1, 0, 1])
    assert reference_score(similarity, threshold, 1.5, positive, 0.0) == pytest.approx([1 / 1.45, 1e10 / 3, 1 / 1.5])


def test_a_similarity_equal_to_the_threshold_is_not_projected():
    assert cardinality_inconsistency(np.array([[0.5]]), np.array([0.5]), 0.0).tolist() == [0]


def test_a_document_without_predicted_label_is_last_for_the_paper_and_first_for_the_reference():
    similarity, threshold = np.array([[0.1, 0.3], [0.2, -0.9], [0.6, 0.7]]), np.array([0.0, 0.0])
    positive = np.array([[True, False], [False, False], [True, True]])
    slci = cardinality_inconsistency(similarity, threshold, 0.5)
    assert np.argmin(comal_score(slci, positive_feature_diversity(similarity, positive))) == 1
    assert np.argmax(reference_score(similarity, threshold, 0.5, positive)) == 1


def test_gamma_one_is_slci_and_gamma_zero_is_pfd_zeros_included():
    slci, pfd = np.array([0.0, 2.0, 3.0, 0.0]), np.array([0.0, 0.0, 0.7, 0.2])
    assert comal_score(slci, pfd, 1.0).tolist() == slci.tolist()
    assert comal_score(slci, pfd, 0.0).tolist() == pfd.tolist()
    assert comal_score(slci, pfd).tolist() == comal_score(slci, pfd, 0.5).tolist()


@pytest.mark.parametrize("case", range(len(GOLDEN)))
def test_golden_reference_ranking(case):
    golden = GOLDEN[case]
    n_labeled, labels = golden["n_labeled"], np.array(golden["labels"])
    similarity = np.einsum("ncz,cz->nc", np.array(golden["latent"]), np.array(golden["prototypes"]))
    labeled = slice(0, n_labeled)
    unlabeled = slice(n_labeled, None)
    score = reference_score(
        similarity[unlabeled],
        midrange_threshold(similarity[labeled], labels[labeled]),
        labels[labeled].sum(axis=1).mean(),
        np.array(golden["classifier_logits"])[unlabeled] >= 0,
    )
    assert len(set(score)) == len(score)  # no ties: the order is unique
    assert (np.argsort(-score) + n_labeled).tolist() == golden["ranking"]


# --- invariances and robustness --------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**31), gamma=st.sampled_from(GAMMAS))
def test_order_of_labels_does_not_matter_and_rows_are_independent(seed, gamma):
    similarity, threshold, cardinality, positive = random_case(seed)
    rng = np.random.default_rng(seed + 1)
    rows, columns = rng.permutation(similarity.shape[0]), rng.permutation(similarity.shape[1])

    def scores(k, bar, judged):
        slci = cardinality_inconsistency(k, bar, cardinality)
        paper = comal_score(slci, positive_feature_diversity(k, judged), gamma)
        return np.stack([paper, reference_score(k, bar, cardinality, judged, gamma)])

    expected = scores(similarity, threshold, positive)
    permuted = scores(similarity[:, columns], threshold[columns], positive[:, columns])
    np.testing.assert_allclose(permuted, expected, rtol=1e-12)
    np.testing.assert_array_equal(scores(similarity[rows], threshold, positive[rows]), expected[:, rows])
    one_by_one = [scores(similarity[[i]], threshold, positive[[i]]) for i in range(len(similarity))]
    np.testing.assert_allclose(np.concatenate(one_by_one, axis=1), expected, rtol=1e-12)


@given(seed=st.integers(0, 2**31))
def test_float32_similarity_and_number_labels_agree_with_float64(seed):
    similarity, threshold, cardinality, positive = random_case(seed, dtype=np.float32)
    exact = positive_feature_diversity(similarity.astype(np.float64), positive)
    for judged in (positive, positive.astype(np.int64), positive.astype(np.float32)):
        assert positive_feature_diversity(similarity, judged) == pytest.approx(exact, rel=1e-5, abs=1e-6)
        assert np.isfinite(reference_score(similarity, threshold, cardinality, judged)).all()


def test_no_label_has_a_prototype():
    similarity, threshold = np.full((2, 3), np.nan), np.full(3, np.nan)
    positive = np.array([[1, 0, 1], [0, 0, 0]])
    assert mean_threshold(similarity) == pytest.approx(threshold, nan_ok=True)
    assert midrange_threshold(similarity, np.zeros((2, 3))) == pytest.approx(threshold, nan_ok=True)
    assert cardinality_inconsistency(similarity, threshold, 1.25).tolist() == [1.25, 1.25]
    assert positive_feature_diversity(similarity, positive).tolist() == [2, 0]


def test_inputs_are_not_changed():
    similarity, threshold, cardinality, positive = random_case(3)
    before = similarity.copy(), threshold.copy(), positive.copy()
    labels = np.where(np.isnan(similarity), False, positive)
    mean_threshold(similarity)
    midrange_threshold(similarity, labels)
    reference_score(similarity, threshold, cardinality, positive)
    slci = cardinality_inconsistency(similarity, threshold, cardinality)
    pfd = positive_feature_diversity(similarity, positive)
    factors = slci.copy(), pfd.copy()
    comal_score(slci, pfd)
    for now, then in zip((similarity, threshold, positive, slci, pfd), (*before, *factors), strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("gamma", [-0.1, 1.1, math.nan, math.inf])
def test_gamma_outside_the_unit_interval_is_an_error_that_names_it(gamma):
    message = rf"gamma.*\[0, 1\].*got {gamma}"
    with pytest.raises(ValueError, match=message):
        comal_score(np.ones(2), np.ones(2), gamma)
    with pytest.raises(ValueError, match=message):
        reference_score(np.ones((2, 1)), np.ones(1), 1.0, np.ones((2, 1)), gamma)

"""P@k, nDCG@k and F1 against plain loops and scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from small_text_comal.metrics import macro_f1, micro_f1, ndcg_at_k, precision_at_k


def best_labels(scores, k):
    return sorted(range(len(scores)), key=lambda j: scores[j], reverse=True)[:k]


def precision_by_loops(y_true, y_score, k):
    return sum(
        sum(truth[j] for j in best_labels(scores, k)) / k for truth, scores in zip(y_true, y_score, strict=True)
    ) / len(y_true)


def ndcg_by_loops(y_true, y_score, k):
    total = 0.0
    for truth, scores in zip(y_true, y_score, strict=True):
        gain = sum(truth[j] / math.log2(rank + 2) for rank, j in enumerate(best_labels(scores, k)))
        ideal = sum(1 / math.log2(rank + 2) for rank in range(min(k, sum(truth))))
        total += gain / ideal if ideal else 0.0
    return total / len(y_true)


def f1_by_loops(pairs):
    """F1 of (truth, prediction) pairs, 0 where nothing is positive."""
    hits = sum(1 for truth, predicted in pairs if truth and predicted)
    positives = sum(1 for truth, predicted in pairs for value in (truth, predicted) if value)
    return 2 * hits / positives if positives else 0.0


def random_case(seed, N=7, C=5):
    rng = np.random.default_rng(seed)
    y_score = rng.permuted(np.tile(np.linspace(-1, 1, C), (N, 1)), axis=1)  # no ties
    return (rng.random((N, C)) < 0.35).astype(int), y_score


@given(seed=st.integers(0, 2**31), N=st.integers(1, 8), C=st.integers(1, 6), data=st.data())
def test_ranking_metrics_equal_loops(seed, N, C, data):
    y_true, y_score = random_case(seed, N, C)
    k = data.draw(st.integers(1, C))
    truth, scores = y_true.tolist(), y_score.tolist()
    assert precision_at_k(y_true, y_score, k) == pytest.approx(precision_by_loops(truth, scores, k))
    assert ndcg_at_k(y_true, y_score, k) == pytest.approx(ndcg_by_loops(truth, scores, k))
    assert ndcg_at_k(y_true.astype(bool), y_score, k) == ndcg_at_k(y_true, y_score, k)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_ndcg_equals_scikit_learn(seed, k):
    y_true, y_score = random_case(seed, N=30)
    assert ndcg_at_k(y_true, y_score, k) == pytest.approx(ndcg_score(y_true, y_score, k=k, ignore_ties=True))


def test_by_hand():
    y_true, y_score = np.array([[1, 0, 0, 1]]), np.array([[0.9, 0.8, 0.7, 0.1]])
    assert [precision_at_k(y_true, y_score, k) for k in (1, 2, 3, 4)] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 2])
    ideal = 1 + 1 / math.log2(3)
    assert ndcg_at_k(y_true, y_score, 1) == 1
    assert ndcg_at_k(y_true, y_score, 3) == pytest.approx(1 / ideal)
    assert ndcg_at_k(y_true, y_score, 4) == pytest.approx((1 + 1 / math.log2(5)) / ideal)


def test_fewer_labels_than_k_cap_precision_but_not_ndcg():
    y_true, y_score = np.array([[1, 0, 0]]), np.array([[0.9, 0.2, 0.1]])
    assert precision_at_k(y_true, y_score, 3) == pytest.approx(1 / 3)
    assert ndcg_at_k(y_true, y_score, 3) == 1


def test_a_document_without_labels_scores_zero_and_counts_in_the_mean():
    y_true, y_score = np.array([[1, 0], [0, 0]]), np.array([[0.9, 0.1], [0.9, 0.1]])
    assert precision_at_k(y_true, y_score, 1) == 0.5
    assert ndcg_at_k(y_true, y_score, 1) == 0.5
    assert precision_at_k(y_true[1:], y_score[1:], 2) == 0
    assert ndcg_at_k(y_true[1:], y_score[1:], 2) == 0


@given(seed=st.integers(0, 2**31), k=st.integers(1, 5))
def test_only_the_order_of_the_scores_matters(seed, k):
    y_true, y_score = random_case(seed)
    rng = np.random.default_rng(seed + 1)
    rows, columns = rng.permutation(y_true.shape[0]), rng.permutation(y_true.shape[1])
    for metric in (precision_at_k, ndcg_at_k):
        expected = metric(y_true, y_score, k)
        assert metric(y_true[rows], y_score[rows], k) == pytest.approx(expected)
        assert metric(y_true[:, columns], y_score[:, columns], k) == pytest.approx(expected)
        assert metric(y_true, np.exp(3 * y_score) - 7, k) == pytest.approx(expected)
        assert 0 <= expected <= 1


@pytest.mark.parametrize("metric", [precision_at_k, ndcg_at_k])
class TestBadInput:
    @pytest.mark.parametrize("k", [0, -1, 4])
    def test_k_outside_the_number_of_labels_names_it(self, metric, k):
        with pytest.raises(ValueError, match=rf"C = 3.*{k}"):
            metric(np.ones((2, 3)), np.ones((2, 3)), k)

    def test_shapes_that_differ_are_named(self, metric):
        with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
            metric(np.ones((2, 3)), np.ones((2, 4)), 1)

    def test_no_documents(self, metric):
        with pytest.raises(ValueError, match="document"):
            metric(np.ones((0, 3)), np.ones((0, 3)), 1)


@given(seed=st.integers(0, 2**31), N=st.integers(1, 8), C=st.integers(1, 5))
def test_f1_equals_loops(seed, N, C):
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.integers(0, 2, (N, C)), rng.integers(0, 2, (N, C))
    columns = [list(zip(y_true[:, j], y_pred[:, j], strict=True)) for j in range(C)]
    assert micro_f1(y_true, y_pred) == pytest.approx(f1_by_loops([pair for column in columns for pair in column]))
    assert macro_f1(y_true, y_pred) == pytest.approx(sum(f1_by_loops(column) for column in columns) / C)


def test_f1_without_any_positive_is_zero():
    nothing = np.zeros((4, 3), dtype=int)
    assert micro_f1(nothing, nothing) == 0
    assert macro_f1(nothing, nothing) == 0

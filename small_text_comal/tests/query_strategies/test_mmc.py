"""MMC against plain loops."""

import doctest

import numpy as np
import pytest
from pool_fakes import random_pool
from sklearn.linear_model import LogisticRegression

from small_text_comal.query_strategies import mmc
from small_text_comal.query_strategies.mmc import MMC, loss_reduction, predicted_label_counts


def loss_reduction_by_loops(probabilities, counts):
    scores = []
    for p, count in zip(probabilities, counts, strict=True):
        likely = sorted(range(len(p)), key=lambda j, p=p: -p[j])[:count]
        scores.append(sum((1 - (1 if j in likely else -1) * (2 * p[j] - 1)) / 2 for j in range(len(p))))
    return scores


def shares_by_loops(probabilities):
    rows = []
    for p in probabilities:
        ranked = sorted((float(x) for x in p), reverse=True)
        total = sum(ranked)
        rows.append([x / total if total > 0 else 1 / len(ranked) for x in ranked])
    return rows


def test_docstring_examples():
    assert doctest.testmod(mmc).failed == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("N", "C"), [(1, 1), (7, 2), (20, 6)])
@pytest.mark.parametrize("decimals", [1, 9], ids=["ties", "no ties"])
def test_loss_reduction_equals_loops(seed, N, C, decimals):
    rng = np.random.default_rng(seed)
    probabilities = rng.random((N, C)).round(decimals)
    counts = rng.integers(0, C + 1, N)
    expected = loss_reduction_by_loops(probabilities.tolist(), counts)
    np.testing.assert_allclose(loss_reduction(probabilities, counts), expected, rtol=1e-12, atol=1e-12)


def test_the_order_of_the_labels_does_not_matter():
    probabilities, counts = np.random.default_rng(0).random((9, 5)), np.arange(9) % 6
    np.testing.assert_allclose(loss_reduction(probabilities[:, ::-1], counts), loss_reduction(probabilities, counts))


@pytest.mark.parametrize("seed", range(3))
def test_the_count_model_sees_sorted_shares(seed):
    rng = np.random.default_rng(seed)
    labeled, unlabeled = rng.random((40, 4)), rng.random((15, 4))
    labeled[0], unlabeled[0] = 0, 0
    counts = rng.integers(0, 4, 40)
    model = LogisticRegression(max_iter=1000).fit(shares_by_loops(labeled), counts)
    assert (
        predicted_label_counts(labeled, counts, unlabeled).tolist()
        == model.predict(shares_by_loops(unlabeled)).tolist()
    )


def test_the_count_model_finds_counts_zero_included():
    sure, even, none = [1.0, 0.0, 0.0], [0.9, 0.9, 0.0], [0.3, 0.3, 0.3]
    labeled, counts = np.array([sure, even, none] * 60), np.array([1, 2, 0] * 60)
    assert predicted_label_counts(labeled, counts, np.array([none, sure, even])).tolist() == [0, 1, 2]


def test_one_observed_count_is_predicted_as_it_is():
    assert predicted_label_counts(np.ones((3, 2)), np.array([2, 2, 2]), np.zeros((4, 2))).tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("seed", range(3))
def test_query_takes_the_largest_scores(seed):
    pool = random_pool(seed=seed)
    p = pool.clf.probabilities.astype(float)
    counts = pool.labels.sum(axis=1)
    model = LogisticRegression(max_iter=1000).fit(shares_by_loops(p[pool.indices_labeled]), counts)
    predicted = model.predict(shares_by_loops(p[pool.indices_unlabeled]))
    expected = np.array(loss_reduction_by_loops(p[pool.indices_unlabeled].tolist(), predicted))
    strategy = MMC(seed=0)
    queried = pool.query(strategy, 5)
    assert queried.tolist() == pool.indices_unlabeled[np.argsort(-expected)[:5]].tolist()
    np.testing.assert_allclose(strategy.last_scores, expected, rtol=1e-6)

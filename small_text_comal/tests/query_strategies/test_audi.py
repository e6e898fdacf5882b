"""AUDI against plain loops, and its head on labels that can be ranked."""

import doctest

import numpy as np
import pytest
import torch
from pool_fakes import ArrayClassifier, Pool, random_pool

from small_text_comal.query_strategies import audi
from small_text_comal.query_strategies.audi import (
    AUDI,
    dummy_ranking_loss,
    inconsistency_and_doubt,
    most_inconsistent,
)
from small_text_comal.query_strategies.head_training import HeadOptions, train_head


def ranking_by_loops(scores, cardinality):
    """Pairs of inconsistency and doubt."""
    rows = []
    for *labels, dummy in scores:
        above = sum(score > dummy for score in labels)
        rows.append((abs(above - cardinality), min(abs(score - dummy) for score in labels)))
    return rows


def loss_by_loops(scores, labels):
    terms = []
    for (*of_labels, dummy), y in zip(scores, labels, strict=True):
        for score, positive in zip(of_labels, y, strict=True):
            upper, lower = (score, dummy) if positive else (dummy, score)
            terms.append(max(0.0, 1 - (upper - lower)))
    return sum(terms) / len(terms)


def test_docstring_examples():
    assert doctest.testmod(audi).failed == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("N", "C"), [(1, 1), (9, 2), (20, 5)])
@pytest.mark.parametrize("decimals", [0, 9], ids=["ties", "no ties"])
def test_ranking_and_loss_equal_loops(seed, N, C, decimals):
    rng = np.random.default_rng(seed)
    scores, labels = rng.normal(size=(N, C + 1)).round(decimals), rng.integers(0, 2, (N, C))
    cardinality = labels.mean() * C
    inconsistency, doubt = inconsistency_and_doubt(scores, cardinality)
    expected = ranking_by_loops(scores.tolist(), cardinality)
    np.testing.assert_allclose(np.stack([inconsistency, doubt], axis=1), expected)
    loss = dummy_ranking_loss(torch.tensor(scores), torch.tensor(labels))
    assert float(loss) == pytest.approx(loss_by_loops(scores.tolist(), labels.tolist()))


@pytest.mark.parametrize("seed", range(4))
def test_queries_by_inconsistency_then_by_doubt(seed):
    scores = np.random.default_rng(seed).normal(size=(25, 4)).round(1)
    ranking = inconsistency_and_doubt(scores, 1.5)
    taken = most_inconsistent(ranking, 12, rng=np.random.default_rng(seed))
    keys = [(-inconsistency, doubt) for inconsistency, doubt in zip(*ranking, strict=True)]
    assert [keys[i] for i in taken] == sorted(keys)[:12]
    assert len(set(taken.tolist())) == 12


def test_equal_documents_are_ordered_by_the_generator():
    ranking = inconsistency_and_doubt(np.zeros((5, 3)), 1.0)
    first = {int(most_inconsistent(ranking, 1, rng=np.random.default_rng(seed))[0]) for seed in range(50)}
    assert first == set(range(5))


def test_the_head_puts_the_dummy_between_positives_and_negatives():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 4))
    labels = features[:, :3] > 0.3
    head = train_head(features, labels, dummy_ranking_loss, 4, rng=rng, options=HeadOptions())
    scores = head(features)
    assert ((scores[:, :-1] > scores[:, -1:]) == labels).mean() > 0.95


def test_query_prefers_documents_with_unusually_many_labels():
    # Feature j tells label j; one and a half labels a document on average, so that three are unusual.
    labels = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)] * 5)
    unlabeled = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 1]])
    features = np.vstack([unlabeled, labels]).astype(np.float32)
    pool = Pool(ArrayClassifier(np.full((44, 3), 0.5), features), labels, unlabeled=4)
    strategy = AUDI(seed=0)
    assert pool.query(strategy, 1).tolist() == [3]
    assert strategy.last_scores.tolist() == [1.5, 0.5, 0.5, 0.5]


def test_score_and_query_agree():
    pool = random_pool(seed=0)
    scores = AUDI(seed=1).score(*pool.arguments())
    strategy = AUDI(seed=1)
    queried = pool.query(strategy, 5)
    np.testing.assert_array_equal(strategy.last_scores, scores)
    assert min(scores[::-1][queried]) >= np.sort(scores)[-5]

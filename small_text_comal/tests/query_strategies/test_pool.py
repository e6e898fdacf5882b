"""What a strategy sees of a query, and that cuts other than 0.5 move what it asks for."""

import numpy as np
import pytest
from pool_fakes import random_pool

from small_text_comal.method.thresholds import centred
from small_text_comal.query_strategies import besra
from small_text_comal.query_strategies.pool import Pool
from small_text_comal.query_strategies.registry import make_strategy


def seen(pool):
    return Pool(pool.clf, pool.dataset, pool.indices_unlabeled, pool.indices_labeled, pool.labels, strategy="Test")


def odds(p):
    return p / (1 - p)


def test_without_cuts_of_its_own_a_classifier_cuts_at_one_half():
    pool = seen(random_pool(seed=0))
    np.testing.assert_array_equal(pool.thresholds, np.full(4, 0.5))
    np.testing.assert_allclose(pool.centred, pool.probabilities, rtol=1e-12)


def test_centred_probabilities_are_those_of_odds_divided_by_the_cuts_odds():
    fake = random_pool(seed=0)
    fake.clf.thresholds = np.array([0.1, 0.3, 0.5, 0.9], dtype=np.float32)
    pool = seen(fake)
    np.testing.assert_allclose(odds(pool.centred), odds(pool.probabilities) / odds(pool.thresholds), rtol=1e-4)
    np.testing.assert_array_equal(pool.centred >= 0.5, pool.probabilities >= pool.thresholds)


def test_quantities_are_computed_once_a_query():
    fake = random_pool(seed=0)
    pool, calls = seen(fake), []
    read = fake.clf.features
    fake.clf.features = lambda dataset: calls.append(len(dataset)) or read(dataset)
    for _ in range(2):
        assert pool.features.shape == (30, 5)
        assert pool.labeled_features.shape == (12, 5)
    assert calls == [30, 12]


@pytest.mark.parametrize("name", ["MMC", "Adaptive", "MultiLabelBADGE", "CVIRS"])
def test_strategies_that_ask_which_labels_are_positive_ask_from_the_cuts(name):
    fake = random_pool(seed=1)
    at_one_half = fake.query(make_strategy(name, seed=0), 10).tolist()
    # moved probabilities, and cuts moved along: to a strategy that asks from the cuts nothing has changed
    cuts = np.array([0.2, 0.4, 0.6, 0.8])
    moved = odds(fake.clf.probabilities.astype(float)) * odds(cuts)
    fake.clf.probabilities = moved / (1 + moved)
    moved_without_cuts = fake.query(make_strategy(name, seed=0), 10).tolist()
    fake.clf.thresholds = cuts
    assert fake.query(make_strategy(name, seed=0), 10).tolist() == at_one_half
    assert moved_without_cuts != at_one_half


def test_besra_weighs_opinions_from_the_cuts(monkeypatch):
    fake, given = random_pool(seed=1), []
    fake.clf.thresholds = np.array([0.2, 0.4, 0.6, 0.8])
    gain = besra.expected_score_gain
    monkeypatch.setattr(
        besra, "expected_score_gain", lambda p, *args, **kwargs: given.append(p) or gain(p, *args, **kwargs)
    )
    strategy = make_strategy("BESRA", seed=0, samples=3)
    fake.query(strategy, 5)
    seed = int(np.random.default_rng(0).integers(2**31))
    opinions = fake.clf.sampled_probabilities(fake.dataset[fake.indices_unlabeled], 3, seed=seed)
    np.testing.assert_allclose(given[0], centred(opinions, fake.clf.thresholds))

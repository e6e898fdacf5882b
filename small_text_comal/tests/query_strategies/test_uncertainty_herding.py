"""Uncertainty Herding and MaxHerding: their uncertainties by hand, and what they hand on to the herd."""

import doctest
import itertools
import math

import numpy as np
import pytest
from pool_fakes import ProbabilityClassifier, random_pool

from small_text_comal.method.herding import herd
from small_text_comal.query_strategies import uncertainty_herding
from small_text_comal.query_strategies.max_herding import MaxHerding
from small_text_comal.query_strategies.uncertainty_herding import UNCERTAINTIES, UncertaintyHerding


def uncertainty_by_hand(name, q):
    if name == "entropy":
        return sum(-x * math.log(x) for p in q for x in (p, 1 - p) if x > 0)
    if name == "least_confidence":
        return 2 * max(min(p, 1 - p) for p in q)
    of_sets = [math.prod(1 - p for p in q)]
    for size in range(1, len(q) + 1):
        of_sets += [2 * sum(chosen) / (size + sum(q)) for chosen in itertools.combinations(q, size)]
    return 1 - max(of_sets)


def centred_by_hand(pool):
    p, t = pool.clf.probabilities[pool.indices_unlabeled].astype(float), pool.clf.thresholds.astype(float)
    odds = p / (1 - p) * (1 - t) / t
    return odds / (1 + odds)


def pool_with_cuts(seed=0):
    pool = random_pool(seed=seed)
    pool.clf.probabilities = pool.clf.probabilities.clip(0.01, 0.99)
    pool.clf.thresholds = np.array([0.2, 0.5, 0.7, 0.1], dtype=np.float32)
    return pool


def herd_by_hand(pool, uncertainty, n, seed):
    features, labeled = pool.clf.vectors[pool.indices_unlabeled], pool.clf.vectors[pool.indices_labeled]
    return pool.indices_unlabeled[herd(features, labeled, uncertainty, n, rng=np.random.default_rng(seed))].tolist()


def test_docstring_examples():
    assert doctest.testmod(uncertainty_herding).failed == 0


@pytest.mark.parametrize("name", UNCERTAINTIES)
def test_uncertainties_equal_their_definitions(name):
    q = np.random.default_rng(0).random((20, 5))
    q[:2] = q[:2].round()
    q[2] = 0
    q[3] = 0.5
    found = UNCERTAINTIES[name](q, np.zeros((1, 5)))
    assert found == pytest.approx([uncertainty_by_hand(name, row) for row in q.tolist()])
    assert (found[:3] == 0).all()  # nothing is certain to be wrong
    assert (found >= 0).all()


@pytest.mark.parametrize("name", UNCERTAINTIES)
def test_probabilities_are_seen_from_the_cuts(name):
    pool = pool_with_cuts()
    uncertainty = [uncertainty_by_hand(name, row) for row in centred_by_hand(pool).tolist()]
    queried = pool.query(UncertaintyHerding(uncertainty=name, seed=4), 8).tolist()
    assert queried == herd_by_hand(pool, np.array(uncertainty), 8, seed=4)


def test_without_cuts_of_its_own_a_classifier_is_cut_at_one_half():
    pool = pool_with_cuts()
    del pool.clf.thresholds
    p = pool.clf.probabilities[pool.indices_unlabeled]
    uncertainty = np.array([uncertainty_by_hand("entropy", row) for row in p.tolist()])
    assert pool.query(UncertaintyHerding(seed=0), 8).tolist() == herd_by_hand(pool, uncertainty, 8, seed=0)


def test_a_function_gets_centred_probabilities_and_labels():
    pool, seen = pool_with_cuts(), []

    def first_label(q, labels):
        seen.append((q, labels))
        return q[:, 0]

    queried = pool.query(UncertaintyHerding(uncertainty=first_label, seed=1), 5).tolist()
    np.testing.assert_allclose(seen[0][0], centred_by_hand(pool), rtol=1e-5)
    np.testing.assert_array_equal(seen[0][1], pool.labels)
    assert queried == herd_by_hand(pool, seen[0][0][:, 0], 5, seed=1)


@pytest.mark.parametrize(
    ("uncertainty", "message"),
    [
        (lambda q, labels: -q[:, 0], "uncertainty: expected finite numbers >= 0"),
        (lambda q, labels: q[:, 0] / 0 * np.nan, "uncertainty: expected finite numbers >= 0"),
        (lambda q, labels: q, r"expected an uncertainty of each of the 30 documents, got \(30, 4\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_function_that_gives_something_else(uncertainty, message):
    with pytest.raises(ValueError, match=message):
        pool_with_cuts().query(UncertaintyHerding(uncertainty=uncertainty), 3)


def test_an_unknown_uncertainty():
    with pytest.raises(
        ValueError, match=r"uncertainty: expected one of \('entropy', .*\) or a function .*got 'margin'"
    ):
        UncertaintyHerding(uncertainty="margin")


def test_max_herding_looks_at_features_only():
    pool = pool_with_cuts()
    expected = herd_by_hand(pool, np.ones(30), 8, seed=2)
    pool.clf.label_probabilities = None
    assert pool.query(MaxHerding(seed=2), 8).tolist() == expected


class EmbeddingClassifier(ProbabilityClassifier):
    """As small-text's own classifiers: `embed` instead of `features`, with a progress bar on 1.x."""

    def __init__(self, probabilities, vectors):
        super().__init__(probabilities)
        self.vectors = vectors
        self.bars = []

    def embed(self, dataset, return_proba=False, pbar="tqdm"):
        self.bars.append(pbar)
        return self.vectors[dataset.documents].astype(np.float64)


@pytest.mark.parametrize("strategy", [MaxHerding, UncertaintyHerding])
def test_embeddings_stand_in_for_features(strategy):
    pool = random_pool(seed=3)
    expected = pool.query(strategy(seed=0), 6).tolist()
    pool.clf = EmbeddingClassifier(pool.clf.probabilities, pool.clf.vectors)
    assert pool.query(strategy(seed=0), 6).tolist() == expected
    assert pool.clf.bars == [None, None]
    pool.clf.features = lambda dataset: -pool.clf.vectors[dataset.documents][:, ::-1] + 1  # its own come first
    assert pool.query(strategy(seed=0), 6).tolist() != expected
    assert len(pool.clf.bars) == 2


def test_what_cannot_embed_says_so():
    pool = random_pool(seed=3)
    pool.clf = EmbeddingClassifier(pool.clf.probabilities, pool.clf.vectors)

    def refuse(dataset):
        raise NotImplementedError

    pool.clf.embed = refuse
    with pytest.raises(ValueError, match="EmbeddingClassifier gives no embeddings on this release"):
        pool.query(MaxHerding(), 3)

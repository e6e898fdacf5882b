"""What every baseline must bear: degenerate pools, poor classifiers, and no trace left behind."""

import copy

import numpy as np
import pytest
import torch
from pool_fakes import ArrayClassifier, Pool, ProbabilityClassifier, random_pool
from scipy.sparse import csr_matrix

from small_text_comal.query_strategies.head_training import HeadOptions
from small_text_comal.query_strategies.registry import make_strategy, strategy_names

# Trained briefly where the training itself is not the question.
SHORT = {name: {"head": HeadOptions(hidden_size=8, steps=20)} for name in ("AUDI", "LearningLoss")}
BASELINES = [name for name in strategy_names() if name != "CoMAL"]
NEED_PROBABILITIES_ONLY = ["MMC", "Adaptive", "CVIRS"]
N, L, C, D = 12, 6, 3, 4


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.random((N + L, C)).astype(np.float32)
    return probabilities, rng.normal(size=(N + L, D)).astype(np.float32), rng.random((L, C)) < 0.5


def pool_of(probabilities, features, labels):
    return Pool(ArrayClassifier(probabilities, features), labels, unlabeled=N)


def one_label():
    probabilities, features, labels = arrays()
    return pool_of(probabilities[:, :1], features, labels[:, :1])


def labels_without_positives():
    probabilities, features, labels = arrays()
    labels[:, 1] = False
    return pool_of(probabilities, features, labels)


def labels_without_negatives():
    probabilities, features, labels = arrays()
    labels[:, 1] = True
    return pool_of(probabilities, features, labels)


def documents_without_labels():
    probabilities, features, labels = arrays()
    return pool_of(probabilities, features, np.zeros_like(labels))


def identical_documents():
    probabilities, features, labels = arrays()
    pool = pool_of(np.repeat(probabilities[:1], N + L, axis=0), np.repeat(features[:1], N + L, axis=0), labels)
    pool.clf.noise = 0.0
    return pool


def sure_probabilities():
    probabilities, features, labels = arrays()
    pool = pool_of(probabilities.round(), features, labels)
    pool.clf.noise = 5.0
    return pool


def all_zero_probabilities():
    probabilities, features, labels = arrays()
    pool = pool_of(np.zeros_like(probabilities), features, labels)
    pool.clf.noise = 0.0
    return pool


def one_labeled_document():
    probabilities, features, labels = arrays()
    return pool_of(probabilities[: N + 1], features[: N + 1], labels[:1])


def features_without_variance():
    probabilities, features, labels = arrays()
    return pool_of(probabilities, np.full_like(features, 0.1), labels)


def one_unlabeled_document():
    pool = random_pool(seed=0)
    pool.indices_unlabeled = pool.indices_unlabeled[:1]
    return pool


POOLS = [
    one_label,
    labels_without_positives,
    labels_without_negatives,
    documents_without_labels,
    identical_documents,
    sure_probabilities,
    all_zero_probabilities,
    one_labeled_document,
    features_without_variance,
    one_unlabeled_document,
]


@pytest.mark.parametrize("make_pool", POOLS, ids=lambda make_pool: make_pool.__name__)
@pytest.mark.parametrize("name", BASELINES)
def test_degenerate_pools_give_a_valid_query_without_warnings(name, make_pool):
    pool = make_pool()
    for n in {1, min(5, len(pool.indices_unlabeled)), len(pool.indices_unlabeled)}:
        strategy = make_strategy(name, seed=1, **SHORT.get(name, {}))
        queried = pool.query(strategy, n)
        assert len(set(queried.tolist())) == n
        assert set(queried.tolist()) <= set(pool.indices_unlabeled.tolist())
        scores = getattr(strategy, "last_scores", None)
        assert scores is None or np.isfinite(scores).all()


@pytest.mark.parametrize("name", BASELINES)
def test_identical_documents_are_queried_at_random(name):
    options = SHORT.get(name, {})
    queried = [identical_documents().query(make_strategy(name, seed=seed, **options), 3) for seed in range(6)]
    assert len({tuple(indices) for indices in queried}) > 1


@pytest.mark.parametrize("name", BASELINES)
def test_same_seed_same_query_and_nothing_is_changed(name):
    pool = random_pool(seed=2, ties=True)
    before = copy.deepcopy(vars(pool.clf)), [np.copy(a) for a in (pool.indices_unlabeled, pool.indices_labeled)]
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    options = SHORT.get(name, {})
    first = pool.query(make_strategy(name, seed=7, **options), 6)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    for attribute, value in before[0].items():
        np.testing.assert_array_equal(getattr(pool.clf, attribute), value)
    for now, then in zip((pool.indices_unlabeled, pool.indices_labeled), before[1], strict=True):
        np.testing.assert_array_equal(now, then)
    torch.manual_seed(99)
    assert pool.query(make_strategy(name, seed=7, **options), 6).tolist() == first.tolist()
    assert pool.query(make_strategy(name, seed=np.random.default_rng(7), **options), 6).tolist() == first.tolist()


@pytest.mark.parametrize("name", BASELINES)
def test_read_only_arrays_are_enough(name):
    pool = random_pool(seed=3)
    for array in (pool.clf.probabilities, pool.clf.vectors, pool.indices_unlabeled, pool.indices_labeled):
        array.setflags(write=False)
    assert len(pool.query(make_strategy(name, seed=0, **SHORT.get(name, {})), 4)) == 4


@pytest.mark.parametrize("name", NEED_PROBABILITIES_ONLY)
def test_probabilities_are_enough(name):
    pool = random_pool(seed=1)
    with_features = pool.query(make_strategy(name, seed=0), 5)
    pool.clf = ProbabilityClassifier(pool.clf.probabilities)
    assert pool.query(make_strategy(name, seed=0), 5).tolist() == with_features.tolist()


@pytest.mark.parametrize("name", sorted(set(BASELINES) - set(NEED_PROBABILITIES_ONLY)))
def test_a_classifier_that_offers_less_is_told_the_way_out(name):
    pool = random_pool(seed=1)
    pool.clf = ProbabilityClassifier(pool.clf.probabilities)
    with pytest.raises(ValueError, match=f"{name} needs .*got ProbabilityClassifier: .*CoMALClassificationFactory"):
        pool.query(make_strategy(name, seed=0), 5)


@pytest.mark.parametrize("name", ["AUDI", "CoreSet", "MultiLabelBADGE", "LearningLoss", "GPB2M", "MaxHerding"])
def test_features_that_are_not_finite_are_refused(name):
    pool = random_pool(seed=1)
    pool.clf.vectors = np.where(np.arange(5) == 0, np.nan, pool.clf.vectors)
    with pytest.raises(ValueError, match="NaN or infinity"):
        pool.query(make_strategy(name, seed=0), 5)


def test_features_of_another_shape_are_refused():
    pool = random_pool(seed=1)
    pool.clf.vectors = pool.clf.vectors[:, 0]
    with pytest.raises(ValueError, match=r"expected features \(30, D\), got \(30,\)"):
        pool.query(make_strategy("CoreSet", seed=0), 5)


def test_passes_of_another_shape_are_refused():
    pool = random_pool(seed=1)
    pool.clf.sampled_probabilities = lambda dataset, samples, seed=None: np.zeros((samples, 3, 4))
    with pytest.raises(ValueError, match=r"expected probabilities \(10, 30, C\), got \(10, 3, 4\)"):
        pool.query(make_strategy("BESRA", seed=0), 5)


@pytest.mark.parametrize("name", BASELINES)
def test_labels_outside_the_classifier_are_refused(name):
    pool = random_pool(seed=1)
    pool.y = csr_matrix(np.ones((len(pool.labels), 9), dtype=np.int64))
    with pytest.raises(ValueError, match="lies outside the classifier's 4 classes"):
        pool.query(make_strategy(name, seed=0), 5)

"""One contract for every query strategy of the package; a new strategy is one name in the registry."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from small_text import EmptyPoolException, PoolExhaustedException
from small_text.query_strategies import QueryStrategy
from tiny_host import World, copied_weights, same_weights

from small_text_comal import CoMAL, WithDenseProbabilities
from small_text_comal.host import ScoringMixin
from small_text_comal.query_strategies.head_training import HeadOptions
from small_text_comal.query_strategies.registry import make_strategy, strategy_names

# Options that make a strategy quick; a strategy that needs none is not listed.
QUICK = {name: {"head": HeadOptions(hidden_size=8, steps=20)} for name in ("AUDI", "LearningLoss")}
STRATEGIES = {name: partial(make_strategy, name, **QUICK.get(name, {})) for name in strategy_names()}
STRATEGIES |= {
    "CoMAL paper": partial(CoMAL, criterion="paper", batch="top"),
    "CoMAL-SLCI": partial(CoMAL, gamma=1),
    "CoMAL-PFD": partial(CoMAL, gamma=0),
    "CoMAL soft": partial(CoMAL, criterion="soft", batch="top"),
    "CoMAL entropy": partial(CoMAL, criterion="entropy", batch="top"),
    "CoMAL soft herding": partial(CoMAL, criterion="soft", batch="herding"),
    "CoMAL entropy herding": partial(CoMAL, criterion="entropy", batch="herding"),
    "UncertaintyHerding expected F1": partial(make_strategy, "UncertaintyHerding", uncertainty="expected_f1"),
    "CoMAL dense": lambda seed: WithDenseProbabilities(CoMAL(seed=seed)),
}
# The others choose documents together, even where a document has a score of its own.
SCORING = {
    name: make
    for name, make in STRATEGIES.items()
    if isinstance(getattr(make(seed=0), "query_strategy", make(seed=0)), ScoringMixin)
    and getattr(make(seed=0), "batch", "top") == "top"
}
every_strategy = pytest.mark.parametrize("make", STRATEGIES.values(), ids=STRATEGIES)


class Pool:
    """What a query is given: the last 20 documents are labeled, and the unlabeled come out of order."""

    def __init__(self, world, clf, *, labeled=20, unlabeled=None):
        n = len(world.dataset)
        self.clf, self.dataset = clf, world.dataset
        self.labeled = np.arange(n - labeled, n)
        self.unlabeled = np.random.default_rng(0).permutation(n - labeled)[:unlabeled]
        self.y = world.y[self.labeled]

    def arguments(self):
        return self.clf, self.dataset, self.unlabeled, self.labeled, self.y

    def query(self, strategy, n):
        return strategy.query(*self.arguments(), n=n)


@pytest.fixture(scope="module")
def pool(world, fitted):
    return Pool(world, fitted)


def snapshot(pool):
    tensors = [tensor.clone() for row in pool.dataset.data for tensor in row[:2]]
    y = pool.y.copy()
    return tensors, pool.unlabeled.copy(), pool.labeled.copy(), y, copied_weights(pool.clf.model)


@every_strategy
@pytest.mark.parametrize("n", [1, 7, 40])
def test_n_distinct_unlabeled_documents(make, n, pool):
    queried = pool.query(make(seed=0), n)
    assert isinstance(queried, np.ndarray)
    assert queried.dtype.kind in "iu"
    assert queried.shape == (n,)
    assert len(set(queried.tolist())) == n
    assert set(queried.tolist()) <= set(pool.unlabeled.tolist())


@every_strategy
def test_same_seed_same_query_whatever_the_global_seeds(make, pool):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = pool.query(make(seed=4), 6).tolist()
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert pool.query(make(seed=4), 6).tolist() == first
    assert pool.query(make(seed=np.random.default_rng(4)), 6).tolist() == first


@every_strategy
def test_nothing_that_is_given_is_changed(make, pool):
    before = snapshot(pool)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    pool.query(make(seed=0), 6)
    after = snapshot(pool)
    assert all(torch.equal(a, b) for a, b in zip(after[0], before[0], strict=True))
    assert after[1].tolist() == before[1].tolist()
    assert after[2].tolist() == before[2].tolist()
    assert (after[3] != before[3]).nnz == 0
    assert same_weights(after[4], before[4])
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


@every_strategy
def test_it_is_a_strategy_of_the_host_with_a_name(make):
    strategy = make(seed=0)
    assert isinstance(strategy, QueryStrategy)
    assert "<" not in str(strategy)


@every_strategy
def test_the_hosts_exceptions(make, pool):
    with pytest.raises(PoolExhaustedException):
        pool.query(make(seed=0), 41)
    with pytest.raises(EmptyPoolException):
        make(seed=0).query(pool.clf, pool.dataset, np.array([], dtype=int), pool.labeled, pool.y, n=1)


@every_strategy
@pytest.mark.parametrize("n", [0, -1])
def test_nothing_asked_for(make, n, pool):
    with pytest.raises(ValueError, match=f"expected n >= 1 documents to query, got n={n}"):
        pool.query(make(seed=0), n)


@every_strategy
def test_bad_labels(make, pool):
    clf, dataset, unlabeled, labeled, y = pool.arguments()
    with pytest.raises(ValueError, match="one row of y for each of the 20 indices_labeled, got 19 rows"):
        make(seed=0).query(clf, dataset, unlabeled, labeled, y[:19], n=3)
    with pytest.raises(ValueError, match="label 6 lies outside the classifier's 4 classes"):
        outside = csr_matrix(np.eye(20, 7, k=-13))
        make(seed=0).query(clf, dataset, unlabeled, labeled, outside, n=3)
    with pytest.raises(ValueError, match="multi-label data"):
        make(seed=0).query(clf, dataset, unlabeled, labeled, np.zeros(20, dtype=int), n=3)
    with pytest.raises(ValueError, match="the labeled pool is empty"):
        make(seed=0).query(clf, dataset, unlabeled, labeled[:0], y[:0], n=3)


@every_strategy
def test_a_query_before_fit(make, world, pool):
    for clf in (None, world.factory().new()):
        with pytest.raises(ValueError, match="needs a trained classifier: call initialize"):
            make(seed=0).query(clf, *pool.arguments()[1:], n=3)


@every_strategy
def test_a_saved_strategy_goes_on_with_the_same_queries(make, pool):
    strategy = make(seed=3)
    pool.query(strategy, 4)
    loaded = pickle.loads(pickle.dumps(strategy))
    assert pool.query(loaded, 4).tolist() == pool.query(strategy, 4).tolist()
    copied = copy.deepcopy(strategy)
    assert pool.query(copied, 4).tolist() == pool.query(strategy, 4).tolist()


@pytest.mark.parametrize("make", SCORING.values(), ids=SCORING)
def test_the_largest_scores_are_queried(make, pool):
    strategy = make(seed=0)
    assert strategy.last_scores is None
    queried = pool.query(strategy, 6)
    scores = strategy.last_scores
    assert scores.shape == (40,)
    by_document = dict(zip(pool.unlabeled.tolist(), scores.tolist(), strict=True))
    wanted = [by_document[index] for index in queried.tolist()]
    assert wanted == sorted(wanted, reverse=True)
    assert min(wanted) >= np.sort(scores)[-6]
    np.testing.assert_allclose(make(seed=0).score(*pool.arguments()), scores, rtol=1e-5)


def test_some_strategies_score():
    assert {"CoMAL soft", "MMC", "CVIRS"} <= set(SCORING) < set(STRATEGIES)


def one_document_left(folder):
    world = World(folder)
    return Pool(world, world.classifier(), unlabeled=1), 1


def pool_smaller_than_a_batch(folder):
    world = World(folder)
    return Pool(world, world.classifier(batch_size=64), unlabeled=5), 5


def duplicated_documents(folder):
    texts = ["filler1 label0word0"] * 30 + ["filler2 label1word0"] * 30
    y = np.repeat([[1, 0, 0, 1], [0, 1, 1, 0]], 30, axis=0)
    world = World(folder, y=y, texts=texts)
    return Pool(world, world.classifier()), 8


def identical_documents(folder):
    world = World(folder, texts=["filler1 label0word0"] * 60)
    return Pool(world, world.classifier()), 8


def documents_without_labels(folder):
    world = World(folder)
    y = world.y.toarray()
    y[::2] = 0
    world = World(folder, texts=world.texts, y=y)
    return Pool(world, world.classifier()), 8


def a_label_without_positives(folder):
    world = World(folder)
    y = world.y.toarray()
    y[:, 2] = 0
    world = World(folder, texts=world.texts, y=y)
    return Pool(world, world.classifier()), 8


def one_label(folder):
    world = World(folder, num_labels=1)
    return Pool(world, world.classifier()), 8


def two_labels(folder):
    world = World(folder, num_labels=2)
    return Pool(world, world.classifier()), 8


def one_labeled_document(folder):
    world = World(folder)
    return Pool(world, world.classifier(), labeled=1), 8


POOLS = [
    one_document_left,
    pool_smaller_than_a_batch,
    duplicated_documents,
    identical_documents,
    documents_without_labels,
    a_label_without_positives,
    one_label,
    two_labels,
    one_labeled_document,
]


@pytest.fixture(scope="module", params=POOLS, ids=lambda make_pool: make_pool.__name__)
def legal_pool(request, tiny_bert_folder):
    return request.param(tiny_bert_folder)


@every_strategy
def test_legal_pools(make, legal_pool):
    pool, n = legal_pool
    strategy = make(seed=0)
    queried = pool.query(strategy, n)
    assert len(set(queried.tolist())) == n
    assert set(queried.tolist()) <= set(pool.unlabeled.tolist())
    scores = getattr(strategy, "last_scores", None)
    assert scores is None or np.isfinite(scores).all()

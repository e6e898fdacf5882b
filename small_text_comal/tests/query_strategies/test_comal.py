"""CoMAL on a label space made of arrays: options, batches and what is said about them."""

import doctest
import pickle

import numpy as np
import pytest
from label_space_fakes import random_space
from pool_fakes import ArrayClassifier, Pool

from small_text_comal.method.criteria import CRITERIA
from small_text_comal.method.herding import herd_in_detail
from small_text_comal.query_strategies import batch, comal, explanation
from small_text_comal.query_strategies.batch import BATCHES
from small_text_comal.query_strategies.comal import CoMAL

N, L, C, D = 30, 8, 5, 4


class BranchClassifier(ArrayClassifier):
    """Knows where each document stands among the labels; labeled documents come last."""

    branch = "trained"

    def __init__(self, space, features, thresholds):
        super().__init__(np.vstack([space.probabilities, np.zeros((L, C))]), features)
        self.space, self.thresholds = space, thresholds

    def label_space(self, pool, labeled, labels, *, branch_probabilities=True):
        rows = pool.documents
        return self.space._replace(
            similarity=self.space.similarity[rows],
            probabilities=self.space.probabilities[rows],
            branch_probabilities=self.space.probabilities[rows][:, ::-1] if branch_probabilities else None,
        )


def branch_pool(seed=0):
    """A pool whose documents have copies, and its label space."""
    space, labels, thresholds = random_space(seed, N, L, C)
    features = np.random.default_rng(seed).normal(size=(N + L, D)).round()
    return Pool(BranchClassifier(space, features, thresholds), labels, unlabeled=N)


def scores_of(pool, criterion, gamma=0.5):
    rows = pool.indices_unlabeled
    space = pool.clf.label_space(pool.dataset[rows], None, None)
    return CRITERIA[criterion].scores(space, pool.labels, pool.clf.thresholds, gamma)


every_criterion = pytest.mark.parametrize("criterion", CRITERIA)
every_batch = pytest.mark.parametrize("how", BATCHES)


@pytest.mark.parametrize("module", [comal, batch, explanation])
def test_docstring_examples(module):
    assert doctest.testmod(module).failed == 0


@every_criterion
def test_top_takes_the_largest_scores(criterion):
    pool, strategy = branch_pool(), CoMAL(criterion=criterion, batch="top", seed=0)
    queried = pool.query(strategy, 6)
    scores = scores_of(pool, criterion).score
    np.testing.assert_array_equal(strategy.last_scores, scores)
    by_index = dict(zip(pool.indices_unlabeled.tolist(), scores.tolist(), strict=True))
    assert [by_index[i] for i in queried.tolist()] == sorted(scores.tolist(), reverse=True)[:6]


@every_criterion
@pytest.mark.parametrize("gamma", [None, 0.0, 1.0])
def test_herding_takes_what_stands_for_the_scores(criterion, gamma):
    if gamma is not None and not CRITERIA[criterion].takes_gamma:
        pytest.skip("has no gamma")
    pool, strategy = branch_pool(), CoMAL(gamma, criterion=criterion, batch="herding", seed=3)
    queried = pool.query(strategy, 6)
    scores = scores_of(pool, criterion, 0.5 if gamma is None else gamma).score
    np.testing.assert_array_equal(strategy.last_scores, scores)  # each document's own
    features, labeled = pool.clf.vectors[pool.indices_unlabeled], pool.clf.vectors[pool.indices_labeled]
    expected = herd_in_detail(features, labeled, scores, 6, rng=np.random.default_rng(3))
    assert queried.tolist() == pool.indices_unlabeled[expected.positions].tolist()
    assert [why.stands_for for why in strategy.last_explanation] == expected.stands_for.tolist()


@every_criterion
def test_score_is_the_documents_own_whatever_the_batch(criterion):
    pool = branch_pool()
    scores = [CoMAL(criterion=criterion, batch=how, seed=0).score(*pool.arguments()) for how in BATCHES]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores_of(pool, criterion).score)


@every_batch
@every_criterion
def test_same_seed_same_query_and_a_saved_strategy_goes_on(criterion, how):
    pool, strategy = branch_pool(), CoMAL(criterion=criterion, batch=how, seed=5)
    first = pool.query(strategy, 7).tolist()
    assert pool.query(CoMAL(criterion=criterion, batch=how, seed=5), 7).tolist() == first
    loaded = pickle.loads(pickle.dumps(strategy))
    assert pool.query(loaded, 7).tolist() == pool.query(strategy, 7).tolist()


def test_top_asks_for_no_features():
    pool = branch_pool()
    pool.clf.features = None
    assert len(pool.query(CoMAL(batch="top", seed=0), 3)) == 3


@pytest.mark.parametrize("how", BATCHES)
@every_criterion
def test_the_explanation_holds_the_documents_numbers(criterion, how):
    pool, strategy = branch_pool(2), CoMAL(criterion=criterion, batch=how, seed=0)
    queried = pool.query(strategy, 5)
    found = scores_of(pool, criterion)
    assert [why.index for why in strategy.last_explanation] == queried.tolist()
    for why in strategy.last_explanation:
        row = pool.indices_unlabeled.tolist().index(why.index)
        assert (why.score, why.slci, why.pfd) == (found.score[row], found.slci[row], found.pfd[row])
        assert why.projected.tolist() == np.flatnonzero(found.projected[row]).tolist()
        assert why.predicted.tolist() == np.flatnonzero(found.positive[row]).tolist()
        np.testing.assert_array_equal(why.similarity, pool.clf.space.similarity[why.index])
        shares = [share for _, share in why.causes]
        assert shares == sorted(shares, reverse=True)
        assert all(share > 0 for share in shares)
        assert len(shares) <= 3


def test_the_causes_are_the_labels_with_the_largest_shares():
    pool, strategy = branch_pool(), CoMAL(criterion="entropy", seed=0)
    pool.query(strategy, 4)
    rows = pool.indices_unlabeled
    space = pool.clf.label_space(pool.dataset[rows], None, None)
    shares = CRITERIA["entropy"].label_shares(space, pool.labels, pool.clf.thresholds)
    for why in strategy.last_explanation:
        of_document = shares[rows.tolist().index(why.index)]
        assert [label for label, _ in why.causes] == np.argsort(-of_document)[:3].tolist()
        assert [share for _, share in why.causes] == pytest.approx(np.sort(of_document)[::-1][:3].tolist())
        assert f"Mostly because of {why.causes[0][0]} ({why.causes[0][1]:.2g})" in str(why)


def test_herding_names_the_nearest_labeled_document():
    pool, strategy = branch_pool(), CoMAL(criterion="soft", batch="herding", seed=0)
    pool.query(strategy, 6)
    vectors = pool.clf.vectors
    for why in strategy.last_explanation:
        v = vectors[why.index]
        cosines = {
            int(i): float(v @ vectors[i] / max(1e-9, np.linalg.norm(v) * np.linalg.norm(vectors[i])))
            for i in pool.indices_labeled
        }
        assert why.nearest_similarity == pytest.approx(max(cosines.values()))
        assert cosines[why.nearest_labeled] == pytest.approx(max(cosines.values()))
        assert f"stands for about {why.stands_for} document" in str(why)
        assert f"nearest labeled document is {why.nearest_labeled} " in str(why)


def test_top_says_nothing_about_a_batch():
    pool, strategy = branch_pool(), CoMAL(batch="top", seed=0)
    pool.query(strategy, 1)
    why = strategy.last_explanation[0]
    assert (why.stands_for, why.nearest_labeled, why.nearest_similarity) == (None, None, None)
    assert "stands for" not in str(why)
    assert str(why).startswith(f"document {why.index}, score ")


def test_gamma_is_a_half_where_there_is_one():
    assert [CoMAL(criterion=name).gamma for name in ("reference", "paper", "soft", "entropy")] == [0.5, 0.5, 0.5, None]
    assert repr(CoMAL(criterion="soft")) == "CoMAL(gamma=0.5, criterion='soft', batch='herding')"
    assert repr(CoMAL(0.3)) == "CoMAL(gamma=0.3, criterion='soft', batch='herding')"
    assert repr(CoMAL()) == "CoMAL(criterion='entropy', batch='herding')"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": 0.3, "criterion": "entropy"}, "gamma: criterion 'entropy' has none, got 0.3: leave it out"),
        ({"gamma": 2, "criterion": "soft"}, r"gamma: expected a number within \[0, 1\], got 2"),
        ({"gamma": "half"}, r"gamma: expected a number within \[0, 1\], got 'half'"),
        ({"criterion": "hard"}, r"criterion: expected one of \('reference', 'paper', 'soft', 'entropy'\), got 'hard'"),
        ({"batch": "best"}, r"batch: expected one of \('herding', 'top'\), got 'best'"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        CoMAL(**options)


def test_herding_needs_features():
    pool = branch_pool()
    pool.clf.features = None
    with pytest.raises(ValueError, match="CoMAL needs a classifier with feature vectors, got BranchClassifier"):
        pool.query(CoMAL(batch="herding"), 3)


def test_no_uncertain_document_is_a_batch_all_the_same():
    pool = branch_pool()
    pool.clf.space = pool.clf.space._replace(similarity=np.full((N, C), np.nan))
    pool.clf.space = pool.clf.space._replace(labeled_similarity=np.full((L, C), np.nan))
    for how in BATCHES:
        strategy = CoMAL(criterion="entropy", batch=how, seed=0)
        assert len(set(pool.query(strategy, 9).tolist())) == 9
        assert all(why.causes == () and "because" not in str(why) for why in strategy.last_explanation)

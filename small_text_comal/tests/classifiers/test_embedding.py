"""The embedding classifier on callables whose vectors are known, against a plain scikit-learn solution."""

import doctest
import pickle
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from small_text import TextDataset

from small_text_comal import CoMAL, ContrastiveBranchArguments
from small_text_comal.classifiers import embedding as embedding_module
from small_text_comal.classifiers.embedding import CoMALEmbeddingClassification
from small_text_comal.classifiers.factories import CoMALEmbeddingClassificationFactory
from small_text_comal.query_strategies.registry import make_strategy, strategy_names

C, D = 3, 6
SMALL = ContrastiveBranchArguments(sub_feature_size=4, latent_size=3, max_epochs=3)
TOPICS = ["alpha", "beta", "gamma"]


def vector(text):
    """A unit vector that leans to the topics that a text names, with noise that its content decides."""
    noise = np.random.default_rng(sum(map(ord, text))).normal(0, 0.1, D)
    signal = np.array([text.count(topic) for topic in TOPICS] + [0.1] * (D - C), dtype=float)
    return (signal + noise) / np.linalg.norm(signal + noise)


def embed(texts):
    return np.stack([vector(text) for text in texts])


def dataset(n=60, seed=0, y=None):
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, C)) < 0.4).astype(int) if y is None else np.asarray(y)
    texts = [" ".join([*(TOPICS[j] for j in np.flatnonzero(row[:C])), f"document {i}"]) for i, row in enumerate(labels)]
    return TextDataset(texts, csr_matrix(labels), target_labels=np.arange(labels.shape[1]))


def classifier(**options):
    return CoMALEmbeddingClassification(embed, C, **{"branch": None, **options})


def test_docstring_examples():
    assert doctest.testmod(embedding_module).failed == 0


def test_probabilities_are_those_of_a_convex_problem_solved_elsewhere():
    train, test = dataset(), dataset(20, seed=1)
    got = classifier(l2=0.5).fit(train).label_probabilities(test)
    assert got.shape == (20, C)
    assert got.dtype == np.float32
    # scikit-learn leaves the bias without penalty, ours is 0.0025 b^2: close, not equal
    for j in range(C):
        head = LogisticRegression(C=1 / 0.5, tol=1e-8, max_iter=10_000).fit(
            embed(train.x), train.y[:, [j]].toarray()[:, 0]
        )
        np.testing.assert_allclose(got[:, j], head.predict_proba(embed(test.x))[:, 1], atol=0.02)


def test_two_fits_give_the_same_bits():
    train = dataset()
    first, second = (classifier(label_names=TOPICS).fit(train) for _ in range(2))
    np.testing.assert_array_equal(first.label_probabilities(train), second.label_probabilities(train))
    np.testing.assert_array_equal(first.thresholds, second.thresholds)


def test_the_strength_of_regularisation_can_be_chosen():
    clf = classifier(l2="auto").fit(dataset())
    assert clf.fitted_l2 in (0.01, 0.03, 0.1, 0.3, 1.0)
    assert classifier(l2=0.2).fit(dataset()).fitted_l2 == 0.2


def test_it_learns_and_predicts_with_its_cuts():
    train, test = dataset(), dataset(40, seed=1)
    clf = classifier().fit(train)
    predicted = clf.predict(test)
    assert predicted.shape == (40, C)
    assert (predicted.toarray() == test.y.toarray()).mean() > 0.9
    np.testing.assert_array_equal(predicted.toarray() > 0, clf.label_probabilities(test) > clf.thresholds)


@pytest.mark.parametrize("threshold", [0.2, [0.1, 0.2, 0.9]])
def test_cuts_that_are_given_are_used(threshold):
    clf = classifier(threshold=threshold).fit(dataset())
    np.testing.assert_array_equal(clf.thresholds, np.broadcast_to(np.float32(threshold), C))


def test_a_label_without_positives_is_predicted_by_its_name():
    y = (np.random.default_rng(0).random((60, C)) < 0.4).astype(int)
    train, test = dataset(y=y), dataset(60, seed=1)
    y[:, 2] = 0  # gamma is written in the texts, and nobody said so
    train = TextDataset(train.x, csr_matrix(y), target_labels=np.arange(C))
    said = test.y.toarray()[:, 2] > 0
    with_names = classifier(label_names=TOPICS).fit(train).label_probabilities(test)[:, 2]
    without = classifier().fit(train).label_probabilities(test)[:, 2]
    assert roc_auc_score(said, with_names) > 0.95
    assert roc_auc_score(said, without) < 0.8


def test_sample_weights_are_those_of_repeated_documents():
    train = dataset(20)
    twice = np.r_[np.arange(20), np.arange(5)]
    repeated = TextDataset([train.x[i] for i in twice], train.y[twice], target_labels=np.arange(C))
    weights = np.r_[np.full(5, 2.0), np.ones(15)]
    weighted = classifier(threshold=0.5).fit(train, weights=weights).label_probabilities(train)
    expected = classifier(threshold=0.5).fit(repeated).label_probabilities(train)
    np.testing.assert_allclose(weighted, expected, atol=1e-4)


def test_opinions_are_seeded_differ_and_lie_around_the_head():
    train, test = dataset(), dataset(10, seed=1)
    clf = classifier().fit(train)
    opinions = clf.sampled_probabilities(test, 8, seed=3)
    assert opinions.shape == (8, 10, C)
    np.testing.assert_array_equal(opinions, clf.sampled_probabilities(test, 8, seed=3))
    assert not np.allclose(opinions, clf.sampled_probabilities(test, 8, seed=4))
    assert opinions.std(axis=0).max() > 0.01
    assert clf.sampled_probabilities(test).shape[0] == clf.ensemble


@pytest.mark.parametrize("name", strategy_names())
def test_every_strategy_queries_it(name):
    data = dataset(40)
    clf = classifier(branch=SMALL).fit(data[np.arange(15)].clone())
    labeled = np.arange(15)
    queried = make_strategy(name, seed=0).query(clf, data, np.arange(15, 40), labeled, data.y[labeled], n=4)
    assert len(set(queried.tolist()) & set(range(15, 40))) == 4


def test_the_branch_says_where_documents_stand():
    data = dataset(30)
    clf = classifier(branch=SMALL).fit(data)
    space = clf.label_space(data, data, data.y.toarray())
    assert space.similarity.shape == (30, C)
    np.testing.assert_allclose(space.probabilities, clf.label_probabilities(data), atol=1e-6)
    assert sum(len(block) for block in clf.label_embeddings(data)) == 30
    assert len(clf.history["branch"]) == 3


def test_embed_gives_the_unit_vectors():
    data = dataset(5)
    vectors, probabilities = classifier().fit(data).embed(data, return_proba=True)
    np.testing.assert_allclose(vectors, embed(data.x), atol=1e-6)
    assert probabilities.shape == (5, C)


def test_documents_are_embedded_once_for_all_rounds():
    seen = []

    def counting(texts):
        seen.extend(texts)
        return embed(texts)

    factory = CoMALEmbeddingClassificationFactory(counting, C, {"branch": None})
    data = dataset(20)
    for _ in range(3):
        factory.new().fit(data).predict(data)
    assert sorted(seen) == sorted(data.x)


def test_a_fitted_classifier_is_pickled_with_what_it_learned():
    data = dataset()
    clf = CoMALEmbeddingClassification(embed, C, branch=SMALL).fit(data)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.label_probabilities(data), clf.label_probabilities(data))
    np.testing.assert_array_equal(loaded.thresholds, clf.thresholds)
    labeled = np.arange(10)
    for query in (CoMAL(seed=0), CoMAL(seed=0, criterion="paper")):
        assert len(query.query(loaded, data, np.arange(10, 60), labeled, data.y[labeled], n=3)) == 3


# --- what can be wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "y",
    [[[1, 0, 0]], [[0, 0, 0]] * 5, [[1, 1, 1]] * 5, [[1, 0, 0]] * 3 + [[0, 1, 0]]],
    ids=["one document", "no positive at all", "all positive", "a label without positives"],
)
@pytest.mark.parametrize("names", [None, TOPICS])
def test_poor_training_sets_give_finite_results(y, names):
    train = dataset(y=y)
    clf = classifier(label_names=names, branch=SMALL).fit(train)
    assert np.isfinite(clf.label_probabilities(train)).all()
    assert ((clf.thresholds > 0) & (clf.thresholds < 1)).all()


def test_one_label():
    y = [[1], [0], [1], [0]]
    data = TextDataset(["alpha a", "b", "alpha c", "d"], csr_matrix(y), target_labels=np.arange(1))
    clf = CoMALEmbeddingClassification(embed, 1, branch=SMALL).fit(data)
    assert clf.predict(data).toarray().tolist() == y


def test_identical_embeddings():
    clf = CoMALEmbeddingClassification(lambda texts: np.ones((len(texts), D)), C, branch=SMALL).fit(dataset())
    assert len(np.unique(clf.label_probabilities(dataset(10, seed=1)), axis=0)) == 1


def refused(message, kind=ValueError):
    return pytest.raises(kind, match=message)


def test_options_that_are_wrong():
    with refused("threshold: expected .*got 1.5"):
        classifier(threshold=1.5)
    with refused("threshold: expected .*got an array of shape"):
        classifier(threshold=[0.5, 0.5])
    with refused('l2: expected a number > 0 or "auto", got 0'):
        classifier(l2=0)
    with refused("label_names: expected 3 names"):
        classifier(label_names=["a", "b"])
    with refused("multi_label: expected True"):
        classifier(multi_label=False)
    with refused("expected classification_kwargs or kwargs"):
        CoMALEmbeddingClassificationFactory(embed, C, {"l2": 1.0}, kwargs={"l2": 1.0})


def test_before_fit():
    clf, data = classifier(branch=SMALL), dataset(5)
    for call in (clf.label_probabilities, clf.predict, clf.sampled_probabilities):
        with refused("no head yet: call fit"):
            call(data)
    with refused("no head yet: call fit"):
        clf.thresholds  # noqa: B018
    with refused("has no contrastive branch: call fit"):
        clf.label_space(data, data, data.y.toarray())


def test_training_sets_that_are_wrong():
    with refused("at least one document, got an empty one"):
        classifier().fit(dataset(5)[np.array([], dtype=int)])
    wide = TextDataset(["a", "b"], csr_matrix([[0, 0, 0, 1], [1, 0, 0, 0]]), target_labels=np.arange(4))
    with refused("label 3 of the training set lies outside the classifier's 3 classes"):
        classifier().fit(wide)
    with refused(r"fit: expected early_stopping.*got \['epochs'\]", TypeError):
        classifier().fit(dataset(5), epochs=3)
    with refused("expected a TextDataset or a TransformersDataset, got list"):
        classifier().fit(dataset(5)).label_probabilities(["a text"])


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda texts: np.full((len(texts), D), np.nan), "NaN|finite"),
        (lambda texts: np.ones(len(texts)), "expected"),
        (lambda texts: np.ones((len(texts) + 1, D)), "expected"),
    ],
    ids=["not finite", "one dimension", "one row too many"],
)
def test_output_of_a_callable_that_is_wrong(output, message):
    with refused(message):
        CoMALEmbeddingClassification(output, C).fit(dataset(5))


def test_a_classifier_that_predicts_nothing_warns_and_names_the_way_out():
    with pytest.warns(UserWarning, match=r"predicts no label for any of its 60 labeled documents.*threshold='auto'"):
        classifier(threshold=0.999, l2=100.0).fit(dataset())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        classifier().fit(dataset())

"""Any host classifier carries the branch: on a stand-in whose probabilities and features are known."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from small_text import TextDataset

from small_text_comal import CoMAL, ContrastiveBranchArguments
from small_text_comal.classifiers.any_host import HostClassifierWithBranch, WithContrastiveBranch
from small_text_comal.query_strategies.registry import make_strategy

C, D = 3, 5
SMALL = ContrastiveBranchArguments(sub_feature_size=4, latent_size=3, max_epochs=2)


def dataset(n=40, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, C)) < 0.4).astype(int)
    texts = ["".join(map(str, row)) + f" {i}" for i, row in enumerate(y)]
    return TextDataset(texts, csr_matrix(y), target_labels=np.arange(C))


def vectors(texts):
    return np.array([[*(2.0 * int(c) - 1 for c in text[:C]), len(text) % 3, 1.0] for text in texts])


class Host:
    """Features that show the labels, and probabilities that never reach 0.5."""

    multi_label, num_classes, model, label = True, C, None, "mine"

    def __init__(self):
        self.fitted_on = self.validated_on = None

    def fit(self, train_set, validation_set=None, extra=None):
        self.model, self.fitted_on, self.validated_on, self.extra = "fitted", len(train_set), validation_set, extra
        return self

    def embed(self, dataset, return_proba=False, **_):
        return vectors(dataset.x)

    def predict_proba(self, dataset, **_):
        return 0.25 + 0.1 * vectors(dataset.x)[:, :C]


class HostWithHead(Host):
    """Ends in a scikit-learn head, as SetFit does."""

    use_differentiable_head = False

    class Model:
        model_head = OneVsRestClassifier(LogisticRegression())

    def fit(self, train_set, validation_set=None):
        super().fit(train_set, validation_set)
        self.model = self.Model()
        return self

    def predict_proba(self, dataset, **_):
        return 0.5 + 0.3 * vectors(dataset.x)[:, :C]


class Factory:
    def __init__(self, kind=Host):
        self.kind = kind

    def new(self):
        return self.kind()


def classifier(kind=Host, **options):
    return WithContrastiveBranch(Factory(kind), **{"branch": SMALL, **options}).new()


def test_cuts_find_labels_that_one_half_never_predicts():
    train, test = dataset(), dataset(20, seed=1)
    at_one_half = classifier(threshold=0.5)
    with pytest.warns(UserWarning, match="predicts no label for any of its 40 labeled documents"):
        at_one_half.fit(train)
    assert at_one_half.predict(test).nnz == 0
    clf = classifier().fit(train)
    assert (clf.predict(test).toarray() == test.y.toarray()).all()
    np.testing.assert_allclose(clf.label_probabilities(test), 0.25 + 0.1 * vectors(test.x)[:, :C], atol=1e-6)


def test_a_fifth_is_held_back_for_the_cuts_unless_there_are_validation_documents_or_a_head():
    train, validation = dataset(), dataset(10, seed=1)
    clf = classifier().fit(train)
    assert (clf.fitted_on, len(clf.validated_on)) == (32, 8)
    clf = classifier().fit(train, validation_set=validation, extra="kept")
    assert (clf.fitted_on, clf.validated_on, clf.extra) == (40, validation, "kept")
    with pytest.warns(UserWarning):
        assert classifier(threshold=0.5).fit(train).fitted_on == 40
    clf = classifier(HostWithHead).fit(train)
    assert (clf.fitted_on, clf.validated_on) == (40, None)
    assert (clf.thresholds > 0.35).all()  # of the head's own probabilities on held-back folds, not of the host's


@pytest.mark.parametrize("criterion", ["reference", "paper", "soft", "entropy"])
def test_comal_queries_it(criterion):
    data = dataset()
    labeled = np.arange(15)
    clf = classifier().fit(data[labeled].clone())
    space = clf.label_space(data, data[labeled], data.y[labeled].toarray())
    np.testing.assert_allclose(space.probabilities, clf.label_probabilities(data))
    queried = CoMAL(criterion=criterion, seed=0).query(clf, data, np.arange(15, 40), labeled, data.y[labeled], n=5)
    assert len(set(queried.tolist())) == 5
    assert sum(len(block) for block in clf.label_embeddings(data)) == 40


def test_what_is_not_its_own_is_the_hosts():
    clf = classifier()
    assert clf.label == "mine"
    with pytest.raises(AttributeError):
        clf.missing  # noqa: B018


def test_features_are_the_hosts_embeddings():
    data = dataset(6)
    clf = classifier().fit(data)
    np.testing.assert_allclose(clf.features(data), vectors(data.x), atol=1e-6)
    assert clf.branch.feature_size == D
    assert torch.is_tensor(next(clf.label_embeddings(data)))
    with pytest.raises(ValueError, match="several opinions"):
        labeled = np.arange(3)
        make_strategy("BESRA", seed=0).query(clf, data, np.arange(3, 6), labeled, data.y[labeled], n=1)


def test_what_cannot_carry_a_branch_is_refused():
    class SingleLabel(Host):
        multi_label = False

    class WithoutEmbed:
        multi_label, num_classes = True, C

    with pytest.raises(ValueError, match="expected a multi-label classifier, got SingleLabel"):
        WithContrastiveBranch(Factory(SingleLabel))
    with pytest.raises(ValueError, match="expected a classifier with a method embed, got WithoutEmbed"):
        WithContrastiveBranch(Factory(WithoutEmbed))
    with pytest.raises(ValueError, match="threshold: expected"):
        WithContrastiveBranch(Factory(), threshold=2.0)
    with pytest.raises(ValueError, match="the cuts are not fitted yet"):
        classifier().thresholds  # noqa: B018
    with pytest.raises(ValueError, match="branch: expected ContrastiveBranchArguments or None, got int"):
        WithContrastiveBranch(Factory(), branch=3)
    assert isinstance(classifier(), HostClassifierWithBranch)

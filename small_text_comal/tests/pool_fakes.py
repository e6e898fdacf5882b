"""A dataset and a classifier made of arrays, so that a strategy's every input is known."""

import numpy as np
from scipy.sparse import csr_matrix


class ArrayDataset:
    """Documents are numbers; indexing gives a view, as small-text's datasets do."""

    is_multi_label = True

    def __init__(self, documents):
        self.documents = np.asarray(documents)

    def __len__(self):
        return len(self.documents)

    def __getitem__(self, indices):
        return ArrayDataset(self.documents[indices])


class ProbabilityClassifier:
    """Gives dense probabilities and nothing else."""

    model = "trained"
    multi_label = True

    def __init__(self, probabilities):
        self.probabilities = np.asarray(probabilities)
        self.num_classes = self.probabilities.shape[1]

    def label_probabilities(self, dataset):
        return self.probabilities[dataset.documents]


class ArrayClassifier(ProbabilityClassifier):
    """Gives probabilities, feature vectors and dropout passes: what CoMALClassification offers a strategy."""

    def __init__(self, probabilities, features, *, noise=0.2):
        super().__init__(probabilities)
        self.vectors = np.asarray(features)
        self.noise = noise

    def features(self, dataset):
        return self.vectors[dataset.documents]

    def sampled_probabilities(self, dataset, samples, seed=None):
        noise = np.random.default_rng(seed).normal(0, self.noise, (samples, *self.probabilities.shape))
        return (self.probabilities + noise).clip(0, 1).astype(np.float32)[:, dataset.documents]


class Pool:
    """Everything a query takes: the last `labeled` documents are labeled, and indices are out of order."""

    def __init__(self, clf, labels, *, unlabeled):
        self.clf = clf
        self.labels = np.asarray(labels).astype(bool)
        self.indices_unlabeled = np.arange(unlabeled)[::-1].copy()
        self.indices_labeled = np.arange(unlabeled, unlabeled + len(self.labels))
        self.dataset = ArrayDataset(np.arange(unlabeled + len(self.labels)))
        self.y = csr_matrix(self.labels.astype(np.int64))

    def arguments(self):
        return self.clf, self.dataset, self.indices_unlabeled, self.indices_labeled, self.y

    def query(self, strategy, n):
        return strategy.query(*self.arguments(), n=n)


def random_pool(*, seed, N=30, L=12, C=4, D=5, ties=False):
    """A random pool; with `ties`, probabilities are multiples of 0.1 and features of 1, so that many are equal."""
    rng = np.random.default_rng(seed)
    probabilities, features = rng.random((N + L, C)), rng.normal(size=(N + L, D))
    if ties:
        probabilities, features = probabilities.round(1), features.round()
    labels = rng.random((L, C)) < 0.4
    clf = ArrayClassifier(probabilities.astype(np.float32), features.astype(np.float32))
    return Pool(clf, labels, unlabeled=N)

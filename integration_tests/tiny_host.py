"""A tiny BERT on disk, a small multi-label corpus, and learners of the installed small-text made of them.

Each label has three words of its own; a document is the words of its labels among filler words. The weights are drawn
wide, so that documents differ.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from small_text import PoolBasedActiveLearner
from transformers import AutoTokenizer, BertConfig, BertModel, BertTokenizerFast

from small_text_comal import (
    CoMAL,
    CoMALClassificationFactory,
    ContrastiveBranchArguments,
    FeatureCacheArguments,
    label_covering_initialization,
)
from small_text_comal.host import IS_HOST_2, initialize_learner, make_dataset, model_arguments

LABELS, DEPTH, MAX_LENGTH = 4, 3, 16
FILLERS = [f"filler{i}" for i in range(20)]
BRANCH = ContrastiveBranchArguments(sub_feature_size=8, latent_size=4, batch_size=16, max_epochs=2, learning_rate=1e-3)
EXACT = FeatureCacheArguments(dtype="float32")
ONLY_1 = pytest.mark.skipif(IS_HOST_2, reason="small-text 1.x only")
ONLY_2 = pytest.mark.skipif(not IS_HOST_2, reason="small-text 2.x only")
HOST_RESIZES = pytest.mark.filterwarnings("ignore:non-inplace resize")  # small-text's own dropout sampling


def label_words(j):
    return [f"label{j}word{k}" for k in range(3)]


def save_tiny_bert(folder):
    """An encoder without classification head, as a user downloads them, and its tokenizer."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *FILLERS, *(w for j in range(8) for w in label_words(j))]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=DEPTH,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


def corpus(n, *, num_labels=LABELS, seed=0):
    """Texts and their labels (n, num_labels) as a CSR matrix of int."""
    rng = np.random.default_rng(seed)
    y = rng.random((n, num_labels)) < 0.4
    texts = []
    for row in y:
        words = [rng.choice(label_words(j)) for j in np.flatnonzero(row)]
        words += rng.choice(FILLERS, size=rng.integers(1, 8)).tolist()
        texts.append(" ".join(rng.permutation(words)))
    return texts, csr_matrix(y.astype(np.int64))


class World:
    """What a script has at hand: a model folder, a dataset, its labels, and learners of them."""

    def __init__(self, folder, n=60, *, num_labels=LABELS, seed=0, y=None, texts=None):
        self.folder, self.num_labels = folder, num_labels
        self.texts, drawn = corpus(n, num_labels=num_labels, seed=seed)
        self.texts = self.texts if texts is None else texts
        self.y = drawn if y is None else csr_matrix(y)
        self.dataset = self.dataset_of(self.texts, self.y)

    def dataset_of(self, texts, y):
        tokenizer = AutoTokenizer.from_pretrained(self.folder)
        return make_dataset(texts, y, tokenizer, num_classes=self.num_labels, max_length=MAX_LENGTH)

    def factory(self, *, feature_cache=EXACT, batch_size=8, model_options=None, **keywords):
        arguments, sizes = model_arguments(
            str(self.folder), train_batch_size=batch_size, predict_batch_size=batch_size, **(model_options or {})
        )
        keywords = {"branch": BRANCH, "num_epochs": 2, "lr": 1e-3, "threshold": 0.5, **sizes, **keywords}
        return CoMALClassificationFactory(arguments, self.num_labels, keywords, feature_cache=feature_cache)

    def classifier(self, rows=40, *, seed=0, fit=None, **keywords):
        """A classifier that is fitted on the first `rows` documents, from the global seed."""
        seed_all(seed)
        clf = self.factory(**keywords).new()
        return clf.fit(self.dataset[np.arange(rows)].clone(), **(fit or {}))

    def learner(self, strategy=None, *, initial=12, seed=0, fit=None, reuse_model=False, **keywords):
        """An active learner that has been initialized with documents of every label, from the global seed."""
        seed_all(seed)
        strategy = CoMAL(seed=seed) if strategy is None else strategy
        learner = PoolBasedActiveLearner(
            self.factory(**keywords), strategy, self.dataset, fit_kwargs=fit or {}, reuse_model=reuse_model
        )
        indices = label_covering_initialization(self.y, initial, seed=seed)
        initialize_learner(learner, indices, self.y[indices])
        return learner

    def answer(self, learner, n=5):
        """One round: query, and update with the true labels."""
        queried = learner.query(num_samples=n)
        learner.update(self.y[queried])
        return queried


def seed_all(seed):
    """The seeds that small-text itself draws from."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002


def save(learner, folder):
    """Save where the release saves: a file in 1.x, a folder in 2.x."""
    path = folder / "learner"
    if IS_HOST_2:
        path.mkdir()
    learner.save(path)
    return path


def size_of(path):
    """Bytes of a file, or of all files in a folder."""
    return sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")))


def same_weights(first, second):
    """Whether two state dicts are bit-identical."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def copied_weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}

"""What all strategies share for a seed: validation set, pool, first labels, and the randomness of each round."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from small_text_comal.classifiers.training_data import split_keeping_labels
from small_text_comal.experiments.data.corpus import Corpus, TextSet
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.prepare import default_validation_size
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.initialization import label_covering_initialization

__all__ = ["RoundSeeds", "Split", "initial_labels", "make_split", "round_seeds"]

# purpose of a SeedSequence; the strategy is not part of it, so that all strategies start from the same model
VALIDATION, INITIAL, ROUND = 1, 2, 3


class Split(NamedTuple):
    """The documents of one seed; no document is in two of them."""

    pool: TextSet
    validation: TextSet
    test: TextSet


def make_split(corpus: Corpus, spec: DatasetSpec, seed: int) -> Split:
    """Return pool, validation and test set of a seed; validation is a part of the corpus or taken out of train.

    Every label keeps a positive in the pool.

    Raises
    ------
    UserError
        When train is too small for a validation set.
    """
    if corpus.validation is not None:
        return Split(corpus.train, corpus.validation, corpus.test)
    n_train = len(corpus.train)
    size = default_validation_size(spec, n_train)
    rng = np.random.default_rng(np.random.SeedSequence([seed, VALIDATION]))
    chosen = _spared(corpus.train.y, size, rng)
    if len(chosen) < size:
        raise UserError(
            f"dataset {corpus.name}: {n_train} documents of train are too few for {size} validation documents (after "
            f"{len(chosen)}, each remaining one holds the last positive of a label): lower validation_size"
        )
    pool = np.setdiff1d(np.arange(n_train), chosen)
    return Split(corpus.train.take(pool), corpus.train.take(chosen), corpus.test)


class _Order(NamedTuple):
    """A given order of rows, where `split_keeping_labels` takes a generator of random ones."""

    rows: np.ndarray

    def permutation(self, n: int) -> np.ndarray:
        return self.rows


def _spared(y: csr_matrix, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw up to `size` rows of `y`, in order, so that every label keeps a positive outside of them."""
    single = np.asarray(y.sum(axis=0)).ravel() == 1
    free = np.flatnonzero(np.asarray(y[:, single].sum(axis=1)).ravel() == 0)
    drawn = rng.choice(free, min(size, len(free)), replace=False)
    # the others replace those drawn that would take a label's last positive
    order = np.concatenate([drawn, rng.permutation(np.setdiff1d(free, drawn))])
    # a share of half a document less, because the number of documents is rounded up
    share = (min(size, y.shape[0]) - 0.5) / y.shape[0]
    return split_keeping_labels(y.astype(bool).toarray(), share, _Order(order))[1]


def initial_labels(pool: TextSet, n_samples: int, *, min_per_label: int, seed: int) -> np.ndarray:
    """Return the pool positions labeled at the start, so that every label has a positive (paper section 4.1)."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, INITIAL]))
    return label_covering_initialization(pool.y, n_samples, min_per_label=min_per_label, seed=rng)


class RoundSeeds(NamedTuple):
    """Seeds of one round; `torch` and `numpy` go to the global generators that small-text draws from."""

    torch: int
    numpy: int
    strategy: int


def round_seeds(seed: int, round_number: int) -> RoundSeeds:
    """Return the seeds of a round: they depend on nothing that happened before, so that a run can resume there.

    Examples
    --------
    >>> round_seeds(0, 3) == round_seeds(0, 3) != round_seeds(0, 4)
    True
    """
    state = np.random.SeedSequence([seed, ROUND, round_number]).generate_state(3)
    return RoundSeeds(*(int(word) for word in state))

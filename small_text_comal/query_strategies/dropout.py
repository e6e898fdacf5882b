"""Disagreement of dropout passes: BALD, label by label (Houlsby et al. 2011; Gal et al., ICML 2017)."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from small_text_comal.query_strategies.base import ScoreQueryStrategy
from small_text_comal.query_strategies.pool import Pool

__all__ = ["DropoutDisagreement", "label_disagreement"]


def label_disagreement(passes: np.ndarray) -> np.ndarray:
    """Return how much the passes disagree on a document's labels: their mutual information, summed over the labels.

    sum_j [h(mean_t p_tj) - mean_t h(p_tj)] with h the entropy of one yes/no label in nats (BALD, Houlsby et al. 2011,
    eq. 2, for each label of its own; one entropy over all C sigmoid outputs, as if exactly one label held, is another
    quantity).

    Parameters
    ----------
    passes : (T, N, C) float in [0, 1]

    Returns
    -------
    score : (N,) float64 in [0, C log 2], 0 where all passes agree, larger is queried first

    Examples
    --------
    Two passes that contradict each other tell log 2 = 0.693; two that agree on not knowing tell nothing.

    >>> label_disagreement(np.array([[[1.0], [0.5]], [[0.0], [0.5]]])).round(3).tolist()
    [0.693, 0.0]
    """
    doubt = np.zeros(passes.shape[1:])
    mean = np.zeros(passes.shape[1:])
    for one_pass in passes:
        p = one_pass.astype(np.float64)
        doubt += _binary_entropy(p) / len(passes)
        mean += p / len(passes)
    # Rounding may take the mean above 1, and the difference of equal entropies below 0.
    return (_binary_entropy(mean.clip(0, 1)) - doubt).clip(0).sum(axis=1)


def _binary_entropy(p: np.ndarray) -> np.ndarray:
    return entr(p) + entr(1 - p)


class DropoutDisagreement(ScoreQueryStrategy):
    """Query documents on whose labels passes with dropout disagree (BALD per label; Gal et al., ICML 2017).

    Needs passes with dropout on. Cost of T passes over the pool, then O(T N C) time and memory for N unlabeled
    documents, whatever the batch size.

    Parameters
    ----------
    samples : int
        T, number of passes, at least 2.
    seed : None, int or numpy Generator
        Draws the seed of the passes and breaks ties.
    """

    def __init__(self, *, samples: int = 10, seed: int | np.random.Generator | None = None) -> None:
        if samples < 2:
            raise ValueError(f"samples: expected at least 2 passes to disagree, got {samples}")
        super().__init__(seed=seed)
        self.samples = samples

    def _scores(self, pool: Pool) -> np.ndarray:
        return label_disagreement(pool.sampled_probabilities(self.samples, self.rng))

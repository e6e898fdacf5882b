"""BESRA: expected gain in a proper score, by reweighted posterior samples (Tan et al., AAAI 2024)."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import normalize

from small_text_comal.method.thresholds import centred
from small_text_comal.query_strategies.base import PoolQueryStrategy, seeded_top_n
from small_text_comal.query_strategies.pool import Pool

__all__ = ["BESRA", "diverse_top_half", "expected_score", "expected_score_gain"]

# A gain below this is what rounding leaves of samples that agree; scaled to length 1 it would look like a direction.
_ROUNDING = 1e-12


def expected_score(probability: np.ndarray, *, alpha: float = 0.1) -> np.ndarray:
    """Return what a probability expects to earn of the Beta(alpha, 1) proper score, p^(1 + a) / (a (1 + a)).

    The score itself is p^a / a - p^(1 + a) / (1 + a) where the label holds and -p^(1 + a) / (1 + a) where it does not;
    with a small alpha it cares most about rare labels.

    Parameters
    ----------
    probability : array of float in [0, 1]
    alpha : a > 0

    Examples
    --------
    >>> expected_score(np.array([0.0, 0.5, 1.0]), alpha=1.0).tolist()
    [0.0, 0.125, 0.5]
    """
    return probability ** (1 + alpha) / (alpha * (1 + alpha))


def expected_score_gain(candidates: np.ndarray, estimation: np.ndarray, *, alpha: float = 0.1) -> np.ndarray:
    """Return how much each estimation document's score is expected to grow once a candidate's labels are known.

    Knowing that label j of candidate x has the outcome y gives posterior sample t the weight w_t ~ Pr_t(y_j = y | x)
    and estimation document x' the probability pbar_jy(x') = sum_t w_t p_tj(x'). With G the `expected_score` the gain is
    r(x)_x' = sum_j [sum_y Pr(y_j = y | x) G(pbar_jy(x')) - G(pbar_j(x'))].

    Parameters
    ----------
    candidates : (T, N, C) float in [0, 1], one (N, C) for each posterior sample
    estimation : (T, M, C) float in [0, 1], of the SAME T samples
    alpha : of the Beta(alpha, 1) score

    Returns
    -------
    gain : (N, M) float64, >= 0 as the score is proper; 0 where the samples agree on x or on x'. An outcome of
        probability 0 adds nothing.

    Notes
    -----
    O(T C N M) time in matrix products, O(N M + T (N + M)) memory besides the samples.

    Examples
    --------
    One label, two samples that say 0.8 and 0.2 of the only document. If it holds, they weigh 0.8 and 0.2 and expect
    0.68, else 0.32, each with probability 0.5: with alpha = 1, (0.68^2 / 2 + 0.32^2 / 2) / 2 - 0.5^2 / 2 = 0.0162.

    >>> samples = np.array([[[0.8]], [[0.2]]])
    >>> expected_score_gain(samples, samples, alpha=1.0).round(6).tolist()
    [[0.0162]]
    """
    T, N, C = candidates.shape
    gain = np.zeros((N, estimation.shape[1]))
    for j in range(C):
        says_yes = candidates[:, :, j].astype(np.float64)
        predicted = estimation[:, :, j].astype(np.float64)
        for likelihood in (says_yes, 1 - says_yes):
            chance = likelihood.mean(axis=0)[:, None]
            posterior = np.zeros_like(gain)
            np.divide(likelihood.T @ predicted / T, chance, out=posterior, where=chance > 0)
            gain += chance * expected_score(posterior, alpha=alpha)
        gain -= expected_score(predicted.mean(axis=0), alpha=alpha)
    gain[gain < _ROUNDING] = 0
    return gain


def diverse_top_half(gain: np.ndarray, n: int, *, rng: np.random.Generator) -> np.ndarray:
    """Return `n` candidates of large and different gain.

    Keeps the half with the largest total gain (at least n), scales each row to length 1, clusters by k-means into n
    clusters and takes the candidate nearest to each center; where two centers share one, the second gets the next
    nearest.

    Parameters
    ----------
    gain : (N, M) float >= 0
    n : number of candidates, at most N
    rng : breaks ties and starts k-means

    Returns
    -------
    positions : (n,) int, different

    Examples
    --------
    >>> gain = np.array([[5.0, 0.0], [4.0, 0.0], [0.0, 3.0], [0.0, 0.1], [0.1, 0.0]])
    >>> positions = diverse_top_half(gain, 2, rng=np.random.default_rng(0))
    >>> bool(2 in positions), len(set(positions) & {0, 1})
    (True, 1)
    """
    kept = seeded_top_n(gain.sum(axis=1), max(n, (len(gain) + 1) // 2), rng)
    rng.shuffle(kept)  # the nearest of equals must not be the one of the largest gain
    kmeans = KMeans(n_clusters=n, n_init=1, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():
        # Fewer different rows than clusters: their centers coincide, and the loop below shares out the documents.
        warnings.simplefilter("ignore", ConvergenceWarning)
        distances = kmeans.fit_transform(normalize(gain[kept]))
    picked = []
    for to_center in distances.T:
        picked.append(int(to_center.argmin()))
        distances[picked[-1]] = np.inf
    return kept[picked]


class BESRA(PoolQueryStrategy):
    """Query documents whose labels promise better predictions over the whole pool (Tan et al., AAAI 2024).

    The posterior samples are passes with dropout on, and a pass is one model for all documents: masks drawn again for
    each document, as PyTorch's dropout layers do, would let a candidate's labels say nothing about other documents
    (CoMALClassification draws one mask a pass). The probabilities of an ensemble, (T, N, C), can be given to
    `expected_score_gain` and `diverse_top_half` directly.

    Needs passes with dropout on. Cost of T passes over the pool, O(T C N M) time and O(T N C + N M) memory for N
    unlabeled documents, then k-means with q clusters on N / 2 rows of M numbers.

    Parameters
    ----------
    alpha : float
        Of the Beta(alpha, 1) proper score, above 0.
    samples : int
        T, number of passes, at least 2.
    estimation_size : int
        M, number of random unlabeled documents on which the gain is measured.
    seed : None, int or numpy Generator
        Draws the passes and the estimation documents, starts k-means, breaks ties.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        samples: int = 10,
        estimation_size: int = 100,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        if alpha <= 0:
            raise ValueError(f"alpha: expected a number above 0, got {alpha}")
        if samples < 2:
            raise ValueError(f"samples: expected at least 2 posterior samples, got {samples}")
        if estimation_size < 1:
            raise ValueError(f"estimation_size: expected at least 1 document, got {estimation_size}")
        super().__init__(seed=seed)
        self.alpha = alpha
        self.samples = samples
        self.estimation_size = estimation_size

    def _select(self, pool: Pool, n: int) -> np.ndarray:
        passes = centred(pool.sampled_probabilities(self.samples, self.rng), pool.thresholds)
        chosen = self.rng.choice(len(pool), size=min(self.estimation_size, len(pool)), replace=False)
        return diverse_top_half(expected_score_gain(passes, passes[:, chosen], alpha=self.alpha), n, rng=self.rng)

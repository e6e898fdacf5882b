"""GP-B2M: label covariance under a Gaussian process, Bayesian Bernoulli mixture (Shi, Yu and Yu, NeurIPS 2021)."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from small_text_comal.query_strategies.base import ScoreQueryStrategy
from small_text_comal.query_strategies.bernoulli_mixture import BernoulliMixture, fit_mixture
from small_text_comal.query_strategies.pool import Pool

__all__ = ["GPB2M", "component_weights", "covariance_log_determinant", "mixture_scores"]

_BLOCK_ROWS = 4096
_BLOCK_CELLS = 1 << 22


def component_weights(mean: np.ndarray, variance: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of P(z = k | x) = s(f_k) / sum_i s(f_i) over Gaussian draws of f.

    Parameters
    ----------
    mean, variance : (N, K) of f
    draws : (S, K) standard normal numbers, the same for every document, so that equal documents score equal

    Returns
    -------
    weight, weight_variance : (N, K) float64; the weights of a document sum to 1

    Examples
    --------
    >>> weight, spread = component_weights(np.zeros((1, 2)), np.ones((1, 2)), np.array([[1.0, -1.0], [-1.0, 1.0]]))
    >>> weight.tolist(), spread.round(3).tolist()
    ([[0.5, 0.5]], [[0.053, 0.053]])
    """
    strength = expit(mean[:, None, :] + np.sqrt(variance)[:, None, :] * draws)
    share = strength / strength.sum(axis=2, keepdims=True)
    return share.mean(axis=1), share.var(axis=1)


def covariance_log_determinant(weight: np.ndarray, label_means: np.ndarray, *, epsilon: float = 1e-6) -> np.ndarray:
    """Return log det(Cov[y] + epsilon I) of each document's label vector under the mixture.

    Cov[y] = sum_k pi_k (diag(mu_k (1 - mu_k)) + mu_k mu_k^T) - ybar ybar^T with ybar = sum_k pi_k mu_k. It is a
    diagonal plus the spread sum_k pi_k (mu_k - ybar)(mu_k - ybar)^T of K components: a K x K determinant is enough.

    Parameters
    ----------
    weight : (N, K), pi, rows sum to 1
    label_means : (K, C), mu
    epsilon : added to each label's variance

    Returns
    -------
    log_determinant : (N,) float64

    Examples
    --------
    One component has the variances mu (1 - mu) only: log(0.25 * 0.09) = -3.794.

    >>> covariance_log_determinant(np.ones((1, 1)), np.array([[0.5, 0.9]])).round(3).tolist()
    [-3.794]
    """
    own_variance = weight @ (label_means * (1 - label_means)) + epsilon
    deviation = label_means - (weight @ label_means)[:, None, :]
    scaled = deviation * np.sqrt(weight)[:, :, None] / np.sqrt(own_variance)[:, None, :]
    inner = scaled @ scaled.transpose(0, 2, 1) + np.eye(weight.shape[1])
    return np.log(own_variance).sum(axis=1) + np.linalg.slogdet(inner)[1]


def mixture_scores(
    mixture: BernoulliMixture, features: np.ndarray, draws: np.ndarray, *, eta: float = 1.0
) -> np.ndarray:
    """Return log det(Cov[y] + 1e-6 I) + eta * mean_k Var(pi_k) of every unlabeled document.

    Parameters
    ----------
    mixture : fitted on the labeled pool
    features : (N, D) float
    draws : (S, K) standard normal numbers, see `component_weights`
    eta : weight of the doubt about the component

    Returns
    -------
    score : (N,) float64, larger is queried first. Computed in blocks of documents.
    """
    K, C = mixture.label_means.shape
    block = max(1, min(_BLOCK_ROWS, _BLOCK_CELLS // (K * max(C, len(draws)))))
    scores = []
    for rows in np.array_split(features, range(_BLOCK_ROWS, len(features), _BLOCK_ROWS)):
        mean, variance = mixture.weight_functions(rows)
        for start in range(0, len(rows), block):
            part = slice(start, start + block)
            weight, spread = component_weights(mean[part], variance[part], draws)
            scores.append(covariance_log_determinant(weight, mixture.label_means) + eta * spread.mean(axis=1))
    return np.concatenate(scores)


class GPB2M(ScoreQueryStrategy):
    """Query documents whose label vector varies most under a mixture model of the labels.

    Shi, Yu and Yu, NeurIPS 2021. At every query a `BernoulliMixture` is fitted to feature vectors and labels of the
    labeled pool.

    Needs feature vectors. Cost O(S K L^3) time for S <= 50 sweeps, then O(N (K L^2 + L D + K^2 C)), and O(L^2 + N D)
    memory besides blocks of a fixed size, for N unlabeled and L labeled documents, whatever the batch size.

    Parameters
    ----------
    components : int
        K, at least 1.
    eta : float
        Weight of the doubt about the component.
    draws : int
        Gaussian draws of f that give mean and variance of the component weights.
    seed : None, int or numpy Generator
        Starts the fit, draws f and breaks ties.
    """

    def __init__(
        self,
        *,
        components: int = 25,
        eta: float = 1.0,
        draws: int = 64,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        if components < 1 or draws < 1:
            raise ValueError(f"expected at least 1 component and 1 draw, got components={components}, draws={draws}")
        super().__init__(seed=seed)
        self.components = components
        self.eta = eta
        self.draws = draws

    def _scores(self, pool: Pool) -> np.ndarray:
        mixture = fit_mixture(pool.labeled_features, pool.labels, components=self.components, rng=self.rng)
        draws = self.rng.standard_normal((self.draws, self.components))
        return mixture_scores(mixture, pool.features, draws, eta=self.eta)

"""A Bayesian Bernoulli mixture of label vectors whose component weights are Gaussian processes of the features.

The model of GP-B2M (Shi, Yu and Yu, NeurIPS 2021), fitted by mean field updates in closed form:
y_n | z_n = k ~ prod_j Bernoulli(mu_kj), mu_kj ~ Beta(1, 1), P(z_n = k | x_n) = s(f_k(x_n)) / sum_i s(f_i(x_n)) with the
logistic function s, and f_k ~ GP(0, RBF). Gamma, Poisson and Polya-Gamma variables make the weights conjugate (the
logistic softmax of Galy-Fajou et al., UAI 2019). Axis K: components.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.spatial.distance import pdist
from scipy.special import betaln, digamma, entr, gammaln, softmax, xlogy
from sklearn.metrics.pairwise import rbf_kernel

__all__ = ["BernoulliMixture", "MixturePosterior", "evidence", "fit_mixture", "median_length_scale"]

_JITTER = 1e-6
_PRIOR = 1.0  # a0 = b0


@dataclass(frozen=True)
class MixturePosterior:
    """The mean field posterior on L labeled documents.

    Parameters
    ----------
    responsibility : (L, K), phi: q(z_n = k), rows sum to 1
    positives, negatives : (K, C), a and b: q(mu_kj) = Beta(a_kj, b_kj)
    rejections : (L, K), gamma: mean of the Poisson variable
    shape : (L,), alpha: q(lambda_n) = Gamma(alpha_n, rate K)
    precision : (L, K), w: mean of the Polya-Gamma variable
    mean, variance : (L, K), m and the diagonal of S: q(f_k) = N(m_k, S_k), S_k = (Kxx^-1 + diag w_k)^-1
    log_ratio : (K,), log det Kxx - log det S_k
    """

    responsibility: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray
    rejections: np.ndarray
    shape: np.ndarray
    precision: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    log_ratio: np.ndarray

    @property
    def pull(self) -> np.ndarray:
        """(phi - gamma) / 2, (L, K): m_k = S_k pull_k, hence Kxx^-1 m_k = pull_k - w_k m_k without any inverse."""
        return (self.responsibility - self.rejections) / 2

    @property
    def root_mean_square(self) -> np.ndarray:
        """c, (L, K): the root of E[f^2]."""
        return np.sqrt(self.mean**2 + self.variance)


@dataclass(frozen=True)
class BernoulliMixture:
    """A fitted mixture.

    Parameters
    ----------
    features : (L, D) float64 of the labeled documents
    length_scale : of the RBF kernel, in units of the features
    posterior : see `MixturePosterior`
    evidence : the evidence lower bound after each sweep; no sweep lowers it by more than rounding
    """

    features: np.ndarray
    length_scale: float
    posterior: MixturePosterior
    evidence: tuple[float, ...]

    @property
    def label_means(self) -> np.ndarray:
        """The posterior mean a / (a + b) of each component's label probabilities, (K, C)."""
        return self.posterior.positives / (self.posterior.positives + self.posterior.negatives)

    def weight_functions(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance of f_k at other documents, both (N, K), for features (N, D)."""
        q = self.posterior
        labeled = _labeled_kernel(self.features, self.length_scale)
        cross = _kernel(self.features, features, self.length_scale)
        mean = cross.T @ (q.pull - q.precision * q.mean)
        explained = [(_whitened(labeled, w, cross)[0] ** 2).sum(axis=0) for w in q.precision.T]
        return mean, (1 - np.stack(explained, axis=1)).clip(_JITTER)


def median_length_scale(features: np.ndarray) -> float:
    """Return the median Euclidean distance of all pairs of rows of `features` (L, D); 1 where that is 0 or L is 1.

    Examples
    --------
    >>> median_length_scale(np.array([[0.0], [1.0], [5.0]]))
    4.0
    >>> median_length_scale(np.array([[2.0], [2.0]]))
    1.0
    """
    distances = pdist(features)
    return float(np.median(distances)) or 1.0 if distances.size else 1.0


def fit_mixture(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    components: int = 25,
    rng: np.random.Generator,
    starts: int = 1,
    max_sweeps: int = 50,
    tolerance: float = 1e-6,
) -> BernoulliMixture:
    """Return the mixture of the labeled pool by mean field updates from random starts.

    Parameters
    ----------
    features : (L, D) float, L >= 1
    labels : (L, C) bool
    components : K
    rng : draws the first responsibilities from Dirichlet(1, ..., 1)
    starts : fits from so many draws and keeps the one of the highest evidence
    max_sweeps : a fit updates everything at most so many times
    tolerance : relative change of the evidence below which a fit ends

    Notes
    -----
    O(K L^3) time a sweep, O(L^2 + L K + K C) memory, float64, Cholesky factors only. The kernel of the labeled pool
    has 1e-6 added to its diagonal. The updates find a local optimum: on data of the model with K = 3, of twelve starts
    up to five missed the best one, depending on the data.

    Examples
    --------
    >>> x, y = np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=bool)
    >>> mixture = fit_mixture(x, y, components=2, rng=np.random.default_rng(0))
    >>> sorted(mixture.label_means.round(1).tolist())
    [[0.3, 0.7], [0.7, 0.3]]
    """
    x = np.asarray(features, dtype=np.float64)
    y = np.asarray(labels, dtype=np.float64)
    length_scale = median_length_scale(x)
    kernel = _labeled_kernel(x, length_scale)
    fits = []
    for _ in range(starts):
        start = _start(rng.dirichlet(np.ones(components), size=len(y)), y)
        fits.append(_sweep(start, kernel, y, max_sweeps=max_sweeps, tolerance=tolerance))
    posterior, history = max(fits, key=lambda fit: fit[1][-1])
    return BernoulliMixture(x, length_scale, posterior, tuple(history))


def evidence(posterior: MixturePosterior, labels: np.ndarray) -> float:
    """Return the evidence lower bound, E_q[log p(y, all variables)] + entropy of q, in nats.

    With the Polya-Gamma variables at their optimum for q(f), and c the root of E[f^2], it is
    sum_nk [(phi - gamma) m / 2 - (phi + gamma) log(2 cosh(c / 2)) + gamma (psi(alpha) - log K + 1 - log gamma)]
    + sum_n [log Gamma(alpha) + (1 - alpha) psi(alpha) - log K] + E[log p(y | z, mu)] + H(phi) - KL(mu) - KL(f).

    Parameters
    ----------
    posterior : (L, K) and so on, with m and S updated last
    labels : (L, C) of 0 and 1
    """
    q = posterior
    phi, gamma, alpha = q.responsibility, q.rejections, q.shape
    log_components = np.log(phi.shape[1])
    weights = (q.pull * q.mean - (phi + gamma) * _log_two_cosh(q.root_mean_square / 2)).sum()
    poisson = (gamma * (digamma(alpha) - log_components)[:, None] - xlogy(gamma, gamma) + gamma).sum()
    intensity = (gammaln(alpha) + (1 - alpha) * digamma(alpha) - log_components).sum()
    likelihood = (phi * _label_log_likelihood(q, np.asarray(labels, dtype=np.float64))).sum()
    # trace(Kxx^-1 S_k) = L - sum_n w S, and m^T Kxx^-1 m = m^T (pull - w m).
    divergence = (q.log_ratio.sum() - (q.precision * q.variance).sum()) / 2
    divergence += (q.mean * (q.pull - q.precision * q.mean)).sum() / 2
    return float(weights + poisson + intensity + likelihood + entr(phi).sum() - _beta_divergence(q) - divergence)


def _start(responsibility: np.ndarray, labels: np.ndarray) -> MixturePosterior:
    L, K = responsibility.shape
    flat = np.zeros((L, K))
    return MixturePosterior(
        responsibility=responsibility,
        positives=_PRIOR + responsibility.T @ labels,
        negatives=_PRIOR + responsibility.T @ (1 - labels),
        rejections=flat,
        shape=np.ones(L),
        precision=flat,
        mean=flat,
        variance=flat + 1,
        log_ratio=np.zeros(K),
    )


def _sweep(
    posterior: MixturePosterior, kernel: np.ndarray, labels: np.ndarray, *, max_sweeps: int, tolerance: float
) -> tuple[MixturePosterior, list[float]]:
    history: list[float] = []
    for _ in range(max_sweeps):
        posterior = _update_weights(_update_components(posterior, labels), kernel)
        history.append(evidence(posterior, labels))
        if len(history) > 1 and abs(history[-1] - history[-2]) <= tolerance * abs(history[-2]):
            break
    return posterior, history


def _update_components(q: MixturePosterior, labels: np.ndarray) -> MixturePosterior:
    """Update phi from the POSTERIOR a and b, then a, b, gamma and alpha."""
    log_two_cosh = _log_two_cosh(q.root_mean_square / 2)
    responsibility = softmax(q.mean / 2 - log_two_cosh + _label_log_likelihood(q, labels), axis=1)
    scale = np.exp(digamma(q.shape))[:, None] / q.mean.shape[1]
    rejections = scale * np.exp(-q.mean / 2 - log_two_cosh)
    return replace(
        q,
        responsibility=responsibility,
        positives=_PRIOR + responsibility.T @ labels,
        negatives=_PRIOR + responsibility.T @ (1 - labels),
        rejections=rejections,
        shape=1 + rejections.sum(axis=1),
    )


def _update_weights(q: MixturePosterior, kernel: np.ndarray) -> MixturePosterior:
    """Update w, then m, the diagonal of S and its log determinant, one component after the other."""
    c = q.root_mean_square
    precision = (q.responsibility + q.rejections) / (2 * c) * np.tanh(c / 2)
    mean, variance, log_ratio = np.empty_like(c), np.empty_like(c), np.empty(c.shape[1])
    for k, (w, pull) in enumerate(zip(precision.T, q.pull.T, strict=True)):
        whitened, log_ratio[k] = _whitened(kernel, w, kernel)
        mean[:, k] = kernel @ pull - whitened.T @ (whitened @ pull)
        variance[:, k] = (kernel.diagonal() - (whitened**2).sum(axis=0)).clip(_JITTER**2)
    return replace(q, precision=precision, mean=mean, variance=variance, log_ratio=log_ratio)


def _whitened(kernel: np.ndarray, precision: np.ndarray, cross: np.ndarray) -> tuple[np.ndarray, float]:
    """Return V (L, M) with S = cross' - V^T V for the cross kernel (L, M), and log det(I + w^1/2 K w^1/2).

    I + w^1/2 K w^1/2 has no eigenvalue below 1, where K itself may be as good as singular.
    """
    root = np.sqrt(precision)[:, None]
    factor = cholesky(root * kernel * root.T + np.eye(len(kernel)), lower=True)
    return solve_triangular(factor, root * cross, lower=True), float(2 * np.log(factor.diagonal()).sum())


def _kernel(a: np.ndarray, b: np.ndarray, length_scale: float) -> np.ndarray:
    return rbf_kernel(a, np.asarray(b, dtype=np.float64), gamma=0.5 / length_scale**2)


def _labeled_kernel(features: np.ndarray, length_scale: float) -> np.ndarray:
    return _kernel(features, features, length_scale) + _JITTER * np.eye(len(features))


def _log_two_cosh(half: np.ndarray) -> np.ndarray:
    return np.logaddexp(half, -half)


def _label_log_likelihood(q: MixturePosterior, labels: np.ndarray) -> np.ndarray:
    """Return E[log p(y_n | z_n = k, mu)], (L, K)."""
    total = digamma(q.positives + q.negatives)
    return labels @ (digamma(q.positives) - total).T + (1 - labels) @ (digamma(q.negatives) - total).T


def _beta_divergence(q: MixturePosterior) -> float:
    a, b = q.positives, q.negatives
    excess = (a - _PRIOR) * digamma(a) + (b - _PRIOR) * digamma(b) - (a + b - 2 * _PRIOR) * digamma(a + b)
    return float((betaln(_PRIOR, _PRIOR) - betaln(a, b) + excess).sum())

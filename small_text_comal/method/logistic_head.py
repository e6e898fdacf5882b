"""A linear head on fixed features: L2 logistic regression for all labels at once, solved instead of trained.

The problem is convex: a fit needs no seed, no epochs and no learning rate. Where the labels' names are known, similarity
to a name is evidence for the label, with one weight for all labels: a label without any positive can be predicted
because the others have taught what a name is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from small_text_comal.method.logistic_solver import Parameters, Problem, gradient_norm, minimise

__all__ = ["LogisticHead", "bootstrap_heads", "fit_logistic_head"]

BIAS_PENALTY = 0.005  # of b^2 / 2; keeps the bias of a label without positives, or with nothing else, finite
PRIOR_NAME_SCALE = 10.0  # a without any labeled document; real corpora teach 7 to 22
NAME_SCALE_PENALTY = 0.005  # of (a - prior)^2 / 2; finite also where names separate the few labeled documents
TOLERANCE = 1e-7  # of the gradient's norm, relative to its norm at the base rates


@dataclass(frozen=True)
class LogisticHead:
    """A fitted head: logits are features @ weight.T + bias.

    Parameters
    ----------
    weight : (C, D) float64; what similarity to the labels' names adds is part of it
    bias : (C,) float64, likewise
    name_scale : a, how much similarity to a label's name adds to its logit; 0 without names
    """

    weight: np.ndarray
    bias: np.ndarray
    name_scale: float = 0.0

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return the logits (N, C) of features (N, D), in their float type."""
        if features.ndim != 2 or features.shape[1] != self.weight.shape[1]:
            raise ValueError(
                f"expected features (N, {self.weight.shape[1]}), got {features.shape}: "
                "was the head fitted on another encoder?"
            )
        return features @ self.weight.T.astype(features.dtype) + self.bias.astype(features.dtype)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return the probabilities (N, C) of features (N, D), in their float type."""
        return expit(self.logits(features))


def fit_logistic_head(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    l2: float,
    sample_weights: np.ndarray | None = None,
    label_vectors: np.ndarray | None = None,
    start: LogisticHead | None = None,
) -> LogisticHead:
    """Return the head that minimises sum_ij BCE(logit_ij, y_ij) + l2 / 2 sum |W|^2 + 0.0025 sum b^2.

    logit_ij = v_i . w_j + b_j + a (v_i . e_j - mean over i of v_i . e_j), the last term with `label_vectors` only. The
    shared a has no l2; 0.0025 (a - 10)^2 keeps it finite where names alone separate a handful of labeled documents,
    and is what is left of the objective without any: then a = 10 ranks the labels.

    Parameters
    ----------
    features : (N, D) v_i, best of length 1; N may be 0
    labels : (N, C) of 0 and 1; labels without positives, or with nothing else, are fine
    l2 : positive
    sample_weights : (N,), not negative; a weight of 2 is a document that is there twice
    label_vectors : (C, D) e_j, the same encoder's embedding of the labels' names, best of length 1
    start : a head fitted before, on other documents or weights: the result is the same within 1e-6, and there sooner

    Raises
    ------
    ValueError
        On shapes that do not fit, on values that are not finite, on l2 that is not positive.

    Examples
    --------
    >>> features = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> head = fit_logistic_head(features, np.array([[1], [0], [0]]), l2=0.1)
    >>> head.probabilities(features).round(2).tolist()
    [[0.72], [0.14], [0.14]]
    """
    features, labels = np.asarray(features, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    weights = np.ones(len(features)) if sample_weights is None else np.asarray(sample_weights, dtype=np.float64)
    names = None if label_vectors is None else np.asarray(label_vectors, dtype=np.float64)
    _check(features, labels, weights, names, l2)
    similarity_mean = None if names is None else _weighted_mean(features, weights) @ names.T
    # In the principal axes of the features the curvature is nearly diagonal, and what lies outside them has no weight.
    left, lengths, axes = np.linalg.svd(features, full_matrices=False)
    problem = Problem(
        np.column_stack([left * lengths, np.ones(len(features))]),
        labels,
        weights[:, None],
        penalty=np.append(np.full(len(axes), float(l2)), BIAS_PENALTY)[:, None],
        similarity=None if names is None else features @ names.T - similarity_mean,
        scale_prior=PRIOR_NAME_SCALE,
        scale_penalty=NAME_SCALE_PENALTY,
    )
    cold = _base_rates(problem)
    warm = cold if start is None else _from_head(start, axes, names, similarity_mean)
    solution = minimise(problem, warm, TOLERANCE * gradient_norm(problem, cold))
    weight, bias = solution.coefficients[:-1].T @ axes, solution.coefficients[-1]
    if names is None:
        return LogisticHead(weight, bias)
    a = solution.scale
    return LogisticHead(weight + a * names, bias - a * similarity_mean, a)


def bootstrap_heads(
    features: np.ndarray,
    labels: np.ndarray,
    samples: int,
    rng: np.random.Generator,
    *,
    l2: float,
    sample_weights: np.ndarray | None = None,
    label_vectors: np.ndarray | None = None,
    start: LogisticHead | None = None,
) -> list[LogisticHead]:
    """Return heads fitted on bootstrap samples of the labeled pool: N documents drawn with replacement each.

    Parameters
    ----------
    features, labels, l2, sample_weights, label_vectors : as in `fit_logistic_head`
    samples : number of heads
    rng : draws the documents
    start : the head of the whole pool, if known; saves time and changes nothing else

    Returns
    -------
    heads : of length `samples`

    Raises
    ------
    ValueError
        As `fit_logistic_head`.
    """
    n = len(features)
    given = np.ones(n) if sample_weights is None else np.asarray(sample_weights, dtype=np.float64)

    def fit(weights: np.ndarray, start: LogisticHead | None) -> LogisticHead:
        return fit_logistic_head(
            features, labels, l2=l2, sample_weights=weights, label_vectors=label_vectors, start=start
        )

    start = fit(given, None) if start is None else start
    draws = rng.integers(n, size=(samples, n))
    return [fit(np.bincount(draw, minlength=n) * given, start) for draw in draws]


def _base_rates(problem: Problem) -> Parameters:
    """Return the start that gives each label its share of the labeled pool, half a document added on both sides."""
    positives, documents = np.sum(problem.weights * problem.labels, axis=0), np.sum(problem.weights)
    coefficients = np.zeros((problem.features.shape[1], problem.labels.shape[1]))
    coefficients[-1] = np.log((positives + 0.5) / (documents - positives + 0.5))
    return Parameters(coefficients, 0.0)


def _from_head(
    head: LogisticHead, axes: np.ndarray, names: np.ndarray | None, similarity_mean: np.ndarray | None
) -> Parameters:
    """Return a head as a start in the coordinates of another problem."""
    a = head.name_scale if names is not None else 0.0
    weight = head.weight if names is None else head.weight - a * names
    bias = head.bias if similarity_mean is None else head.bias + a * similarity_mean
    return Parameters(np.vstack([axes @ weight.T, bias]), a)


def _weighted_mean(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = weights.sum()
    return weights @ features / total if total > 0 else np.zeros(features.shape[1])


def _check(features: np.ndarray, labels: np.ndarray, weights: np.ndarray, names: np.ndarray | None, l2: float) -> None:
    if features.ndim != 2 or labels.ndim != 2 or len(features) != len(labels):
        raise ValueError(f"expected features (N, D) and labels (N, C), got {features.shape} and {labels.shape}")
    if weights.shape != (len(features),) or not (weights >= 0).all():
        raise ValueError(f"sample_weights: expected {len(features)} numbers, none negative, got {weights!r}")
    if names is not None and names.shape != (labels.shape[1], features.shape[1]):
        raise ValueError(
            f"label_vectors: expected (C, D) = {(labels.shape[1], features.shape[1])}, got {names.shape}: "
            "were names and documents embedded by the same encoder?"
        )
    if not all(np.isfinite(values).all() for values in (features, labels, weights, names) if values is not None):
        raise ValueError("expected finite features, labels, sample_weights and label_vectors, got NaN or infinity")
    if not (np.isfinite(l2) and l2 > 0):
        raise ValueError(f"l2: expected a positive number, got {l2!r}")

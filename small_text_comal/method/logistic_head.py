"""A linear head on fixed features: L2 logistic regression for all labels at once, solved instead of trained.

The problem is convex: a fit needs no seed, no epochs and no learning rate. Where the labels' names are known,
similarity to a name is evidence for the label, with one weight for all labels: a label without any positive can be
predicted because the others have taught what a name is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from small_text_comal.method.folds import document_folds, out_of_fold_probabilities
from small_text_comal.method.logistic_solver import Parameters, Problem, gradient_norm, minimise

__all__ = ["L2_CANDIDATES", "L2Choice", "LogisticHead", "bootstrap_heads", "choose_l2", "fit_logistic_head"]

L2_CANDIDATES = (1.0, 0.3, 0.1, 0.03, 0.01)
DEFAULT_L2 = 0.1  # of a single document, which cannot be held out

BIAS_PENALTY = 0.005  # of b^2 / 2; keeps the bias of a label without positives, or with nothing else, finite
PRIOR_NAME_SCALE = 10.0  # a without any labeled document; real corpora teach 7 to 22
NAME_SCALE_PENALTY = 0.0005  # of (a - prior)^2 / 2; a is finite also where names separate the few labeled documents
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
    shared a has no l2, only 0.00025 (a - 10)^2, without which it were infinite where names alone separate a handful of
    documents. Without any document the head has a = 10 and b = logit(1 / C): names rank the labels, with about one
    label per document.

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
    if weights.sum() == 0:
        return _prior_head(labels.shape[1], features.shape[1], names)
    similarity_mean = None if names is None else (weights @ features / weights.sum()) @ names.T
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
    if names is None or similarity_mean is None:
        return LogisticHead(weight, bias)
    a = solution.scale
    return LogisticHead(weight + a * names, bias - a * similarity_mean, a)


class L2Choice(NamedTuple):
    """A regularisation, and what its heads say of the documents they were not fitted on."""

    l2: float
    probabilities: np.ndarray  # (N, C) float32, out of fold


def choose_l2(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    sample_weights: np.ndarray | None = None,
    label_vectors: np.ndarray | None = None,
    n_folds: int = 4,
    seed: int = 0,
) -> L2Choice:
    """Return the l2 that fits clean and noisy labels alike: by log-loss out of fold, cautiously.

    Tries 1, 0.3, 0.1, 0.03, 0.01 until the mean log-loss of a document rises. Of those, it takes the largest whose
    loss exceeds the smallest by one standard error of that difference at most.

    Parameters
    ----------
    features, labels, sample_weights, label_vectors : as in `fit_logistic_head`, N of 1 at least
    n_folds, seed : as in `document_folds`

    Returns
    -------
    choice : l2 and its out-of-fold probabilities, from which cuts can be fitted

    Raises
    ------
    ValueError
        As `fit_logistic_head`, and without documents.
    """
    folds = document_folds(features, labels, n_folds, seed=seed)
    weights = np.ones(len(labels)) if sample_weights is None else np.asarray(sample_weights)
    choices: list[L2Choice] = []
    losses: list[np.ndarray] = []
    for l2 in L2_CANDIDATES if folds.any() else (DEFAULT_L2,):
        fit = partial(fit_logistic_head, l2=l2, label_vectors=label_vectors)
        held_out = out_of_fold_probabilities(features, labels, fit, folds=folds, sample_weights=sample_weights)
        choices.append(L2Choice(l2, held_out))
        losses.append(weights * _log_loss(held_out, labels))
        if len(losses) > 1 and losses[-1].sum() > losses[-2].sum():
            break
    best = min(losses, key=np.sum)
    for choice, loss in zip(choices, losses, strict=True):  # the largest l2 comes first
        excess = loss - best
        if excess.mean() <= excess.std() / len(excess) ** 0.5:
            return choice
    raise AssertionError("the best has no excess")


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


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the log-loss of each document, summed over labels (N,)."""
    of_truth = np.where(labels, probabilities, 1 - probabilities.astype(np.float64))
    return -np.log(np.maximum(of_truth, 1e-7)).sum(axis=1)


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
    if names is None or similarity_mean is None:
        return Parameters(np.vstack([axes @ head.weight.T, head.bias]), 0.0)
    a = head.name_scale
    return Parameters(np.vstack([axes @ (head.weight - a * names).T, head.bias + a * similarity_mean]), a)


def _prior_head(C: int, D: int, names: np.ndarray | None) -> LogisticHead:
    """Return the head without any labeled document."""
    bias = np.full(C, -np.log(max(C - 1, 1)))
    if names is None:
        return LogisticHead(np.zeros((C, D)), bias)
    return LogisticHead(PRIOR_NAME_SCALE * names, bias, PRIOR_NAME_SCALE)


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

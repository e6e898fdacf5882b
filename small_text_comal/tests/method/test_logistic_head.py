"""The linear head against an independent optimiser and its optimality conditions; names, weights, starts and edges."""

from functools import partial

import numpy as np
import pytest
from scipy.optimize import check_grad, minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from small_text_comal.method import logistic_head
from small_text_comal.method.folds import out_of_fold_probabilities
from small_text_comal.method.logistic_head import LogisticHead, bootstrap_heads, choose_l2, fit_logistic_head
from small_text_comal.method.logistic_solver import Parameters, Problem, _gradient, _logits, gradient_norm, minimise
from small_text_comal.metrics import ndcg_at_k

SIZES = [(6, 10, 3), (40, 10, 5), (120, 8, 4)]  # (N, D, C), fewer and more documents than features


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_case(seed, N=40, D=10, C=5):
    """Unit features near the vectors of their labels; the last label but one is nowhere, the last everywhere."""
    rng = np.random.default_rng(seed)
    names = unit(rng.standard_normal((C, D)))
    labels = rng.random((N, C)) < 0.3
    labels[:, -2], labels[:, -1] = False, True
    features = unit(labels[:, :-1] @ names[:-1] + 0.5 * rng.standard_normal((N, D)))
    return features, labels, names


# --- the oracle: the documented objective, written out by loops, and its numerical minimum ----------------------------


def objective_by_loops(W, b, a, features, labels, *, l2, names=None, weights=None):
    N, C = labels.shape
    weights = np.ones(N) if weights is None else weights
    total = l2 / 2 * float((W**2).sum()) + 0.0025 * float((b**2).sum())
    if names is not None:
        total += 0.00025 * (a - 10) ** 2
        mean = sum(w * v for w, v in zip(weights, features, strict=True)) / weights.sum()
    for i in range(N):
        for j in range(C):
            logit = features[i] @ W[j] + b[j]
            if names is not None:
                logit += a * (features[i] @ names[j] - mean @ names[j])
            total += weights[i] * (np.logaddexp(0, logit) - labels[i, j] * logit)
    return total


def fit_by_scipy(features, labels, *, l2, names=None, weights=None):
    """Return the probabilities of the labeled pool at the minimum that a quasi-Newton method without gradient finds."""
    C, D = labels.shape[1], features.shape[1]

    def unpack(x):
        return x[: C * D].reshape(C, D), x[C * D : -1], x[-1]

    result = minimize(
        lambda x: objective_by_loops(*unpack(x), features, labels, l2=l2, names=names, weights=weights),
        np.zeros(C * D + C + 1),
        method="BFGS",
        options={"gtol": 1e-4, "maxiter": 3000},
    )
    W, b, a = unpack(result.x)
    logits = features @ W.T + b
    if names is not None:
        mean = np.average(features, axis=0, weights=weights)
        logits += a * (features - mean) @ names.T
    return expit(logits), a, result.fun


@pytest.mark.parametrize("with_names", [False, True])
@pytest.mark.parametrize("with_weights", [False, True])
def test_the_minimum_is_the_one_another_optimiser_finds(with_names, with_weights):
    features, labels, names = random_case(0, N=8, D=3, C=3)
    names = names if with_names else None
    weights = np.random.default_rng(0).uniform(0.2, 3, 8) if with_weights else None
    expected, a, _ = fit_by_scipy(features, labels, l2=0.3, names=names, weights=weights)
    head = fit_logistic_head(features, labels, l2=0.3, label_vectors=names, sample_weights=weights)
    np.testing.assert_allclose(head.probabilities(features), expected, atol=2e-4)
    assert head.name_scale == pytest.approx(a if with_names else 0, rel=1e-2)


@pytest.mark.parametrize("N, D, C", SIZES)
@pytest.mark.parametrize("with_names", [False, True])
def test_the_gradient_is_zero_there(N, D, C, with_names):
    features, labels, names = random_case(1, N, D, C)
    head = fit_logistic_head(features, labels, l2=0.05, label_vectors=names if with_names else None)
    residuals = head.probabilities(features) - labels
    a, mean = head.name_scale, features.mean(axis=0)
    W, b = head.weight - a * names, head.bias + a * names @ mean
    start = labels.mean(axis=0) - labels  # about the residuals at the base rates
    allowed = 1e-5 * np.linalg.norm(start.T @ features)
    assert np.linalg.norm(residuals.T @ features + 0.05 * W) < allowed
    assert np.linalg.norm(residuals.sum(axis=0) + 0.005 * b) < allowed
    if with_names:
        assert abs(np.sum(residuals * ((features - mean) @ names.T)) + 0.0005 * (a - 10)) < allowed


def test_sklearn_agrees_where_the_bias_is_free(monkeypatch):
    monkeypatch.setattr(logistic_head, "BIAS_PENALTY", 1e-9)
    features, labels, _ = random_case(2, 60, 10, 5)
    head = fit_logistic_head(features, labels[:, :2], l2=0.5)
    for j in range(2):
        theirs = LogisticRegression(C=1 / 0.5, tol=1e-10, max_iter=5000).fit(features, labels[:, j])
        np.testing.assert_allclose(head.weight[j], theirs.coef_[0], atol=1e-4)
        assert head.bias[j] == pytest.approx(theirs.intercept_[0], abs=1e-4)


def test_the_solver_agrees_with_numerical_gradients():
    features, labels, names = random_case(3, 7, 3, 3)
    ones = np.column_stack([features, np.ones(7)])
    problem = Problem(ones, labels.astype(float), np.ones((7, 1)), np.full((4, 1), 0.2), features @ names.T, 10.0, 0.1)

    def objective(x):
        return objective_of(problem, x)

    def gradient(x):
        point = Parameters(x[:-1].reshape(4, 3), x[-1])
        g = _gradient(problem, point, _logits(problem, point))
        return np.append(g.coefficients.ravel(), g.scale)

    x = np.random.default_rng(0).standard_normal(13)
    assert check_grad(objective, gradient, x) < 1e-5


def objective_of(problem, x):
    logits = problem.features @ x[:-1].reshape(4, 3) + x[-1] * problem.similarity
    losses = np.logaddexp(0, logits) - problem.labels * logits
    return losses.sum() + 0.1 * (x[:-1] ** 2).sum() + 0.05 * (x[-1] - 10) ** 2


def test_a_hopeless_tolerance_is_reported_with_the_numbers():
    features, labels, _ = random_case(0, 10, 4, 3)
    problem = Problem(features, labels.astype(float), np.ones((10, 1)), np.full((4, 1), 0.1), None)
    start = Parameters(np.zeros((4, 3)), 0.0)
    with pytest.warns(RuntimeWarning, match="stopped at a gradient of .* expected 1.0e-300"):
        best = minimise(problem, start, 1e-300)
    assert gradient_norm(problem, best) < 1e-6


# --- the same result, whatever the way --------------------------------------------------------------------------------


@pytest.mark.parametrize("with_names", [False, True])
def test_the_same_input_gives_the_same_bits(with_names):
    features, labels, names = random_case(4)
    first, second = (
        fit_logistic_head(features, labels, l2=0.1, label_vectors=names if with_names else None) for _ in range(2)
    )
    assert first.weight.tobytes() == second.weight.tobytes() and first.bias.tobytes() == second.bias.tobytes()


@pytest.mark.parametrize("with_names", [False, True])
@pytest.mark.parametrize("l2", [0.01, 0.1, 1.0])
def test_a_warm_start_ends_in_the_same_place(with_names, l2):
    features, labels, names = random_case(5, 80, 20, 6)
    names = names if with_names else None
    cold = fit_logistic_head(features, labels, l2=l2, label_vectors=names)
    earlier = fit_logistic_head(features[:50], labels[:50], l2=0.5, label_vectors=names)
    warm = fit_logistic_head(features, labels, l2=l2, label_vectors=names, start=earlier)
    np.testing.assert_allclose(warm.probabilities(features), cold.probabilities(features), atol=1e-6)


def test_a_start_without_names_serves_a_fit_with_names_and_the_other_way_round():
    features, labels, names = random_case(6)
    plain, named = (fit_logistic_head(features, labels, l2=0.1, label_vectors=e) for e in (None, names))
    again = fit_logistic_head(features, labels, l2=0.1, label_vectors=names, start=plain)
    np.testing.assert_allclose(again.probabilities(features), named.probabilities(features), atol=1e-6)
    again = fit_logistic_head(features, labels, l2=0.1, start=named)
    np.testing.assert_allclose(again.probabilities(features), plain.probabilities(features), atol=1e-6)


def test_a_weight_of_two_is_a_document_twice_and_of_zero_none():
    features, labels, names = random_case(7, 20)
    weights = np.array([2.0] * 5 + [0.0] * 5 + [1.0] * 10)
    repeated = np.repeat(np.arange(20), weights.astype(int))
    weighted = fit_logistic_head(features, labels, l2=0.1, label_vectors=names, sample_weights=weights)
    plain = fit_logistic_head(features[repeated], labels[repeated], l2=0.1, label_vectors=names)
    np.testing.assert_allclose(weighted.logits(features), plain.logits(features), atol=1e-5)


def test_the_order_of_documents_and_labels_does_not_matter():
    features, labels, names = random_case(8)
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(len(labels)), rng.permutation(labels.shape[1])
    head = fit_logistic_head(features, labels, l2=0.1, label_vectors=names)
    other = fit_logistic_head(features[rows], labels[rows][:, columns], l2=0.1, label_vectors=names[columns])
    np.testing.assert_allclose(other.logits(features), head.logits(features)[:, columns], atol=1e-5)


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 0)])
def test_probabilities_keep_the_features_type(dtype, tolerance):
    features, labels, _ = random_case(9)
    head = fit_logistic_head(features, labels, l2=0.1)
    probabilities = head.probabilities(features.astype(dtype))
    assert probabilities.dtype == dtype
    np.testing.assert_allclose(probabilities, expit(features @ head.weight.T + head.bias), atol=tolerance + 1e-15)


# --- names ------------------------------------------------------------------------------------------------------------


def test_names_find_a_label_that_has_no_positive():
    rng = np.random.default_rng(0)
    names = unit(rng.standard_normal((6, 12)))
    topics = rng.integers(6, size=300)
    features = unit(names[topics] + 0.2 * rng.standard_normal((300, 12)))
    train = (topics[:150] != 5).nonzero()[0]
    head = fit_logistic_head(features[train], np.eye(6)[topics[train]], l2=0.1, label_vectors=names)
    plain = fit_logistic_head(features[train], np.eye(6)[topics[train]], l2=0.1)
    unseen = topics[150:] == 5
    for fitted, at_least, at_most in ((head, 0.9, 1.0), (plain, -1.0, 0.3)):
        logits = fitted.logits(features[150:])[:, 5]
        found = np.mean(logits[unseen].min() > np.quantile(logits[~unseen], 0.9))
        assert at_least <= found <= at_most


def test_names_that_mean_nothing_change_little():
    features, labels, names = random_case(10, 400, 20, 6)
    nonsense = unit(np.random.default_rng(5).standard_normal(names.shape))
    nonsense -= (nonsense @ names.T) @ np.linalg.pinv(names).T  # no part of it lies along the true directions
    head, plain = (fit_logistic_head(features, labels, l2=0.1, label_vectors=e) for e in (nonsense, None))
    assert abs(head.name_scale) < 1
    assert np.abs(head.probabilities(features) - plain.probabilities(features)).max() < 0.1


def test_names_alone_rank_labels_before_the_first_document():
    features, labels, names = random_case(11, 60, 20, 6)
    head = fit_logistic_head(features[:0], labels[:0], l2=0.1, label_vectors=names)
    assert head.name_scale == 10
    np.testing.assert_allclose(head.logits(features), 10 * features @ names.T - np.log(5))
    scored = labels[:, :-1]  # without the label that is everywhere, which no name tells
    assert ndcg_at_k(scored, head.logits(features)[:, :-1], 3) > 0.8 * scored.any(axis=1).mean()


def test_names_that_separate_everything_leave_a_finite():
    names = np.eye(2)
    head = fit_logistic_head(names, np.eye(2), l2=0.1, label_vectors=names)
    assert 10 < head.name_scale < 50


# --- edges ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_names", [False, True])
@pytest.mark.parametrize("N, C", [(0, 1), (0, 3), (1, 1), (1, 3), (2, 3), (5, 1)])
@pytest.mark.parametrize("fill", [0, 1])
def test_little_to_learn_from_gives_finite_heads(N, C, fill, with_names):
    rng = np.random.default_rng(0)
    features, names = unit(rng.standard_normal((5, 4))), unit(rng.standard_normal((C, 4)))
    labels = np.full((N, C), fill)
    head = fit_logistic_head(features[:N], labels, l2=0.1, label_vectors=names if with_names else None)
    assert np.isfinite(head.weight).all() and np.isfinite(head.bias).all()
    probabilities = head.probabilities(features)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    if N:
        assert ((head.probabilities(features[:N]) > 0.5) == fill).all()


@pytest.mark.parametrize("with_names", [False, True])
def test_identical_embeddings_give_the_base_rates(with_names):
    features, labels = np.tile([[0.6, 0.8]], (20, 1)), np.arange(20)[:, None] < [5, 10]
    names = np.eye(2) if with_names else None
    head = fit_logistic_head(features, labels, l2=0.1, label_vectors=names)
    np.testing.assert_allclose(head.probabilities(features), np.tile([[0.25, 0.5]], (20, 1)), atol=0.01)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"features": np.ones(3)}, r"expected features \(N, D\)"),
        ({"labels": np.ones((3, 2))}, r"expected features \(N, D\)"),
        ({"sample_weights": np.ones(3)}, "expected 6 numbers"),
        ({"sample_weights": -np.ones(6)}, "none negative"),
        ({"label_vectors": np.ones((2, 10))}, "the same encoder"),
        ({"features": np.full((6, 10), np.nan)}, "NaN or infinity"),
        ({"l2": 0}, "l2: expected a positive number, got 0"),
        ({"l2": float("nan")}, "l2: expected a positive number"),
    ],
)
def test_wrong_input_is_refused(change, message):
    features, labels, _ = random_case(0, 6, 10, 3)
    with pytest.raises(ValueError, match=message):
        fit_logistic_head(**{"features": features, "labels": labels, "l2": 0.1, **change})


def test_features_of_another_encoder_are_refused():
    head = LogisticHead(np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(ValueError, match=r"expected features \(N, 3\), got \(1, 4\): .* another encoder"):
        head.logits(np.zeros((1, 4)))


# --- l2 ---------------------------------------------------------------------------------------------------------------


def noisy_case(noise, seed=0, N=160, D=30, C=6):
    """Features that tell the labels, a share of which is turned over."""
    rng = np.random.default_rng(seed)
    features = unit(rng.standard_normal((N, D)))
    labels = features @ rng.standard_normal((D, C)) > 0.8
    return features, labels ^ (rng.random((N, C)) < noise)


def test_noisier_labels_get_more_regularisation():
    assert choose_l2(*noisy_case(0.0)).l2 < choose_l2(*noisy_case(0.25)).l2


def test_features_that_tell_nothing_get_the_most():
    features, labels = noisy_case(0.0)
    assert choose_l2(features, np.random.default_rng(1).permutation(labels)).l2 == 1.0


def test_the_choice_is_the_largest_within_one_standard_error():
    features, labels = noisy_case(0.1)
    choice = choose_l2(features, labels)
    losses = {}
    for l2 in (1.0, 0.3, 0.1, 0.03, 0.01):
        p = out_of_fold_probabilities(features, labels, partial(fit_logistic_head, l2=l2)).astype(float)
        losses[l2] = np.array(
            [-sum(np.log(q if y else 1 - q) for q, y in zip(*row, strict=True)) for row in zip(p, labels, strict=True)]
        )
        if l2 == choice.l2:
            np.testing.assert_array_equal(choice.probabilities, p.astype(np.float32))
    best = min(losses, key=lambda l2: losses[l2].mean())
    close = [
        l2
        for l2, loss in losses.items()
        if (loss - losses[best]).mean() <= (loss - losses[best]).std() / len(labels) ** 0.5
    ]
    assert choice.l2 == max(close)
    assert len(close) > 1  # else the rule was not needed


def test_one_document_gets_the_default():
    choice = choose_l2(np.array([[1.0, 0.0]]), np.array([[1, 0]]))
    assert choice.l2 == 0.1 and choice.probabilities.shape == (1, 2)


# --- several opinions -------------------------------------------------------------------------------------------------


def test_bootstrap_heads_are_fits_on_repeated_documents():
    features, labels, names = random_case(12, 25)
    heads = bootstrap_heads(features, labels, 3, np.random.default_rng(1), l2=0.1, label_vectors=names)
    draws = np.random.default_rng(1).integers(25, size=(3, 25))
    for head, draw in zip(heads, draws, strict=True):
        expected = fit_logistic_head(features[draw], labels[draw], l2=0.1, label_vectors=names)
        np.testing.assert_allclose(head.probabilities(features), expected.probabilities(features), atol=1e-6)


def test_opinions_differ_less_the_more_documents_there_are():
    spreads = []
    for N in (20, 400):
        features, labels, _ = random_case(13, N)
        heads = bootstrap_heads(features, labels, 8, np.random.default_rng(0), l2=0.1, sample_weights=np.ones(N))
        spreads.append(np.std([head.probabilities(features[:20])[:, :3] for head in heads], axis=0).mean())
    assert 0 < spreads[1] < spreads[0] / 2

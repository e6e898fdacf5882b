"""Herding against a plain greedy search in loops, and whatever may not change a batch."""

import doctest
import itertools
import math
import statistics
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_text_comal.method import herding
from small_text_comal.method.herding import herd, herd_in_detail

# --- the oracle: loops over documents, components and references in double precision ----------------------------------


def unit_by_loops(vector):
    length = math.sqrt(sum(x * x for x in vector))
    return [round(x / length * 2048) / 2048 if length else 0.0 for x in vector]


def squared_distance_by_loops(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def width_by_loops(labeled, references):
    nearest = [
        min((squared_distance_by_loops(v, w) for j, w in enumerate(labeled) if j != i), default=0.0)
        for i, v in enumerate(labeled)
    ]
    pairs = [squared_distance_by_loops(v, w) for v, w in itertools.combinations(references, 2)]
    for distances in (nearest, pairs):
        if any(distances):
            return statistics.median(distances) or statistics.median([d for d in distances if d > 0])
    return 1.0


def plain_greedy(pool, labeled, uncertainty, n, references):
    """Gains of all documents (n lists of N) at each step, and how well each reference is covered by what was taken."""
    pool, labeled = [unit_by_loops(v) for v in pool], [unit_by_loops(v) for v in labeled]
    referred = [pool[i] for i in references]
    width = width_by_loops(labeled, referred)

    def s(a, b):
        return math.exp(-squared_distance_by_loops(a, b) / width)

    cover = [max((s(r, v) for v in labeled), default=0.0) for r in referred]

    def gain(x):
        return sum(uncertainty[i] * max(0.0, s(r, x) - c) for i, r, c in zip(references, referred, cover, strict=True))

    def take(x):
        for k, r in enumerate(referred):
            cover[k] = max(cover[k], s(r, x))

    return pool, gain, take


def assert_greedy(batch, pool, labeled, uncertainty, references):
    """Every document taken must have the largest gain of those that are left."""
    vectors, gain, take = plain_greedy(pool, labeled, uncertainty, len(batch.positions), references)
    left = set(range(len(pool)))
    for position, its_gain in zip(batch.positions.tolist(), batch.gains, strict=True):
        assert its_gain == pytest.approx(gain(vectors[position]), abs=1e-5 * max(uncertainty))
        assert its_gain >= max(gain(vectors[i]) for i in left) - 1e-5 * max(uncertainty)
        take(vectors[position])
        left.remove(position)


def random_case(seed, N=25, L=6, D=4, ties=False):
    """Features, labeled features, uncertainty; with `ties`, many documents and uncertainties are equal."""
    rng = np.random.default_rng(seed)
    features, labeled, uncertainty = rng.normal(size=(N, D)), rng.normal(size=(L, D)), rng.random(N)
    return (features.round(), labeled.round(), uncertainty.round()) if ties else (features, labeled, uncertainty)


def rng_of(seed):
    return np.random.default_rng(seed)


def test_docstring_examples():
    assert doctest.testmod(herding).failed == 0


@given(
    seed=st.integers(0, 2**31),
    shape=st.sampled_from([(1, 1, 1, 1), (9, 3, 2, 9), (25, 6, 4, 8), (12, 0, 3, 5), (12, 1, 3, 5)]),
    ties=st.booleans(),
)
def test_every_pick_has_the_largest_gain(seed, shape, ties):
    N, L, D, n = shape
    features, labeled, uncertainty = random_case(seed, N, L, D, ties)
    if not uncertainty.any():
        uncertainty[:] = 1
    batch = herd_in_detail(features, labeled, uncertainty, n, rng=rng_of(seed))
    assert len(set(batch.positions.tolist())) == n
    assert_greedy(batch, features.tolist(), labeled.tolist(), uncertainty.tolist(), range(N))


@given(seed=st.integers(0, 2**31), references=st.integers(1, 24))
def test_gains_are_summed_over_the_references_only(seed, references):
    features, labeled, uncertainty = random_case(seed)
    drawn = np.argsort(herding._seeded_keys(features, uncertainty, rng_of(seed))[0])[:references].tolist()
    batch = herd_in_detail(features, labeled, uncertainty, 7, references=references, rng=rng_of(seed))
    assert_greedy(batch, features.tolist(), labeled.tolist(), uncertainty.tolist(), drawn)


@given(seed=st.integers(0, 2**31), ties=st.booleans(), refreshed=st.sampled_from([1, 2, 5]))
def test_lazy_is_exactly_plain_whatever_is_refreshed_and_computed_at_a_time(seed, ties, refreshed):
    case = random_case(seed, N=60, D=20, ties=ties)

    def batch(at_a_time, values):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(herding, "_REFRESHED", at_a_time)
            patch.setattr(herding, "_BLOCK_VALUES", values)
            return herd_in_detail(*case, 30, references=40, rng=rng_of(seed))

    plain, lazy = batch(60, 2**20), batch(refreshed, 70)
    assert lazy.positions.tolist() == plain.positions.tolist()
    assert lazy.gains.tolist() == plain.gains.tolist()
    assert lazy.stands_for.tolist() == plain.stands_for.tolist()


def test_lazy_looks_at_few_documents(monkeypatch):
    looked_at = []
    gains = herding._Objective.gains
    monkeypatch.setattr(
        herding._Objective, "gains", lambda self, rows: looked_at.append(len(self.features[rows])) or gains(self, rows)
    )
    features, labeled, uncertainty = random_case(0, N=2000, D=8)
    herd(features, labeled, uncertainty, 20, references=200, rng=rng_of(0))
    assert sum(looked_at) < 20 * 2000 / 4  # plain: 20 * 2000


# --- what may not change a batch --------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**31), D=st.sampled_from([3, 100]), references=st.sampled_from([20, 1000]))
def test_permuting_the_pool_permutes_the_batch(seed, D, references):
    features, labeled, uncertainty = random_case(seed, N=80, D=D)
    order = rng_of(seed).permutation(80)
    first = herd_in_detail(features, labeled, uncertainty, 12, references=references, rng=rng_of(seed))
    second = herd_in_detail(features[order], labeled, uncertainty[order], 12, references=references, rng=rng_of(seed))
    assert order[second.positions].tolist() == first.positions.tolist()
    assert second.gains.tolist() == first.gains.tolist()


@given(seed=st.integers(0, 2**31))
def test_permuting_copies_permutes_the_batch_up_to_copies(seed):
    features, labeled, uncertainty = random_case(seed, N=40, D=2, ties=True)
    order = rng_of(seed).permutation(40)
    first = herd(features, labeled, uncertainty, 15, references=20, rng=rng_of(seed))
    second = order[herd(features[order], labeled, uncertainty[order], 15, references=20, rng=rng_of(seed))]
    np.testing.assert_array_equal(herding._unit(features[second]), herding._unit(features[first]))


def test_lengths_and_the_scale_of_uncertainty_do_not_matter():
    features, labeled, uncertainty = random_case(3)
    expected = herd_in_detail(features, labeled, uncertainty, 10, rng=rng_of(0))
    scaled = herd_in_detail(features * 8, (labeled / 4).astype(np.float32), uncertainty * 1e12, 10, rng=rng_of(0))
    assert scaled.positions.tolist() == expected.positions.tolist()
    np.testing.assert_allclose(scaled.gains, expected.gains * 1e12)
    np.testing.assert_array_equal(scaled.stands_for, expected.stands_for)


def test_same_seed_same_batch_other_seed_other_references():
    features, labeled, uncertainty = random_case(1, N=300)
    batches = [herd(features, labeled, uncertainty, 5, references=10, rng=rng_of(seed)).tolist() for seed in (0, 0, 1)]
    assert batches[0] == batches[1] != batches[2]


def test_inputs_are_not_changed():
    case = random_case(2)
    before = [array.copy() for array in case]
    for array in case:
        array.setflags(write=False)
    herd(*case, 5, rng=rng_of(0))
    for now, then in zip(case, before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("D", [1, 384, 4096])
def test_distances_are_exact_in_float32(D):
    rng = rng_of(0)
    a, b = herding._unit(rng.normal(size=(40, D))), herding._unit(rng.normal(size=(30, D)))
    exact = ((a.astype(float)[:, None] - b.astype(float)) ** 2).sum(axis=2)
    np.testing.assert_array_equal(herding._squared_distance(a, b), exact)
    assert (np.diag(herding._squared_distance(a, a)) == 0).all()


def test_rounding_to_the_grid_moves_no_cosine_far():
    rng = rng_of(0)
    vectors = rng.normal(size=(200, 384))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    on_grid = herding._unit(vectors).astype(float)
    assert np.abs(on_grid @ on_grid.T - vectors @ vectors.T).max() < 2e-3


# --- the draw ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copies", [False, True])
def test_every_document_is_a_reference_equally_often(copies):
    features = np.ones((10, 2)) if copies else np.vstack([np.zeros(2), rng_of(0).normal(size=(9, 2))])
    seeds = 2000
    drawn = [np.argsort(herding._seeded_keys(features, np.ones(10), rng_of(seed))[0])[:3] for seed in range(seeds)]
    counts = np.bincount(np.concatenate(drawn), minlength=10)
    assert np.abs(counts - 0.3 * seeds).max() < 5 * math.sqrt(0.3 * 0.7 * seeds)


def test_equal_gains_are_decided_by_the_seed():
    features, labeled = np.ones((4, 2)), np.array([[1.0, -1.0], [-1.0, 1.0]])
    first = {int(herd(features, labeled, np.ones(4), 1, rng=rng_of(seed))[0]) for seed in range(60)}
    assert first == {0, 1, 2, 3}


# --- what stands for what ---------------------------------------------------------------------------------------------


def test_each_document_stands_for_its_group():
    groups = np.repeat(np.eye(3), [7, 5, 2], axis=0)
    batch = herd_in_detail(groups, -np.eye(3)[:2], np.ones(14), 3, rng=rng_of(0))
    assert batch.stands_for.tolist() == [7, 5, 2]
    assert batch.gains == pytest.approx(batch.gains[2] * np.array([7, 5, 2]) / 2, rel=0.3)
    labeled_too = herd_in_detail(groups, np.array([[0, 1.0, 0], [1.0, 1.0, 0]]), np.ones(14), 2, rng=rng_of(0))
    assert labeled_too.stands_for.tolist() == [7, 2]


def test_references_are_scaled_up_to_the_pool():
    groups = np.repeat(np.eye(2), [600, 200], axis=0)
    batch = herd_in_detail(groups, -np.eye(2), np.ones(800), 2, references=200, rng=rng_of(0))
    assert batch.stands_for.sum() == pytest.approx(800, abs=2)
    assert batch.stands_for[0] == pytest.approx(600, abs=100)


def test_a_copy_of_what_is_taken_stands_for_itself():
    batch = herd_in_detail(np.ones((3, 2)), np.eye(2), np.ones(3), 3, rng=rng_of(0))
    assert batch.stands_for.tolist() == [3, 1, 1]
    assert batch.gains[1:].tolist() == [0, 0]


# --- edges ------------------------------------------------------------------------------------------------------------


def test_without_any_uncertainty_all_documents_count_alike():
    features, labeled, _ = random_case(4)
    expected = herd_in_detail(features, labeled, np.ones(25), 6, rng=rng_of(0))
    zero = herd_in_detail(features, labeled, np.zeros(25), 6, rng=rng_of(0))
    assert zero.positions.tolist() == expected.positions.tolist()
    assert (zero.gains > 0).all()
    thrice = herd(features, labeled, np.full(25, 3.0), 6, rng=rng_of(0))
    assert thrice.tolist() == expected.positions.tolist()


def test_certain_documents_are_not_represented():
    features = np.repeat(np.eye(2), [50, 3], axis=0)
    uncertainty = np.repeat([0.0, 1.0], [50, 3])
    assert herd(features, -np.eye(2), uncertainty, 1, rng=rng_of(0))[0] >= 50


@pytest.mark.parametrize("labeled", [np.zeros((0, 3)), np.ones((1, 3)), np.ones((5, 3)), np.zeros((2, 3))])
@pytest.mark.parametrize(
    "features", [np.ones((6, 3)), np.zeros((6, 3)), np.eye(6, 3), rng_of(0).normal(size=(6, 3)), -np.ones((1, 3))]
)
def test_where_the_width_is_undefined_the_batch_is_still_whole(features, labeled):
    batch = herd_in_detail(features, labeled, np.ones(len(features)), len(features), rng=rng_of(0))
    assert sorted(batch.positions.tolist()) == list(range(len(features)))
    assert np.isfinite(batch.gains).all()
    assert_greedy(batch, features.tolist(), labeled.tolist(), [1.0] * len(features), range(len(features)))


def test_copies_among_the_labeled_documents_do_not_make_the_width_zero():
    labeled = herding._unit(np.array([[1.0, 0], [1, 0], [1, 0], [0, 1], [-1, 0]]))
    assert herding._squared_width(labeled, labeled[:0]) == pytest.approx(2)
    assert herding._squared_width(labeled[2:], labeled[:0]) == pytest.approx(2)
    assert herding._squared_width(labeled[:3], labeled[3:]) == pytest.approx(2)
    assert herding._squared_width(labeled[:3], labeled[:2]) == 1


def test_memory_does_not_grow_with_documents_times_references():
    features = rng_of(0).normal(size=(20_000, 8)).astype(np.float32)
    tracemalloc.start()
    herd(features, features[:10], np.ones(len(features)), 3, rng=rng_of(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 1000 * 4 / 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.ones(4)}, r"features \(N, D\) and labeled features \(L, D\), got \(4,\)"),
        (
            {"labeled_features": np.ones((2, 3))},
            r"got \(4, 2\) and \(2, 3\): were they computed by the same",
        ),
        ({"uncertainty": np.ones(3)}, r"uncertainty of each of the 4 documents, got \(3,\)"),
        ({"uncertainty": np.ones((4, 1))}, r"uncertainty of each of the 4 documents, got \(4, 1\)"),
        ({"uncertainty": np.array([1, np.nan, 1, 1])}, "finite numbers >= 0, got NaN"),
        ({"uncertainty": np.array([1, np.inf, 1, 1])}, "finite numbers >= 0"),
        ({"uncertainty": np.array([1, -0.1, 1, 1])}, "finite numbers >= 0"),
        ({"features": np.full((4, 2), np.nan)}, "the features hold NaN or infinity"),
        ({"labeled_features": np.full((1, 2), np.inf)}, "the features hold NaN or infinity"),
        ({"n": 5}, r"n: expected a number within \[1, 4\] .*got 5"),
        ({"n": 0}, "got 0"),
        ({"references": 0}, "references: expected an integer >= 1, got 0"),
    ],
)
def test_bad_input(change, message):
    arguments = {"features": np.eye(4, 2), "labeled_features": np.ones((1, 2)), "uncertainty": np.ones(4), "n": 2}
    with pytest.raises(ValueError, match=message):
        herd(**{**arguments, **change}, rng=rng_of(0))

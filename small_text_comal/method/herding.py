"""Batches by herding: documents that together stand for what is uncertain in the pool.

Uncertainty Herding (Bae et al., ICLR 2025); with equal uncertainties it is MaxHerding (Bae et al., ECCV 2024).

The same seed gives the same batch on any number of threads and in any order of the pool, because nothing depends on
how sums are grouped. Unit vectors are rounded to multiples of 2^-11: products and partial sums of two of them are
multiples of 2^-22 within [-2, 2], which float32 holds exactly, so a matrix product has one result only (and a copy of a
document has distance 0). Gains are summed for each document in the order of the references.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["Herd", "herd", "herd_in_detail"]

_STEPS = 2**11  # of a unit vector's component
_BLOCK_VALUES = 2**20  # similarities computed at a time, 4 MiB
_PAIRED = 1000  # references whose pairs are looked at
_REFRESHED = 64  # gains brought up to date at a time


class Herd(NamedTuple):
    """A batch, the best document first.

    `positions` (n,) int in the pool; `gains` (n,) float64, what each adds to the objective; `stands_for` (n,) int >= 1,
    about how many documents of the pool lie nearer to it than to any labeled document or any other of the batch; it is
    counted among the references.
    """

    positions: np.ndarray
    gains: np.ndarray
    stands_for: np.ndarray


def herd(
    features: np.ndarray,
    labeled_features: np.ndarray,
    uncertainty: np.ndarray,
    n: int,
    *,
    references: int = 1000,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return `n` documents that together cover the uncertainty of a pool.

    Repeatedly takes the document x with the largest gain sum_i U_i max(0, s(i, x) - max_l s(i, l)), where i runs over
    the references, documents drawn from the pool, and l over all documents labeled or already taken. s(a, b) =
    exp(-|v_a - v_b|^2 / h^2) on unit vectors; h^2 is the median over the labeled documents of the squared distance to
    the nearest other one.

    Parameters
    ----------
    features : (N, D) float of the pool, scaled to unit length here; a zero vector stays one
    labeled_features : (L, D) float of the labeled documents, L >= 0
    uncertainty : (N,) float, U >= 0; only ratios matter. If all references have 0, all count alike.
    n : size of the batch, at most N
    references : documents that the gain is summed over; all of a smaller pool
    rng : draws the references, and decides between equal gains

    Returns
    -------
    positions : (n,) int, different, best first

    Raises
    ------
    ValueError
        On other shapes, an n outside [1, N], NaN, infinity or a negative uncertainty.

    Notes
    -----
    The lazy greedy algorithm: gains only shrink, so a gain that is out of date is an upper bound, and only the leading
    ones are computed again. The batch is exactly the plain greedy algorithm's. O(N R D + R L D + L^2 D) time and O(N +
    (R + L) D) memory beside the features, for R references.

    h^2 where its definition gives none: zeros are left out if the median is 0; with fewer than two different labeled
    documents it is the median of the squared distances between references, zeros left out likewise; 1 if these are all
    equal, too.

    Permuting the pool permutes the batch; which of several identical documents is taken may change.

    Examples
    --------
    Two groups and a document in between; the second group is less certain, and one of each is enough.

    >>> pool = np.array([[1.0, 0.0], [0.99, 0.1], [0.7, 0.7], [0.0, 1.0], [0.1, 0.99]])
    >>> labeled, uncertainty = np.array([[-1.0, 0.0], [-0.9, 0.5]]), np.array([1.0, 1.0, 1.0, 2.0, 2.0])
    >>> herd(pool, labeled, uncertainty, 2, rng=np.random.default_rng(0)).tolist()
    [4, 1]
    """
    return herd_in_detail(features, labeled_features, uncertainty, n, references=references, rng=rng).positions


def herd_in_detail(
    features: np.ndarray,
    labeled_features: np.ndarray,
    uncertainty: np.ndarray,
    n: int,
    *,
    references: int = 1000,
    rng: np.random.Generator,
) -> Herd:
    """Return what `herd` returns, with the gain of each document and the number of documents that it stands for."""
    features, labeled_features = np.asarray(features), np.asarray(labeled_features)
    uncertainty = np.asarray(uncertainty, dtype=np.float64)
    _check(features, labeled_features, uncertainty, n, references)
    draw, ties = _seeded_keys(features, uncertainty, rng)
    drawn = np.argsort(draw, kind="stable")[:references]
    reference, labeled = _unit(features[drawn]), _unit(labeled_features)
    kernel = _Kernel(reference, _squared_width(labeled, reference))
    largest = uncertainty[drawn].max()
    weight = uncertainty[drawn] / largest if largest > 0 else np.ones(len(drawn))
    objective = _Objective(features, kernel, weight.astype(np.float32), kernel.nearest(labeled))
    positions, gains = _lazy_greedy(objective, ties, n)
    owned = np.bincount(objective.owner[objective.owner >= 0], minlength=n) * (len(features) / len(drawn))
    return Herd(positions, gains * (largest or 1.0), np.maximum(1, np.rint(owned)).astype(np.intp))


class _Kernel:
    """s(x, i) = exp(-|v_x - v_i|^2 / h^2) to the references, whose `vectors` (R, D) are unit vectors."""

    def __init__(self, vectors: np.ndarray, squared_width: float) -> None:
        self.vectors = vectors
        self.factor = np.float32(-1 / squared_width)

    def similarity(self, vectors: np.ndarray) -> np.ndarray:
        """Of unit vectors (b, D) to the references, (b, R) float32."""
        distance = _squared_distance(vectors, self.vectors)
        np.multiply(distance, self.factor, out=distance)
        return np.exp(distance, out=distance)

    def nearest(self, vectors: np.ndarray) -> np.ndarray:
        """Of each reference to the most similar of the unit vectors (L, D), (R,) float32; 0 where L = 0."""
        nearest = np.zeros(len(self.vectors), dtype=np.float32)
        for block in _blocks(len(vectors), len(nearest)):
            np.maximum(nearest, self.similarity(vectors[block]).max(axis=0), out=nearest)
        return nearest


class _Objective:
    """How well the references are covered: `cover` (R,), and by which of the batch (`owner` (R,), -1 by none)."""

    def __init__(self, features: np.ndarray, kernel: _Kernel, weight: np.ndarray, cover: np.ndarray) -> None:
        self.features, self.kernel, self.weight, self.cover = features, kernel, weight, cover
        self.owner = np.full(len(cover), -1)

    def gains(self, positions: np.ndarray | slice) -> np.ndarray:
        """What each document would add, (b,) float32."""
        gain = self.kernel.similarity(_unit(self.features[positions]))
        gain -= self.cover
        np.maximum(gain, 0, out=gain)
        gain *= self.weight
        return gain.sum(axis=1)

    def all_gains(self) -> np.ndarray:
        """Of the whole pool, (N,) float32."""
        return np.concatenate([self.gains(b) for b in _blocks(len(self.features), len(self.cover))])

    def take(self, position: int, step: int) -> None:
        """Let a document cover what it is nearest to."""
        similarity = self.kernel.similarity(_unit(self.features[[position]]))[0]
        self.owner[similarity > self.cover] = step
        np.maximum(self.cover, similarity, out=self.cover)


def _lazy_greedy(objective: _Objective, ties: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n,) and gains (n,) of the greedy batch; among equal gains the smallest of `ties` (N,) comes first."""
    bounds = objective.all_gains()
    up_to_date = np.zeros(len(bounds), dtype=np.intp)  # the step that a bound was computed for
    positions, gains = np.empty(n, dtype=np.intp), np.empty(n)
    for step in range(n):
        while True:
            leaders = np.flatnonzero(bounds == bounds.max())
            leader = leaders[np.argmin(ties[leaders])]
            if up_to_date[leader] == step:
                break
            nearly = np.argpartition(-bounds, min(_REFRESHED, len(bounds) - 1))[:_REFRESHED]
            stale = np.append(nearly[(up_to_date[nearly] < step) & (nearly != leader)], leader)
            bounds[stale] = objective.gains(stale)
            up_to_date[stale] = step
        positions[step], gains[step] = leader, bounds[leader]
        objective.take(leader, step)
        bounds[leader] = -np.inf
        up_to_date[leader] = n
    return positions, gains


def _squared_width(labeled: np.ndarray, reference: np.ndarray) -> float:
    """h^2 for unit vectors of the labeled documents (L, D) and the references (R, D); see the notes of `herd`."""
    distance = _to_nearest_other(labeled)
    if not (distance > 0).any():
        distance = _between_pairs(reference)
    if not (distance > 0).any():
        return 1.0
    return float(np.median(distance) or np.median(distance[distance > 0]))


def _between_pairs(vectors: np.ndarray) -> np.ndarray:
    """Squared distances of the pairs among the first of the unit vectors (R, D)."""
    first = vectors[:_PAIRED]
    return _squared_distance(first, first)[np.triu_indices(len(first), 1)]


def _to_nearest_other(vectors: np.ndarray) -> np.ndarray:
    """Squared distance of each unit vector (L, D) to the nearest other one, (L,); empty where there is no other."""
    nearest = np.empty(len(vectors) if len(vectors) > 1 else 0, dtype=np.float32)
    for block in _blocks(len(nearest), len(nearest)):
        distance = _squared_distance(vectors[block], vectors)
        distance[np.arange(len(distance)), np.arange(len(vectors))[block]] = np.inf
        nearest[block] = distance.min(axis=1)
    return nearest


def _squared_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b|^2 of unit vectors (n, D) and (m, D), (n, m) float32, exact."""
    distance = a @ b.T
    distance *= -2
    distance += (a * a).sum(axis=1)[:, None]
    distance += (b * b).sum(axis=1)
    return distance


def _unit(features: np.ndarray) -> np.ndarray:
    """Rows of (b, D) at unit length, rounded to the grid, float32."""
    vectors = np.asarray(features, dtype=np.float64)
    length = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return (np.rint(unit * _STEPS) / _STEPS).astype(np.float32)


def _seeded_keys(
    features: np.ndarray, uncertainty: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Two random orders of the pool that belong to the documents, not to their positions: integer keys (N,) and (N,).

    A key is a random linear function of a document's unit vector on its grid, modulo 2^64. Copies of a document differ
    by a further coordinate: how many of them have a smaller uncertainty.
    """
    multipliers = rng.integers(2**64, size=(features.shape[1] + 2, 2), dtype=np.uint64)
    keys = np.empty((len(features), 2), dtype=np.uint64)
    for block in _blocks(len(features), features.shape[1]):
        on_grid = (_unit(features[block]) * _STEPS).astype(np.int64).view(np.uint64)
        keys[block] = on_grid @ multipliers[:-2] + multipliers[-2]
    order = np.lexsort((uncertainty, keys[:, 0]))
    starts = np.append(True, np.diff(keys[order, 0]) != 0)
    copies = np.empty(len(order), dtype=np.uint64)
    copies[order] = np.arange(len(order)) - np.flatnonzero(starts)[np.cumsum(starts) - 1]
    keys += copies[:, None] * multipliers[-1]
    return keys[:, 0], keys[:, 1]


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    size = max(1, _BLOCK_VALUES // max(1, columns))
    return (slice(start, start + size) for start in range(0, rows, size))


def _check(features: np.ndarray, labeled: np.ndarray, uncertainty: np.ndarray, n: int, references: int) -> None:
    if features.ndim != 2 or labeled.ndim != 2 or labeled.shape[1] != features.shape[1]:
        raise ValueError(
            f"expected features (N, D) and labeled features (L, D), got {features.shape} and {labeled.shape}: "
            "were they computed by the same classifier?"
        )
    if uncertainty.shape != (len(features),):
        raise ValueError(f"expected an uncertainty of each of the {len(features)} documents, got {uncertainty.shape}")
    if not 1 <= n <= len(features):
        raise ValueError(f"n: expected a number within [1, {len(features)}] (documents of the pool), got {n}")
    if references < 1:
        raise ValueError(f"references: expected an integer >= 1, got {references}")
    if not all(np.isfinite(v[block]).all() for v in (features, labeled) for block in _blocks(*v.shape)):
        raise ValueError("the features hold NaN or infinity: did the classifier's training diverge?")
    if not (np.isfinite(uncertainty).all() and (uncertainty >= 0).all()):
        raise ValueError("uncertainty: expected finite numbers >= 0, got NaN, infinity or a negative number")

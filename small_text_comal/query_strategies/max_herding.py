"""MaxHerding: documents that together stand for the pool (Bae et al., ECCV 2024)."""

from __future__ import annotations

import numpy as np

from small_text_comal.method.herding import herd
from small_text_comal.query_strategies.base import PoolQueryStrategy
from small_text_comal.query_strategies.pool import Pool

__all__ = ["MaxHerding"]


class MaxHerding(PoolQueryStrategy):
    """Query documents that, with the labeled ones, best cover the pool, whatever the classifier predicts.

    Needs feature vectors only. Cost O(N R D + R L D + L^2 D) time for N unlabeled and L labeled documents and R = 1,000
    references; never N x R.

    Parameters
    ----------
    seed : None, int or numpy Generator
        Draws the references and breaks ties.
    """

    def _select(self, pool: Pool, n: int) -> np.ndarray:
        return herd(pool.features, pool.labeled_features, np.ones(len(pool)), n, rng=self.rng)

"""Micro-F1 after five rounds of CoMAL, with and without the feature cache.

All layers are frozen here: with fewer, so few labels teach the encoder little, and little would be compared.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from report import Table, Target
from workload import QUERY_SIZE, Settings, Workload, comal_factory, dense_labels, learning_options

from small_text_comal import CoMAL, ContrastiveBranchArguments
from small_text_comal.config import FeatureCacheArguments
from small_text_comal.metrics import micro_f1

__all__ = ["quality_tables"]

ROUNDS = 5


def quality_tables(workload: Workload, settings: Settings) -> Iterator[Table]:
    """Yield the table of scores; a third of the pool is held out to test on."""
    seeds = range(settings.seed, settings.seed + settings.seeds)
    scores = {
        cached: [_final_score(workload, settings, seed, cached=cached) for seed in seeds] for cached in (False, True)
    }
    uncached, cached = scores[False], scores[True]
    difference = abs(float(np.mean(cached) - np.mean(uncached)))
    spread = max(uncached) - min(uncached)
    rows = [
        [name, *(f"{100 * score:.2f}" for score in values), f"{100 * np.mean(values):.2f}"]
        for name, values in (("without cache", uncached), ("with cache", cached))
    ]
    title = f"{workload.name}: micro-F1 in % after {ROUNDS} rounds of {QUERY_SIZE} documents"
    name = f"{workload.name}: micro-F1, cached against uncached"
    # one seed has no spread to compare with
    targets = [Target(name, difference, spread, at_most=True)] if len(seeds) > 1 else []
    yield Table(title, ["", *(f"seed {seed}" for seed in seeds), "mean"], rows, targets)


def _final_score(workload: Workload, settings: Settings, seed: int, *, cached: bool) -> float:
    branch = ContrastiveBranchArguments(max_epochs=settings.epochs, patience=settings.epochs)
    factory = comal_factory(
        workload,
        settings,
        branch=branch,
        cache=FeatureCacheArguments(enabled=cached),
        **learning_options(settings),
    )
    pool, test = np.split(workload.pool, [len(workload.pool) * 2 // 3])
    order = np.random.default_rng(seed).permutation(np.concatenate([workload.labeled, pool]))
    labeled, pool = np.split(order, [QUERY_SIZE])
    for round_number in range(ROUNDS):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (small-text shuffles with it)
        clf = factory.new().fit(workload.part(np.sort(labeled)), workload.part(workload.validation))
        if round_number < ROUNDS - 1:
            n = min(QUERY_SIZE, len(pool))
            y = workload.dataset.y[labeled]
            queried = CoMAL(seed=seed).query(clf, workload.dataset, pool, labeled, y, n=n)
            labeled, pool = np.concatenate([labeled, queried]), np.setdiff1d(pool, queried)
    predicted = clf.label_probabilities(workload.dataset[test]) >= 0.5
    return float(micro_f1(dense_labels(workload.dataset.y[test]), predicted))

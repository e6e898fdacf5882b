"""What the feature cache and its number format do to probabilities and queries of one fixed model.

The model is one that has learned something. One that has not finds all documents alike: where it predicts no label at
all, the order of the "reference" criterion is decided by the last bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from report import Table, Target
from workload import QUERY_SIZE, Settings, Workload, comal_factory, learning_options

from small_text_comal import CoMAL, ContrastiveBranchArguments
from small_text_comal.config import STORAGE_DTYPES, FeatureCacheArguments
from small_text_comal.encoder.frozen.feature_cache import FeatureCache

__all__ = ["storage_tables"]

AGREEMENT, EXACT, EPOCHS = 95, 1e-5, 20


def storage_tables(workload: Workload, settings: Settings) -> Iterator[Table]:
    """Yield the table of differences to the uncached path."""
    torch.manual_seed(settings.seed)
    options = {"num_epochs": EPOCHS, **learning_options(settings)}
    branch, exactly = ContrastiveBranchArguments(max_epochs=10), FeatureCacheArguments(dtype="float32")
    clf = comal_factory(workload, settings, branch=branch, cache=exactly, **options).new()
    clf.fit(workload.part(workload.labeled), workload.part(workload.validation))
    clf.document_encoder().frozen_output.cache = None
    pool, y = workload.dataset[workload.pool], workload.dataset.y[workload.labeled]

    def query() -> np.ndarray:
        clf._fitted = None  # the features of its last fit, which knew another cache
        return CoMAL(seed=0).query(clf, workload.dataset, workload.pool, workload.labeled, y, n=n)

    n = min(QUERY_SIZE, len(workload.pool))
    exact, chosen = clf.label_probabilities(pool), query()
    rows, targets = [], []
    for dtype in STORAGE_DTYPES:
        clf.document_encoder().frozen_output.cache = FeatureCache(FeatureCacheArguments(dtype=dtype))
        difference = float(np.abs(clf.label_probabilities(pool) - exact).max())
        agreement = 100 * len(np.intersect1d(query(), chosen)) / n
        rows.append([dtype, f"{difference:.1e}", f"{agreement:.0f} %"])
        targets.append(Target(f"{workload.name}: % of {n} documents queried alike, {dtype}", agreement, AGREEMENT))
        if dtype == "float32":
            name = f"{workload.name}: difference of probabilities, {dtype}"
            targets.append(Target(name, difference, EXACT, at_most=True))
    title = f"{workload.name}: the cache's number format against no cache, {len(workload.pool)} documents"
    yield Table(title, ["storage", "largest difference of a probability", "queried alike"], rows, targets)

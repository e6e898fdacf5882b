"""Scoring the pool: cost a document, and what a CoMAL query adds to one pass of probabilities."""

from __future__ import annotations

import cProfile
import io
import pstats
from collections.abc import Callable, Iterator
from typing import Any

import torch
from report import Table, Target, seconds_cells
from timing import ratio, take_turns
from workload import QUERY_SIZE, Settings, Workload, comal_factory

from small_text_comal import CoMAL, ContrastiveBranchArguments

__all__ = ["query_tables"]

WARM_TARGETS = {"nlupp": 1.5}  # 1.15 elsewhere


def query_tables(workload: Workload, settings: Settings) -> Iterator[Table]:
    """Yield the table of pool passes and queries."""
    torch.manual_seed(settings.seed)
    branch = ContrastiveBranchArguments(max_epochs=1)
    factory = comal_factory(workload, settings, branch=branch)
    factory.classification_kwargs["num_epochs"] = 1
    clf = factory.new().fit(workload.part(workload.labeled), workload.part(workload.validation))
    cache = clf.document_encoder().frozen_output.cache

    def run(action: Callable[[], Any], *, cached: bool) -> Callable[[], Any]:
        def with_or_without_cache() -> Any:
            clf.document_encoder().frozen_output.cache = cache if cached else None
            clf._folded = None  # a round's query follows a fit, and pays for folding the branch
            return action()

        return with_or_without_cache

    def probabilities() -> Any:
        return clf.label_probabilities(workload.dataset[workload.pool])

    def query() -> Any:
        y, n = workload.dataset.y[workload.labeled], min(QUERY_SIZE, len(workload.pool))
        return CoMAL(seed=0).query(clf, workload.dataset, workload.pool, workload.labeled, y, n=n)

    variants = {
        f"{what}, {how}": run(action, cached=how == "warm cache")
        for how in ("no cache", "warm cache")
        for what, action in (("label_probabilities", probabilities), ("CoMAL query", query))
    }
    run(probabilities, cached=True)()  # fills the cache, and wakes up libraries
    measured = take_turns(variants, settings.repeats, settings.device, warm_up=settings.device.startswith("cuda"))
    yield _table(workload, measured, variants)


def _table(workload: Workload, measured: dict, variants: dict[str, Callable[[], Any]]) -> Table:
    rows, targets, notes = [], [], []
    for how, limit in (("no cache", 1.15), ("warm cache", WARM_TARGETS.get(workload.name, 1.15))):
        one_pass, query = measured[f"label_probabilities, {how}"], measured[f"CoMAL query, {how}"]
        times = [ratio([getattr(s, k) for s in query], [getattr(s, k) for s in one_pass]) for k in ("main", "wall")]
        for what, seconds, cells in (("label_probabilities", one_pass, ["1", "1"]), ("CoMAL query", query, times)):
            main, wall = seconds_cells(seconds)
            rows.append([f"{what}, {how}", main, wall, 1e6 * main.median / len(workload.pool), *cells])
        target = Target(f"{workload.name}: CoMAL query over one pass, {how}", times[0].median, limit, at_most=True)
        targets.append(target)
        if not target.kept:
            notes += ["```", *_profile(variants[f"CoMAL query, {how}"]), "```"]
    header = ["", "process s", "wall s", "µs a document", "x the pass: process", "wall"]
    title = f"{workload.name}: scoring {len(workload.pool)} documents of the pool (C = {workload.num_classes})"
    return Table(title, header, rows, targets, notes)


def _profile(action: Callable[[], Any], lines: int = 25) -> list[str]:
    """Where an action's time goes, by time spent in the function itself."""
    profile, text = cProfile.Profile(), io.StringIO()
    profile.runcall(action)
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(lines)
    return [line for line in text.getvalue().splitlines() if line.strip()]

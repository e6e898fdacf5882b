"""A whole round, fit and pool: ours without and with the branch against small-text's own classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from report import Table, Target, seconds_cells
from timing import Seconds, measure, ratio
from workload import QUERY_SIZE, Settings, Workload, comal_factory, host_classification

from small_text_comal import CoMAL, ContrastiveBranchArguments
from small_text_comal.host import IS_HOST_2

__all__ = ["round_tables"]

HOST_ALL, HOST_FROZEN = "host, all layers trained", "host, same layers frozen"
PLAIN = ("without branch, first round", "without branch, later rounds")
COMAL = ("CoMAL, first round", "CoMAL, later rounds")
FROZEN_TARGETS = {"nlupp": 5, "argvalues": 4, "reuters": 2}
ALL_TARGETS = {"nlupp": 8, "argvalues": 7, "reuters": 4}
COMAL_TARGETS = {"nlupp": 2, "argvalues": 2}


class Round(NamedTuple):
    """Seconds of the two halves of a round."""

    fit: Seconds
    pool: Seconds

    @property
    def total(self) -> Seconds:
        """Seconds of the round."""
        return self.fit + self.pool


def round_tables(workload: Workload, settings: Settings) -> Iterator[Table]:
    """Yield the table of whole rounds."""
    rounds: dict[str, list[Round]] = {}
    # On CUDA the first repeat pays for the choice of kernels; it is run and thrown away.
    warm_up = settings.device.startswith("cuda")
    for repeat in range(settings.repeats + warm_up):
        for name, seconds in _repeat(workload, settings):
            if repeat >= warm_up:
                rounds.setdefault(name, []).append(seconds)
    yield _table(workload, settings, rounds)


def _repeat(workload: Workload, settings: Settings) -> Iterator[tuple[str, Round]]:
    """Each kind of round once."""
    branch = ContrastiveBranchArguments(max_epochs=settings.epochs, patience=settings.epochs)
    factories = {
        PLAIN: comal_factory(workload, settings, branch=None),
        COMAL: comal_factory(workload, settings, branch=branch),
    }
    yield HOST_FROZEN, _host_round(workload, settings, frozen=True)
    for names, query in ((PLAIN, _label_probabilities), (COMAL, _comal_query)):
        for name in names:  # the second finds the frozen layers' output in the factory's cache
            yield name, _round(factories[names].new(), query, workload, settings)
    yield HOST_ALL, _host_round(workload, settings, frozen=False)


def _host_round(workload: Workload, settings: Settings, *, frozen: bool) -> Round:
    clf = host_classification(workload, settings, frozen=frozen)
    # small-text 2.x selects no model by default, and fails on the documented 'none'
    return _round(clf, _proba, workload, settings, model_selection=None if IS_HOST_2 else "none")


def _round(
    clf: Any,
    query: Callable[[Any, Workload], Any],
    workload: Workload,
    settings: Settings,
    *,
    model_selection: str | None = "none",
) -> Round:
    torch.manual_seed(settings.seed)
    np.random.seed(settings.seed)  # noqa: NPY002 (small-text shuffles with it)
    train, valid = workload.part(workload.labeled), workload.part(workload.validation)
    fit = {"validation_set": valid, "early_stopping": "none", "model_selection": model_selection}
    seconds, _ = measure(lambda: clf.fit(train, **fit), settings.device)
    return Round(seconds, measure(lambda: query(clf, workload), settings.device)[0])


def _proba(clf: Any, workload: Workload) -> Any:
    # LeastConfidence adds next to nothing to it, and fails on what 2.x returns for multi-label data
    return clf.predict_proba(workload.dataset[workload.pool])


def _label_probabilities(clf: Any, workload: Workload) -> np.ndarray:
    return clf.label_probabilities(workload.dataset[workload.pool])


def _comal_query(clf: Any, workload: Workload) -> np.ndarray:
    y = workload.dataset.y[workload.labeled]
    n = min(QUERY_SIZE, len(workload.pool))
    return CoMAL(seed=0).query(clf, workload.dataset, workload.pool, workload.labeled, y, n=n)


def _table(workload: Workload, settings: Settings, rounds: dict[str, list[Round]]) -> Table:
    name, rows, ratios = workload.name, [], {}
    for variant in (HOST_ALL, HOST_FROZEN, *PLAIN, *COMAL):
        measured = rounds[variant]
        cells = [seconds_cells([getattr(r, part) for r in measured])[0] for part in ("fit", "pool")]
        for reference in (HOST_ALL, HOST_FROZEN):
            for kind in ("main", "wall"):
                pair = ([getattr(r.total, kind) for r in rounds[key]] for key in (reference, variant))
                ratios[variant, reference, kind] = ratio(*pair)
                cells.append(ratios[variant, reference, kind])
        rows.append([variant, *seconds_cells([r.total for r in measured]), *cells])
    # the 2x of reuters and all later-round numbers are promised from the second round on
    later, comal = PLAIN[1], COMAL[1]
    targets = [
        Target(f"{name}: round without branch against frozen host", ratios[later, HOST_FROZEN, "main"].median,
               FROZEN_TARGETS.get(name, 0)),
        Target(f"{name}: round without branch against host with all layers", ratios[later, HOST_ALL, "main"].median,
               ALL_TARGETS.get(name, 0)),
    ]  # fmt: skip
    if name in COMAL_TARGETS:
        value = ratios[comal, HOST_FROZEN, "main"].median
        targets.append(Target(f"{name}: CoMAL round against frozen host", value, COMAL_TARGETS[name]))
    header = ["round", "process s", "wall s", "fit s", "pool s", "x all: process", "wall", "x frozen: process", "wall"]
    title = (
        f"{name}: fit {len(workload.labeled)} documents for {settings.epochs} epochs, then {len(workload.pool)} of the "
        f"pool (C = {workload.num_classes}, {workload.mean_tokens:.0f} tokens on average)"
    )
    return Table(title, header, rows, targets)

"""The machine's rate of matrix products, and the share of it that scoring and training reach."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
from report import Table, seconds_cells
from timing import take_turns
from torch.utils.flop_counter import FlopCounterMode
from workload import Settings, Workload, comal_factory

__all__ = ["share_tables"]

SIZE = 1024
DOCUMENTS = 500  # at most, of the pool


def share_tables(workload: Workload, settings: Settings) -> Iterator[Table]:
    """Yield the table of rates; attention is left out of what PyTorch counts on the CPU."""
    torch.manual_seed(settings.seed)
    factory = comal_factory(workload, settings, branch=None)
    factory.classification_kwargs["num_epochs"] = 1
    train, valid = workload.part(workload.labeled), workload.part(workload.validation)
    fit = {"validation_set": valid, "early_stopping": "none", "model_selection": "none"}
    clf = factory.new().fit(train, **fit)
    pool, cache = workload.dataset[workload.pool[:DOCUMENTS]], clf.document_encoder().frozen_output.cache

    def scoring(cache: Any) -> Callable[[], Any]:
        def action() -> Any:
            clf.document_encoder().frozen_output.cache = cache
            return clf.label_probabilities(pool)

        return action

    left, right = (torch.randn(SIZE, SIZE, device=settings.device) for _ in range(2))
    variants: dict[str, Callable[[], Any]] = {
        f"matrix product of {SIZE}³": lambda: torch.mm(left, right),
        "scoring, no cache": scoring(None),
        "scoring, warm cache": scoring(cache),
        "fit, one epoch, warm cache": lambda: factory.new().fit(train, **fit),
    }
    scoring(cache)()
    operations = {name: _operations(action) for name, action in variants.items()}
    measured = take_turns(variants, max(settings.repeats, 3), settings.device, warm_up=False)
    rates = {
        name: operations[name] / 1e9 / statistics.median(seconds.main for seconds in measured[name])
        for name in variants
    }  # fmt: skip
    best = next(iter(rates.values()))
    rows = [
        [name, operations[name] / 1e9, *seconds_cells(measured[name]), rate, f"{100 * rate / best:.0f} %"]
        for name, rate in rates.items()
    ]
    header = ["", "Gflop of products", "process s", "wall s", "Gflop/s", "share"]
    title = (
        f"{workload.name}: share of the machine's matrix products ({len(pool)} documents scored, {len(train)} fitted)"
    )
    note = "A fit loads the encoder, too: its time includes what a round pays besides training."
    yield Table(title, header, rows, notes=[note])


def _operations(action: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        action()
    return counter.get_total_flops()

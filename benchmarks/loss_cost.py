"""The contrastive loss, exact in blocks, against the plain version that holds every pair at once."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import torch
from process_memory import MIB, in_fresh_process, peak_growth
from report import Table, Target, seconds_cells
from timing import ratio, take_turns
from torch import Tensor
from torch.nn import functional

from small_text_comal.method.contrastive import multi_label_supcon_loss

if TYPE_CHECKING:  # the children that measure memory do without transformers
    from workload import Settings

__all__ = ["loss_tables", "plain_loss"]

BATCH, TEMPERATURE, POSITIVE_SHARE = 64, 0.07, 0.05
TIMED = [(10, 256), (54, 256)]  # (C, Z)
HUGE = (461, 64)
TIME_LIMIT, MEMORY_LIMIT = 1.3, 1.5 * 1024


def plain_loss(latent: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of eq. 3 from the matrix of all pairs, (B * C)^2."""
    z = functional.normalize(latent, dim=-1).flatten(0, 1)
    num_labels = labels.shape[1]
    classes = torch.where(labels.bool(), torch.arange(num_labels, device=labels.device), num_labels).flatten()
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    positive = (classes[:, None] == classes[None, :]) & ~itself
    logits = (z @ z.T / TEMPERATURE).masked_fill(itself, -torch.inf)
    log_probability = logits - logits.logsumexp(dim=1, keepdim=True)
    counts = positive.sum(dim=1)
    per_anchor = -torch.where(positive, log_probability, 0).sum(dim=1) / counts.clamp(min=1)
    return per_anchor.sum() / labels.numel()


LOSSES = {"plain": plain_loss, "blocks": partial(multi_label_supcon_loss, temperature=TEMPERATURE)}


def step(name: str, num_classes: int, latent_size: int, device: str) -> Tensor:
    """Compute loss and gradient on random vectors and labels; return the loss."""
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(BATCH, num_classes, latent_size, generator=generator).to(device).requires_grad_()
    labels = (torch.rand(BATCH, num_classes, generator=generator) < POSITIVE_SHARE).to(device)
    loss = LOSSES[name](latent, labels)
    loss.backward()
    return loss.detach()


def loss_tables(settings: Settings) -> Iterator[Table]:
    """Yield the tables of time and of memory."""
    yield _time_table(settings)
    yield _memory_table(settings)


def _time_table(settings: Settings) -> Table:
    rows, targets = [], []
    for size in TIMED:
        difference = abs(float(step("plain", *size, settings.device) - step("blocks", *size, settings.device)))
        variants = {name: partial(step, name, *size, settings.device) for name in LOSSES}
        measured = take_turns(variants, max(settings.repeats, 3), settings.device)
        times = [ratio(*([getattr(s, k) for s in measured[n]] for n in ("blocks", "plain"))) for k in ("main", "wall")]
        for name in LOSSES:
            cells = times if name == "blocks" else ["1", "1"]
            rows.append([f"{BATCH} * {size[0]}, Z = {size[1]}", name, *seconds_cells(measured[name]), *cells])
        rows[-1].append(f"{difference:.1e}")
        rows[-2].append("")
    targets = [Target(f"loss at {BATCH} * 54 over the plain one", times[0].median, TIME_LIMIT, at_most=True)]
    header = ["pairs, latent size", "", "process s", "wall s", "x plain: process", "wall", "difference"]
    return Table("contrastive loss and its gradient", header, rows, targets)


def _memory_table(settings: Settings) -> Table:
    rows, growth = [], {}
    for name, size in [("plain", TIMED[-1]), ("blocks", TIMED[-1]), ("blocks", HUGE)]:
        options = ["--device", settings.device, "--threads", settings.threads]
        growth[name, size] = in_fresh_process("loss_cost.py", [name, *size, *options])["bytes"] / MIB
        rows.append([f"{BATCH} * {size[0]}, Z = {size[1]}", name, f"{growth[name, size]:.0f}"])
    computed = growth["plain", TIMED[-1]] * (HUGE[0] / TIMED[-1][0]) ** 2
    rows.append([f"{BATCH} * {HUGE[0]}, Z = {HUGE[1]}", "plain, not run: its pairs grow with C²", f"{computed:.0f}"])
    name = f"MiB of the loss at {BATCH} * {HUGE[0]}"
    targets = [Target(name, growth["blocks", HUGE], MEMORY_LIMIT, at_most=True)]
    header = ["pairs, latent size", "", "peak MiB"]
    return Table("peak memory of the contrastive loss and its gradient, a fresh process each", header, rows, targets)


def main() -> None:
    """Measure the memory of one case in this process and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=list(LOSSES))
    parser.add_argument("labels", type=int)
    parser.add_argument("latent", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    step(options.name, 2, options.latent, options.device)  # libraries allocate on first use
    grown = peak_growth(partial(step, options.name, options.labels, options.latent, options.device), options.device)
    print(json.dumps({"bytes": grown}))


if __name__ == "__main__":
    main()

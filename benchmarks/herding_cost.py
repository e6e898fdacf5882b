"""Time and memory of a herding batch, by pool size.

    python benchmarks/herding_cost.py
    python benchmarks/herding_cost.py --unlabeled 1000000 --repeats 1

Synthetic clustered features and uncertainties, one thread, each size in a process of its own; what the classifier and
the criterion cost is another matter. Exits with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np
from process_memory import MIB, in_fresh_process, peak_growth
from report import Table, Target, markdown, seconds_cells, target_lines
from timing import Seconds, take_turns

from small_text_comal.experiments.running.library_noise import limited_threads
from small_text_comal.method.criteria import label_entropy
from small_text_comal.method.herding import herd

SECONDS_FOR_5000 = 1.0
MIB_BESIDE_THE_POOL = 256  # of any size up to a million
OPTIONS = {"labeled": 500, "labels": 62, "features": 384, "queries": 50, "repeats": 3, "seed": 0}


def pool(sizes: argparse.Namespace, unlabeled: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features of the pool (N, D) and of the labeled documents (L, D), and uncertainties (N,)."""
    rng = np.random.default_rng(sizes.seed)
    centers = rng.standard_normal((100, sizes.features), dtype=np.float32)
    features = centers[rng.integers(100, size=unlabeled + sizes.labeled)]
    features += rng.standard_normal(features.shape, dtype=np.float32)
    kappa, q = (rng.beta(0.1, 0.5, (min(unlabeled, 10_000), sizes.labels)) for _ in range(2))
    uncertainty = np.resize(label_entropy(kappa, q).sum(axis=1), unlabeled)
    return features[:unlabeled], features[unlabeled:], uncertainty


def measure(sizes: argparse.Namespace, unlabeled: int) -> dict[str, Any]:
    """Return the seconds of every repeat, process and wall, and the MiB by which a batch raises the process."""
    features, labeled, uncertainty = pool(sizes, unlabeled)

    def query() -> np.ndarray:
        return herd(features, labeled, uncertainty, sizes.queries, rng=np.random.default_rng(sizes.seed))

    with limited_threads(1):
        memory = peak_growth(query)
        seconds = take_turns({"herd": query}, sizes.repeats, "cpu", warm_up=False)["herd"]
    return {"seconds": [list(each) for each in seconds], "mib": memory / MIB, "pool_mib": features.nbytes / MIB}


def table(sizes: argparse.Namespace) -> Table:
    """Measure every pool size in a fresh process."""
    rows, targets = [], []
    for unlabeled in sizes.unlabeled:
        options = [f"--{name}={getattr(sizes, name)}" for name in OPTIONS]
        found = in_fresh_process("herding_cost.py", [*options, "--only", unlabeled])
        process, wall = seconds_cells([Seconds(*each) for each in found["seconds"]])
        rows.append([unlabeled, process, wall, 1e6 * process.median / unlabeled, found["mib"], found["pool_mib"]])
        limit = SECONDS_FOR_5000 * max(1, unlabeled / 5000)
        targets.append(Target(f"process s of a batch from {unlabeled}", process.median, limit, at_most=True))
        targets.append(Target(f"MiB of a batch from {unlabeled}", found["mib"], MIB_BESIDE_THE_POOL, at_most=True))
    title = (
        f"herding {sizes.queries} documents: {sizes.labeled} labeled, D = {sizes.features}, C = {sizes.labels}, "
        "one thread"
    )
    header = ["pool", "process s", "wall s", "µs a document", "peak MiB", "MiB of the pool's features"]
    return Table(title, header, rows, targets)


def main(arguments: list[str]) -> int:
    """Print the table and its targets; 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--unlabeled", type=int, nargs="+", default=[5_000, 50_000])
    for name, default in OPTIONS.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    parser.add_argument("--only", type=int, help="measure one pool size in this process and print JSON")
    sizes = parser.parse_args(arguments)
    if sizes.only:
        print(json.dumps(measure(sizes, sizes.only)))
        return 0
    done = table(sizes)
    lines = target_lines([done])
    print("\n".join([markdown(done), "", *(f"- {line}" for line in lines)]))
    return 1 if any(line.startswith("MISSED") for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

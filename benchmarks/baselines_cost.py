"""Time and memory of the baselines whose cost grows with pool and batch: CVIRS, CoreSet, MultiLabelBADGE.

    python benchmarks/baselines_cost.py

Each runs in a process of its own on synthetic probabilities, features and labels, through the strategy's pure function:
what the classifier costs is another matter. Exits with 1 when one takes more than 60 s of process time or 1 GiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from small_text_comal.query_strategies.badge import gradient_k_means_plus_plus
from small_text_comal.query_strategies.base import seeded_top_n
from small_text_comal.query_strategies.core_set import greedy_k_center
from small_text_comal.query_strategies.cvirs import cvirs_scores

LIMIT_SECONDS, LIMIT_MIB = 60, 1024


def query_cvirs(sizes: argparse.Namespace, rng: np.random.Generator) -> Callable[[], np.ndarray]:
    """Return a CVIRS query on random probabilities and labels."""
    probabilities = rng.random((sizes.unlabeled, sizes.labels), dtype=np.float32)
    labels = rng.random((sizes.labeled, sizes.labels)) < 3 / sizes.labels
    return lambda: seeded_top_n(cvirs_scores(probabilities, labels), sizes.queries, rng)


def query_core_set(sizes: argparse.Namespace, rng: np.random.Generator) -> Callable[[], np.ndarray]:
    """Return a CoreSet query on random features."""
    features = rng.standard_normal((sizes.unlabeled, sizes.features), dtype=np.float32)
    centers = rng.standard_normal((sizes.labeled, sizes.features), dtype=np.float32)
    return lambda: greedy_k_center(features, centers, sizes.queries, rng=rng)


def query_badge(sizes: argparse.Namespace, rng: np.random.Generator) -> Callable[[], np.ndarray]:
    """Return a BADGE query on random probabilities and features."""
    probabilities = rng.random((sizes.unlabeled, sizes.labels), dtype=np.float32)
    features = rng.standard_normal((sizes.unlabeled, sizes.features), dtype=np.float32)
    return lambda: gradient_k_means_plus_plus(probabilities, features, sizes.queries, rng=rng)


QUERIES = {"CVIRS": query_cvirs, "CoreSet": query_core_set, "MultiLabelBADGE": query_badge}


def measure(name: str, sizes: argparse.Namespace) -> dict[str, float]:
    """Run one query in this process and return its seconds and MiB; its input is not counted in `query_mib`."""
    query = QUERIES[name](sizes, np.random.default_rng(sizes.seed))
    tracemalloc.start()
    process, wall = time.process_time(), time.perf_counter()
    picked = query()
    seconds = {"process_s": time.process_time() - process, "wall_s": time.perf_counter() - wall}
    query_mib = tracemalloc.get_traced_memory()[1] / 2**20
    if len(set(picked.tolist())) != sizes.queries:
        raise RuntimeError(f"{name} picked {len(set(picked.tolist()))} different documents, not {sizes.queries}")
    # Kibibytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {**seconds, "query_mib": query_mib, "process_mib": peak}


def measure_apart(name: str, arguments: list[str]) -> dict[str, float]:
    """Run `measure` in a fresh process."""
    command = [sys.executable, __file__, *arguments, "--only", name]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--unlabeled", type=int, default=20_000)
    parser.add_argument("--labeled", type=int, default=1_000)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--features", type=int, default=768)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=QUERIES, help="measure one strategy in this process and print JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Print one line a strategy; 1 when one is over a limit."""
    sizes = parse(arguments)
    if sizes.only:
        print(json.dumps(measure(sizes.only, sizes)))
        return 0
    print(
        f"{sizes.unlabeled} unlabeled, {sizes.labeled} labeled, {sizes.labels} labels, {sizes.features} features, "
        f"{sizes.queries} queries"
    )
    print(f"{'strategy':<16} {'process s':>10} {'wall s':>8} {'query MiB':>10} {'process MiB':>12}")
    within = True
    for name in QUERIES:
        cost = measure_apart(name, arguments)
        print(
            f"{name:<16} {cost['process_s']:>10.1f} {cost['wall_s']:>8.1f} {cost['query_mib']:>10.0f} "
            f"{cost['process_mib']:>12.0f}"
        )
        within &= cost["process_s"] <= LIMIT_SECONDS and cost["process_mib"] <= LIMIT_MIB
    print(f"limits: {LIMIT_SECONDS} process s and {LIMIT_MIB} process MiB each: {'kept' if within else 'EXCEEDED'}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

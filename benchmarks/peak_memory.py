"""Peak memory of scoring against pool size and number of labels, each in a fresh process."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator

import numpy as np
import torch
from process_memory import MIB, in_fresh_process, peak_growth
from report import Table, Target
from workload import QUERY_SIZE, Settings, Workload, comal_factory

__all__ = ["memory_tables"]

FEATURE_SIZE, SUB_FEATURE_SIZE, LATENT_SIZE, BATCH = 384, 64, 256, 256
POOLS, LABELS = (1_000, 10_000, 100_000), (10, 100, 1_000)
USUAL_LABELS, LABELS_POOL = 54, 2_000
LIMIT_MIB = 200
TINY = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 128}
MAX_LENGTH = 32


def project_growth(n_documents: int, num_classes: int, device: str) -> int:
    """Return the bytes that `project` takes beside the features themselves."""
    from small_text_comal.config import ContrastiveBranchArguments
    from small_text_comal.method.branch import ContrastiveBranch
    from small_text_comal.method.label_space import FeatureBatch, project

    C, Z, D = num_classes, LATENT_SIZE, FEATURE_SIZE
    generator = torch.Generator(device).manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, device=device)

    # once folded, the branch has no U
    arguments = ContrastiveBranchArguments(sub_feature_size=SUB_FEATURE_SIZE, latent_size=Z)
    branch = ContrastiveBranch(C, D, arguments).to(device).folded()
    features, prototypes, head = normal(n_documents, D), normal(C, Z), torch.nn.Linear(D, C, device=device)

    def score(n: int) -> None:
        batches = (FeatureBatch(rows.numpy(), features[rows]) for rows in torch.arange(n).split(BATCH))
        with torch.inference_mode():
            project(batches, n, branch, head=head, prototypes=prototypes)

    score(2 * BATCH)  # libraries allocate on first use
    return peak_growth(lambda: score(n_documents), device)


def query_growth(n_documents: int, settings: Settings, *, cached: bool) -> int:
    """Return the bytes that a whole CoMAL query takes beside its dataset: synthetic tokens, a tiny BERT."""
    from small_text_comal import CoMAL, ContrastiveBranchArguments
    from small_text_comal.config import FeatureCacheArguments

    with tempfile.TemporaryDirectory() as folder:
        workload = _synthetic_documents(n_documents, tiny_encoder(folder, settings.model))
        tiny = Settings(device=settings.device, model=folder, epochs=1)
        branch, cache = ContrastiveBranchArguments(max_epochs=1), FeatureCacheArguments(enabled=cached)
        clf = comal_factory(workload, tiny, branch=branch, cache=cache).new()
        clf.fit(workload.part(workload.labeled), workload.part(workload.validation))

    def query(pool: np.ndarray) -> None:
        y = workload.dataset.y[workload.labeled]
        CoMAL(seed=0).query(clf, workload.dataset, pool, workload.labeled, y, n=QUERY_SIZE)

    query(workload.pool[: 2 * BATCH])
    return peak_growth(lambda: query(workload.pool), settings.device)


def tiny_encoder(folder: str, model: str) -> int:
    """Save a small random BERT with the tokenizer of `model`; return its vocabulary size."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=len(tokenizer), **TINY)).save_pretrained(folder)
    return len(tokenizer)


def _synthetic_documents(n_documents: int, vocabulary: int) -> Workload:
    from small_text import TransformersDataset

    generator, n_labeled = torch.Generator().manual_seed(0), 96
    n = n_documents + n_labeled
    lengths = torch.randint(4, MAX_LENGTH + 1, (n, 1), generator=generator)
    masks = (torch.arange(MAX_LENGTH) < lengths).long()
    ids = torch.randint(1, vocabulary, (n, MAX_LENGTH), generator=generator) * masks
    labels = np.random.default_rng(0).random((n, USUAL_LABELS)) < 3 / USUAL_LABELS
    rows = [
        (ids[i : i + 1].clone(), masks[i : i + 1].clone(), np.flatnonzero(labels[i]).tolist())
        for i in range(n)
    ]  # fmt: skip
    dataset = TransformersDataset(rows, multi_label=True, target_labels=np.arange(USUAL_LABELS))
    parts = np.split(np.arange(n), [64, n_labeled])
    return Workload("synthetic", dataset, USUAL_LABELS, *parts, mean_tokens=float(lengths.float().mean()))


def memory_tables(settings: Settings) -> Iterator[Table]:
    """Yield the tables of peak memory."""
    cases = [("project", n, USUAL_LABELS) for n in POOLS] + [("project", LABELS_POOL, c) for c in LABELS]
    cases += [("query", POOLS[-1], USUAL_LABELS), ("query, cached", POOLS[1], USUAL_LABELS)]
    rows, targets = [], []
    for what, n, num_classes in cases:
        arguments = [what, n, num_classes, "--device", settings.device, "--model", settings.model]
        measured = in_fresh_process("peak_memory.py", [*arguments, "--threads", settings.threads])
        growth = measured["bytes"] / MIB
        rows.append([what, n, num_classes, f"{growth:.0f}", f"{growth * MIB / n:.0f}", f"{measured['seconds']:.1f}"])
        if (what, n) in (("project", POOLS[-1]), ("query", POOLS[-1])) and num_classes == USUAL_LABELS:
            targets.append(Target(f"MiB of {what} over {n} documents, C = {num_classes}", growth, LIMIT_MIB, True))
    header = ["what", "documents", "C", "peak MiB over the dataset", "bytes a document", "process s"]
    notes = [
        f"`project`: label_space.project on random features (D = {FEATURE_SIZE}, Z = {LATENT_SIZE}). `query`: a whole "
        f"CoMAL query over random documents of 4 to {MAX_LENGTH} tokens through a BERT of width {TINY['hidden_size']}, "
        "without the feature cache; `cached` with it, whose states stay up to its own memory limit.",
    ]
    yield Table("peak memory of scoring, a fresh process each", header, rows, targets, notes)


def main() -> None:
    """Measure one case in this process and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["project", "query", "query, cached"])
    parser.add_argument("documents", type=int)
    parser.add_argument("labels", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", default="")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.environ["SMALL_TEXT_PROGRESS_BARS"] = "0"
    torch.set_num_threads(options.threads)
    started = time.process_time()
    if options.what == "project":
        grown = project_growth(options.documents, options.labels, options.device)
    else:
        settings = Settings(device=options.device, model=options.model)
        grown = query_growth(options.documents, settings, cached=options.what == "query, cached")
    print(json.dumps({"bytes": grown, "seconds": time.process_time() - started}))


if __name__ == "__main__":
    main()

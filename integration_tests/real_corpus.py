"""Real customer requests (the corpus nlupp), for tests that made-up words cannot replace."""

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

DATA = Path(os.environ.get("SMALL_TEXT_COMAL_DATA", Path(__file__).parents[2] / "shared" / "data")).resolve()
TRAIN = DATA / "nlupp" / "train.jsonl"
NEEDS_NLUPP = pytest.mark.skipif(not TRAIN.exists(), reason=f"needs the corpus nlupp in {DATA}")


def nlupp(documents, labels):
    """The first texts, and which of their most frequent labels they have, as 0/1 (documents, labels)."""
    rows = [json.loads(line) for line in TRAIN.read_text(encoding="utf-8").splitlines()[:documents]]
    counts = Counter(label for row in rows for label in row["labels"])
    names = sorted(counts, key=lambda name: (-counts[name], name))[:labels]
    y = np.array([[name in row["labels"] for name in names] for row in rows], dtype=int)
    return [row["text"] for row in rows], y

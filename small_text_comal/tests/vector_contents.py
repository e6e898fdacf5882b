"""Documents, their vectors, and stores that hold them."""

from pathlib import Path

import numpy as np

from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.sentence.vector_cache import VectorCache

D = 4
KEYS = [bytes([i]) * 16 for i in range(40)]


def vectors(rows):
    """What the documents `rows` are stored as: (n, D), row i all i."""
    return np.repeat(np.array(list(rows), dtype=np.float32)[:, None], D, axis=1)


def opened(**options):
    return VectorCache(FeatureCacheArguments(**{"dtype": "float32", **options})).store("model")


def filled(rows, **options):
    store = opened(**options)
    store.put([KEYS[i] for i in rows], vectors(rows))
    store.flush()
    return store


def put_one_by_one(store, rows):
    """One file for each document, where there is a folder."""
    for row in rows:
        store.put([KEYS[row]], vectors([row]))
        store.flush()


def assert_holds(store, rows):
    rows = list(rows)
    assert store.missing(KEYS) == [i for i in range(len(KEYS)) if i not in rows]
    assert np.array_equal(store.get([KEYS[i] for i in rows]), vectors(rows))


def segments(folder):
    return sorted(Path(folder).rglob("*.safetensors"))

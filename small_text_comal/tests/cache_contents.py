"""Documents, their states, and caches that hold them."""

from pathlib import Path

import torch

from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.frozen.feature_cache import FeatureCache

H = 4
KEYS = [bytes([i]) * 16 for i in range(8)]


def states(i, scale=1.0):
    """What document i is stored as: (1 + i, H), all i."""
    return torch.full((1 + i, H), float(i)) * scale


def opened(**options):
    cache = FeatureCache(FeatureCacheArguments(**{"dtype": "float32", **options}))
    cache.use("model")
    return cache


def filled(rows, **options):
    cache = opened(**options)
    cache.put([KEYS[i] for i in rows], [states(i) for i in rows])
    cache.close_segment()
    return cache


def assert_holds(cache, rows):
    assert cache.missing(KEYS) == [i for i in range(len(KEYS)) if i not in rows]
    for i in rows:
        assert torch.equal(cache.get(KEYS[i]).float(), states(i))


def segments(folder):
    return sorted(Path(folder).rglob("*.safetensors"))

"""The cache of frozen-layer output: what is put comes back, in memory, beyond its limit, and in 16 bits."""

import doctest
import pickle
from pathlib import Path

import pytest
import torch
from cache_contents import KEYS, H, assert_holds, filled, opened, segments, states

from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.frozen import feature_cache as cache_module
from small_text_comal.encoder.frozen.feature_cache import FeatureCache


def test_docstring_examples():
    assert doctest.testmod(cache_module).failed == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_what_is_put_comes_back_in_the_storage_type(dtype):
    cache = opened(dtype=dtype)
    value = torch.randn(3, H, generator=torch.Generator().manual_seed(0))
    cache.put([KEYS[0]], [value])
    pending = cache.get(KEYS[0])
    cache.close_segment()
    assert cache.get(KEYS[0]).dtype == getattr(torch, dtype)
    assert torch.equal(cache.get(KEYS[0]), value.to(getattr(torch, dtype)))
    assert torch.equal(cache.get(KEYS[0]), pending)


def test_a_stored_value_is_a_copy():
    cache = opened()
    value = states(2)
    cache.put([KEYS[2]], [value])
    value.zero_()
    assert torch.equal(cache.get(KEYS[2]), states(2))


def test_documents_are_packed_without_padding():
    cache = filled([0, 3, 1])
    assert_holds(cache, [0, 3, 1])
    assert len(cache) == 3
    assert cache.memory_bytes == 4 * H * (1 + 4 + 2)


def test_an_unknown_document():
    with pytest.raises(KeyError):
        opened().get(KEYS[0])


def test_nothing_to_close():
    cache = opened()
    cache.close_segment()
    assert len(cache) == cache.memory_bytes == 0


def test_another_model_sees_nothing_of_the_first():
    cache = filled([0, 1])
    cache.use("other model")
    assert_holds(cache, [])
    assert cache.memory_bytes == 0
    cache.use("model")  # memory holds one model at a time
    assert_holds(cache, [])


def test_a_large_segment_is_closed_by_itself(monkeypatch):
    monkeypatch.setattr(cache_module, "_SEGMENT_BYTES", 4 * H * 5)
    cache = opened()
    cache.put([KEYS[0], KEYS[1]], [states(0), states(1)])
    assert len(cache._pending) == 2
    cache.put([KEYS[2]], [states(2)])
    assert len(cache._pending) == 0
    assert_holds(cache, [0, 1, 2])


def test_beyond_the_memory_limit_states_go_to_a_temporary_folder():
    cache = opened(memory_limit=4 * H * 3)
    cache.put([KEYS[2]], [states(2)])
    cache.close_segment()
    assert cache.memory_bytes == 4 * H * 3
    cache.put([KEYS[3]], [states(3)])
    cache.close_segment()
    assert cache.memory_bytes == 4 * H * 3
    assert_holds(cache, [2, 3])
    folder = cache.folder()
    assert len(segments(folder)) == 1
    del cache
    assert not folder.exists()


def test_the_temporary_folder_of_one_model_goes_when_another_comes():
    cache = filled([2], memory_limit=0)
    folder = cache.folder()
    assert len(segments(folder)) == 1
    cache.use("other model")
    assert not folder.exists()
    cache.put([KEYS[3]], [states(3)])
    cache.close_segment()
    assert_holds(cache, [3])
    assert len(segments(cache.folder())) == 1


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc to see memory maps")
def test_files_are_memory_mapped(tmp_path):
    cache = filled([5], folder=tmp_path)
    assert cache.memory_bytes == 0
    assert segments(tmp_path)[0].name in Path("/proc/self/maps").read_text()
    assert_holds(cache, [5])


def test_pickling_keeps_the_options_and_drops_the_content(tmp_path):
    cache = filled([0, 1], folder=tmp_path, memory_limit=123)
    content = pickle.dumps(cache)
    assert len(content) < 1000
    loaded = pickle.loads(content)
    assert loaded.arguments == cache.arguments
    assert len(loaded) == 0
    loaded.use("model")
    assert_holds(loaded, [0, 1])
    in_memory = pickle.loads(pickle.dumps(filled([0, 1])))
    in_memory.use("model")
    assert_holds(in_memory, [])


@pytest.mark.parametrize("named", [False, True])
def test_overflow_of_float16_widens_to_bfloat16_and_keeps_what_is_there(tmp_path, named):
    folder = tmp_path if named else None
    cache = opened(dtype="float16", folder=folder)
    cache.put([KEYS[1]], [states(1)])
    cache.close_segment()
    cache.put([KEYS[2]], [states(2)])
    with pytest.warns(UserWarning, match=r"exceed float16.*bfloat16.*float32"):
        cache.put([KEYS[3], KEYS[4]], [states(3, scale=1e5), states(4)])
    cache.close_segment()
    assert cache.dtype == torch.bfloat16
    assert cache.arguments.dtype == "bfloat16"
    assert torch.equal(cache.get(KEYS[3]), states(3, scale=1e5).bfloat16())
    assert_holds_but_one = [1, 2, 4]
    for i in assert_holds_but_one:
        assert cache.get(KEYS[i]).dtype == torch.bfloat16
        assert torch.equal(cache.get(KEYS[i]).float(), states(i))
    cache.use("other model")
    cache.put([KEYS[3]], [states(3, scale=1e5)])  # no second warning
    assert torch.isfinite(cache.get(KEYS[3])).all()


def test_a_model_beyond_float16_is_stored_in_bfloat16_by_later_runs_from_the_start(tmp_path):
    first = opened(dtype="float16", folder=tmp_path)
    with pytest.warns(UserWarning, match="exceed float16"):
        first.put([KEYS[3]], [states(3, scale=1e5)])
    first.put([KEYS[4]], [states(4)])
    first.close_segment()
    later = opened(dtype="float16", folder=tmp_path)
    assert later.missing(KEYS) == [0, 1, 2, 5, 6, 7]
    assert torch.equal(later.get(KEYS[4]).float(), states(4))
    assert torch.equal(later.get(KEYS[3]), states(3, scale=1e5).bfloat16())
    other = FeatureCache(FeatureCacheArguments(dtype="float16", folder=tmp_path))
    other.use("a model that float16 can hold")
    assert other.dtype == torch.float16


def test_states_beyond_float16_are_stored_as_they_are_in_float32():
    cache = opened()
    cache.put([KEYS[3]], [states(3, scale=1e9)])
    assert torch.equal(cache.get(KEYS[3]), states(3, scale=1e9))

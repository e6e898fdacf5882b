"""The cache of frozen-layer output: what is put comes back, and nothing that is damaged, foreign or half-written."""

import doctest
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import small_text_comal
from small_text_comal import feature_cache as cache_module
from small_text_comal.config import FeatureCacheArguments
from small_text_comal.feature_cache import FeatureCache

H = 4
KEYS = [bytes([i]) * 16 for i in range(8)]
# Another process of the same cache: `cache` is open, `keys` and `states` are those of this file.
OTHER_PROCESS = """
import os, signal, sys, types
import torch
package = types.ModuleType("small_text_comal")  # the package's own imports take seconds, and are not needed here
package.__path__ = [sys.argv[2]]
sys.modules["small_text_comal"] = package
from small_text_comal import feature_cache as cache_module
from small_text_comal.config import FeatureCacheArguments
from small_text_comal.feature_cache import FeatureCache
cache = FeatureCache(FeatureCacheArguments(dtype="float32", folder=sys.argv[1]))
cache.use("model")
keys = [bytes([i]) * 16 for i in range(8)]
states = [torch.full((1 + i, 4), float(i)) for i in range(8)]
"""


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


def other_process(folder, *lines):
    script = OTHER_PROCESS + "\n".join(lines)
    command = [sys.executable, "-c", script, str(folder), *small_text_comal.__path__]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def segments(folder):
    return sorted(Path(folder).rglob("*.safetensors"))


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


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc to see memory maps")
def test_files_are_memory_mapped(tmp_path):
    cache = filled([5], folder=tmp_path)
    assert cache.memory_bytes == 0
    assert segments(tmp_path)[0].name in Path("/proc/self/maps").read_text()
    assert_holds(cache, [5])


def test_a_named_folder_serves_a_second_cache(tmp_path):
    filled([0, 4], folder=tmp_path / "new" / "folder")
    second = opened(folder=tmp_path / "new" / "folder")
    assert_holds(second, [0, 4])
    second.put([KEYS[1]], [states(1)])
    second.close_segment()
    assert_holds(opened(folder=str(tmp_path / "new" / "folder")), [0, 1, 4])


def test_models_and_types_share_a_folder_without_meeting(tmp_path):
    filled([0], folder=tmp_path)
    other = FeatureCache(FeatureCacheArguments(dtype="float32", folder=tmp_path))
    other.use("other model")
    assert_holds(other, [])
    assert_holds(opened(folder=tmp_path, dtype="float16"), [])
    other.use("model")
    assert_holds(other, [0])


def test_files_of_another_cache_are_seen_at_the_next_use(tmp_path):
    first = opened(folder=tmp_path)
    filled([6], folder=tmp_path)
    assert_holds(first, [])
    first.use("model")
    assert_holds(first, [6])


def test_a_second_process_reads_what_the_first_wrote(tmp_path):
    filled([2, 5], folder=tmp_path)
    process = other_process(
        tmp_path, "assert cache.missing(keys) == [0, 1, 3, 4, 6, 7]", "print(cache.get(keys[5]).tolist())"
    )
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert output.strip() == str(states(5).tolist())


def test_two_processes_write_at_once(tmp_path):
    put_all = ["for key, value in zip(keys, states):", "    cache.put([key], [value]); cache.close_segment()"]
    processes = [other_process(tmp_path, *put_all) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert len(segments(tmp_path)) == 16
    assert_holds(opened(folder=tmp_path), list(range(8)))


KILL = "os.kill(os.getpid(), signal.SIGKILL)"
KILLED = {
    "in the middle of the file": [
        "def half(tensors, path, metadata):",
        "    save(tensors, path, metadata)",
        "    os.truncate(path, os.path.getsize(path) // 2)",
        f"    {KILL}",
        "save, cache_module.save_file = cache_module.save_file, half",
    ],
    "before the file gets its name": [f"cache_module.os.replace = lambda *names: {KILL}"],
}


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
@pytest.mark.parametrize("moment", KILLED)
def test_a_process_killed_while_it_writes_leaves_nothing_that_is_read(tmp_path, moment):
    process = other_process(
        tmp_path,
        "cache.put(keys[:1], states[:1]); cache.close_segment()",
        *KILLED[moment],
        "cache.put(keys[1:3], states[1:3]); cache.close_segment()",
    )
    _, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, errors
    assert [path.suffix for path in tmp_path.rglob("*.partial")] == [".partial"]
    cache = opened(folder=tmp_path)
    assert_holds(cache, [0])
    cache.put(KEYS[1:3], [states(1), states(2)])
    cache.close_segment()
    assert_holds(opened(folder=tmp_path), [0, 1, 2])


def truncate(path):
    os.truncate(path, path.stat().st_size - 3)


def empty(path):
    path.write_bytes(b"")


def flip_a_bit_of_the_states(path):
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def flip_a_bit_of_the_header(path):
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)


def text(path):
    path.write_text("not a segment")


def other_tensors(path):
    save_file({"weight": torch.ones(3)}, path)


def other_metadata(path):
    save_file({"weight": torch.ones(3)}, path, {"segment": "[1, 2]"})


def segment_of_another_model(path):
    cache = FeatureCache(FeatureCacheArguments(dtype="float32", folder=path.parent / "elsewhere"))
    cache.use("other model")
    cache.put([KEYS[1]], [states(1)])
    cache.close_segment()
    segments(path.parent / "elsewhere")[0].replace(path)


def states_of_another_type(path):
    cache = opened(dtype="float16", folder=path.parent / "elsewhere")
    cache.put([KEYS[1]], [states(1)])
    cache.close_segment()
    segments(path.parent / "elsewhere")[0].replace(path)


DAMAGES = [
    truncate,
    empty,
    flip_a_bit_of_the_states,
    flip_a_bit_of_the_header,
    text,
    other_tensors,
    other_metadata,
    segment_of_another_model,
    states_of_another_type,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_or_foreign_file_is_reported_and_not_used(tmp_path, damage):
    first = filled([1], folder=tmp_path)
    damaged = segments(tmp_path)[0]
    filled([2], folder=tmp_path)
    del first
    damage(damaged)
    with pytest.warns(UserWarning, match=f"{damaged.name} is damaged or not a feature cache segment") as notes:
        cache = opened(folder=tmp_path)
    assert len(notes) == 1
    assert_holds(cache, [2])
    cache.use("model")  # no second warning
    cache.put([KEYS[1]], [states(1)])
    cache.close_segment()
    assert damaged.exists()
    with pytest.warns(UserWarning, match="you can delete it"):
        assert_holds(opened(folder=tmp_path), [1, 2])


@pytest.mark.parametrize("failure", ["no space", "safetensors"])
def test_a_disk_that_refuses_keeps_the_run_going_in_memory(tmp_path, monkeypatch, failure):
    def refuse(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        if failure == "no space":
            raise OSError(28, "No space left on device")
        raise cache_module.SafetensorError("I/O error: No space left on device (os error 28)")

    cache = opened(folder=tmp_path)
    monkeypatch.setattr(cache_module, "save_file", refuse)
    cache.put([KEYS[1]], [states(1)])
    with pytest.warns(UserWarning, match="cannot write to its folder .*No space left.*: states stay in memory"):
        cache.close_segment()
    assert_holds(cache, [1])
    assert cache.memory_bytes == 4 * H * 2
    assert not list(tmp_path.rglob("*.partial"))


def test_a_folder_that_cannot_be_made_keeps_the_run_going_in_memory(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = FeatureCache(FeatureCacheArguments(dtype="float32", folder=tmp_path / "file" / "folder"))
    with pytest.warns(UserWarning, match="cannot read its folder .*: states stay in memory"):
        cache.use("model")
    cache.put([KEYS[1]], [states(1)])
    with pytest.warns(UserWarning, match="cannot write to its folder .*: states stay in memory"):
        cache.close_segment()
    assert_holds(cache, [1])


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


def test_a_run_that_widens_again_reads_what_an_earlier_one_stored_in_bfloat16(tmp_path):
    def run():
        cache = opened(dtype="float16", folder=tmp_path)
        with pytest.warns(UserWarning, match="exceed float16"):
            cache.put([KEYS[3]], [states(3, scale=1e5)])
        return cache

    first = run()
    first.put([KEYS[4]], [states(4)])
    first.close_segment()
    assert torch.equal(run().get(KEYS[4]).float(), states(4))


def test_states_beyond_float16_are_stored_as_they_are_in_float32():
    cache = opened()
    cache.put([KEYS[3]], [states(3, scale=1e9)])
    assert torch.equal(cache.get(KEYS[3]), states(3, scale=1e9))

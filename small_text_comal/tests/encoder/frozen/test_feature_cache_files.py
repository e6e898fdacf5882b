"""Cache files that runs and processes share: nothing damaged, foreign or half-written is ever used."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cache_contents import KEYS, H, assert_holds, filled, opened, segments, states
from safetensors.torch import save_file

import small_text_comal
from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.frozen import feature_cache as cache_module
from small_text_comal.encoder.frozen.feature_cache import FeatureCache

# Another process of the same cache: `cache` is open, `keys` and `states` are those of this file.
OTHER_PROCESS = """
import os, signal, sys, types
import torch
package = types.ModuleType("small_text_comal")  # the package's own imports take seconds, and are not needed here
package.__path__ = [sys.argv[2]]
sys.modules["small_text_comal"] = package
from small_text_comal.encoder.frozen import feature_cache as cache_module
from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.frozen.feature_cache import FeatureCache
cache = FeatureCache(FeatureCacheArguments(dtype="float32", folder=sys.argv[1]))
cache.use("model")
keys = [bytes([i]) * 16 for i in range(8)]
states = [torch.full((1 + i, 4), float(i)) for i in range(8)]
"""


def other_process(folder, *lines):
    script = OTHER_PROCESS + "\n".join(lines)
    command = [sys.executable, "-c", script, str(folder), *small_text_comal.__path__]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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


def test_what_was_abandoned_long_ago_is_removed(tmp_path):
    folder = filled([1], folder=tmp_path).folder()
    old, new = folder / "a.partial", folder / "b.partial"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert_holds(opened(folder=tmp_path), [1])
    assert (old.exists(), new.exists()) == (False, True)


def test_a_folder_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    filled([1], folder="~/states")
    assert len(segments(tmp_path / "states")) == 1


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
    tensors = {"keys": torch.zeros(1, 16, dtype=torch.uint8), "lengths": torch.tensor([1]), "states": torch.ones(1, H)}
    save_file(tensors, path, {"segment": "5"})


def sizes_that_do_not_fit(path):
    cache_module._write_segment(path, [KEYS[1]], states(1), torch.tensor([7]), "model")


def fewer_lengths_than_documents(path):
    cache_module._write_segment(path, [KEYS[1], KEYS[3]], states(1), torch.tensor([2]), "model")


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
    sizes_that_do_not_fit,
    fewer_lengths_than_documents,
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

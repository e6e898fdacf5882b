"""Files of vectors that processes share: nothing damaged, foreign or half-written is ever used, nothing is lost."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from vector_contents import KEYS, D, assert_holds, filled, opened, put_one_by_one, segments, vectors

import small_text_comal
from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.sentence import vector_files
from small_text_comal.encoder.sentence.vector_cache import VectorCache
from small_text_comal.encoder.sentence.vector_files import Segment, write_segment
from small_text_comal.encoder.sentence_encoder import SentenceEncoder

# Another process of the same cache: `store` is open, `put(i)` stores document i as this file's `vectors` have it.
OTHER_PROCESS = """
import os, signal, sys, types
import numpy as np
package = types.ModuleType("small_text_comal")  # the package's own imports take seconds, and are not needed here
package.__path__ = [sys.argv[2]]
sys.modules["small_text_comal"] = package
from small_text_comal.encoder.sentence import vector_cache
from small_text_comal.encoder.sentence import vector_files
from small_text_comal.config import FeatureCacheArguments
store = vector_cache.VectorCache(FeatureCacheArguments(dtype="float32", folder=sys.argv[1])).store("model")
def put(*rows):
    store.put([bytes([i]) * 16 for i in rows], np.repeat(np.array(rows, dtype=np.float32)[:, None], 4, axis=1))
    store.flush()
"""
needs_kill = pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")


def other_process(folder, lines):
    command = [sys.executable, "-c", OTHER_PROCESS + textwrap.dedent(lines), str(folder), *small_text_comal.__path__]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process, expected=0):
    _, errors = process.communicate(timeout=240)
    assert process.returncode == expected, errors


def test_a_second_process_reads_what_the_first_wrote(tmp_path):
    filled([2, 5], folder=tmp_path)
    finished(other_process(tmp_path, "assert store.get([bytes([5]) * 16]).tolist() == [[5.0] * 4]"))


def test_two_processes_write_and_merge_at_once(tmp_path):
    """Each writes 40 files of one document, and merges whenever there are more than 16."""
    lines = "for i in {}: put(i)"
    both = [other_process(tmp_path, lines.format(rows)) for rows in ("range(40)", "range(39, -1, -1)")]
    for process in both:
        finished(process)
    assert len(segments(tmp_path)) <= 17
    assert list(tmp_path.rglob("*.partial")) == []
    assert_holds(opened(folder=tmp_path), range(40))


KILL = "os.kill(os.getpid(), signal.SIGKILL)"
KILLED = {
    "in the middle of the file": f"""
        def half(descriptor):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            {KILL}
        vector_files.os.fsync = half
    """,
    "before the file gets its name": f"vector_files.os.replace = lambda *names: {KILL}",
}


@needs_kill
@pytest.mark.parametrize("moment", KILLED)
def test_a_process_killed_while_it_writes_leaves_nothing_that_is_read(tmp_path, moment):
    lines = "put(0)\n" + textwrap.dedent(KILLED[moment]) + "\nput(1, 2)"
    finished(other_process(tmp_path, lines), -signal.SIGKILL)
    assert [path.suffix for path in tmp_path.rglob("*.partial")] == [".partial"]
    store = opened(folder=tmp_path)
    assert_holds(store, [0])
    store.put(KEYS[1:3], vectors([1, 2]))
    store.flush()
    assert_holds(opened(folder=tmp_path), [0, 1, 2])


@needs_kill
def test_a_process_killed_while_it_merges_loses_nothing(tmp_path):
    lines = f"""
        from pathlib import Path
        removed = []
        def unlink(self, missing_ok=False):
            if self.suffix == ".safetensors":
                removed.append(self)
                if len(removed) > 5: {KILL}
            return original(self, missing_ok=missing_ok)
        original, Path.unlink = Path.unlink, unlink
        for i in range(20): put(i)
    """
    finished(other_process(tmp_path, lines), -signal.SIGKILL)
    assert len(segments(tmp_path)) == 17 - 5 + 1
    assert_holds(opened(folder=tmp_path), range(17))


@needs_kill
def test_an_embedding_that_was_killed_goes_on_where_it_was(tmp_path):
    lines = f"""
        vector_cache._SEGMENT_DOCUMENTS = 4
        from small_text_comal.encoder.sentence_encoder import SentenceEncoder
        calls = []
        def embed(texts):
            calls.append(texts)
            if len(calls) == 6: {KILL}
            return [[1.0, float(text)] for text in texts]
        cache = vector_cache.VectorCache(FeatureCacheArguments(dtype="float32", folder=sys.argv[1]))
        SentenceEncoder(embed, name="n", cache=cache, batch_size=2).encode_texts([str(i) for i in range(20)])
    """
    finished(other_process(tmp_path, lines), -signal.SIGKILL)
    calls = []

    def embed(texts):
        calls.extend(texts)
        return [[1.0, float(text)] for text in texts]

    cache = VectorCache(FeatureCacheArguments(dtype="float32", folder=tmp_path))
    SentenceEncoder(embed, name="n", cache=cache).encode_texts([str(i) for i in range(20)])
    assert calls == [str(i) for i in range(8, 20)]


def test_what_was_abandoned_long_ago_is_removed(tmp_path):
    folder = segments(filled([1], folder=tmp_path)._folder)[0].parent
    old, new = folder / "a.partial", folder / "b.partial"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert_holds(opened(folder=tmp_path), [1])
    assert (old.exists(), new.exists()) == (False, True)


def test_a_folder_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    filled([1], folder="~/vectors")
    assert len(segments(tmp_path / "vectors")) == 1


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc to see memory maps")
def test_files_are_memory_mapped(tmp_path):
    store = filled([5], folder=tmp_path)
    assert store._memory_bytes == 0
    assert segments(tmp_path)[0].name in Path("/proc/self/maps").read_text()


def truncate(path):
    os.truncate(path, path.stat().st_size - 3)


def empty(path):
    path.write_bytes(b"")


def flip_a_bit_of_the_vectors(path):
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
    tensors = {"keys": torch.zeros(1, 16, dtype=torch.uint8), "vectors": torch.ones(1, D)}
    save_file(tensors, path, {"segment": "5"})


def written(path, keys, content, fingerprint="model"):
    write_segment(path.parent / "elsewhere", Segment(keys, content), fingerprint).replace(path)


def more_keys_than_vectors(path):
    written(path, KEYS[:2], torch.ones(1, D))


def one_axis(path):
    written(path, KEYS[:1], torch.ones(1))


def another_encoder(path):
    written(path, KEYS[:1], torch.ones(1, D), "other")


def another_type(path):
    written(path, KEYS[:1], torch.ones(1, D, dtype=torch.float16))


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def a_link(path):
    path.replace(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


DAMAGES = [
    truncate,
    empty,
    flip_a_bit_of_the_vectors,
    flip_a_bit_of_the_header,
    text,
    other_tensors,
    other_metadata,
    more_keys_than_vectors,
    one_axis,
    another_encoder,
    another_type,
    pytest.param(a_pipe, marks=needs_kill),
    pytest.param(a_link, marks=needs_kill),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_file_is_reported_and_not_used(tmp_path, damage):
    filled([1], folder=tmp_path)
    damaged = segments(tmp_path)[0]
    filled([2], folder=tmp_path)
    damage(damaged)
    with pytest.warns(UserWarning, match=f"{damaged.name} is damaged or not a file of this encoder's") as notes:
        store = opened(folder=tmp_path)
    assert len(notes) == 1
    store.refresh()  # no second warning
    assert_holds(store, [2])
    for row in [1, *range(3, 30)]:  # merges around it
        store.put([KEYS[row]], vectors([row]))
        store.flush()
    assert os.path.lexists(damaged)
    with pytest.warns(UserWarning, match="you can delete it"):
        assert_holds(opened(folder=tmp_path), range(1, 30))


def test_a_file_that_is_damaged_after_it_was_opened_is_not_merged(tmp_path):
    store = filled([0], folder=tmp_path)
    damaged = segments(tmp_path)[0]
    put_one_by_one(store, range(1, 16))
    flip_a_bit_of_the_header(damaged)
    with pytest.warns(UserWarning, match=f"{damaged.name} is damaged") as notes:
        put_one_by_one(store, range(16, 20))
    assert len(notes) == 1
    assert damaged.exists()
    assert len(segments(tmp_path)) < 10
    with pytest.warns(UserWarning, match=f"{damaged.name} is damaged"):
        assert_holds(opened(folder=tmp_path), range(1, 20))


def test_vectors_of_another_size_in_the_folder(tmp_path):
    folder = segments(filled([1], folder=tmp_path)._folder)[0].parent
    store = opened(folder=tmp_path)
    write_segment(folder, Segment([KEYS[2]], torch.ones(1, 7)), "model")
    with pytest.warns(UserWarning, match=f"holds vectors of size 7, and this encoder's have size {D}: it is not used"):
        store.refresh()
    assert_holds(store, [1])


def test_a_disk_that_refuses_keeps_the_run_going_in_memory(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    store = opened(folder=tmp_path)
    monkeypatch.setattr(vector_files.os, "fsync", refuse)
    store.put([KEYS[1]], vectors([1]))
    with pytest.warns(UserWarning, match=r"cannot write to .*No space left.*: vectors stay in memory"):
        store.flush()
    assert_holds(store, [1])
    assert list(tmp_path.rglob("*.*")) == []


def test_a_folder_that_cannot_be_made_keeps_the_run_going_in_memory(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = opened(folder=tmp_path / "file" / "folder")
    store.put([KEYS[1]], vectors([1]))
    with pytest.warns(UserWarning, match=r"cannot write to .*: vectors stay in memory"):
        store.flush()
    assert_holds(store, [1])
    assert np.array_equal(store.get([KEYS[1]]), vectors([1]))

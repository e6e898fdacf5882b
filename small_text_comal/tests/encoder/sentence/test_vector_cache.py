"""The cache of vectors: what is put comes back, in memory, in files, and beyond the limit; files are merged."""

import doctest
import pickle

import numpy as np
import pytest
from vector_contents import KEYS, D, assert_holds, filled, opened, put_one_by_one, segments, vectors

from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.sentence import vector_cache as cache_module
from small_text_comal.encoder.sentence.vector_cache import VectorCache, text_key


def test_docstring_examples():
    assert doctest.testmod(cache_module).failed == 0


@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_what_is_put_comes_back_in_the_storage_type(tmp_path, dtype, in_folder):
    store = opened(dtype=dtype, folder=tmp_path if in_folder else None)
    value = np.random.default_rng(0).normal(size=(2, D)).astype(np.float32)
    store.put(KEYS[:2], value)
    pending = store.get(KEYS[:2])
    store.flush()
    stored = store.get(KEYS[:2])
    assert stored.dtype == np.float32
    assert np.array_equal(stored, pending)
    tolerance = {"float32": 0, "float16": 2e-3, "bfloat16": 2e-2}[dtype]
    np.testing.assert_allclose(stored, value, atol=tolerance)
    assert np.array_equal(stored, value) == (dtype == "float32")


def test_vectors_are_copies():
    store, value = opened(), vectors([1])
    store.put([KEYS[1]], value)
    value[:] = 0
    got = store.get([KEYS[1]])
    got[:] = 5
    assert_holds(store, [1])


def test_order_repeats_and_unknown_documents():
    store = filled([0, 1])
    store.put([KEYS[3]], vectors([3]))  # pending, beside what is packed
    assert np.array_equal(store.get([KEYS[3], KEYS[0], KEYS[3], KEYS[1]]), vectors([3, 0, 3, 1]))
    assert store.missing([KEYS[2], KEYS[0], KEYS[4], KEYS[2], KEYS[3]]) == [0, 2]
    assert len(store) == 3
    with pytest.raises(KeyError):
        store.get([KEYS[2]])
    assert store.get([]).shape == (0, D)


def test_the_first_vector_of_a_document_stays():
    store = filled([0])
    store.put(KEYS[:2], np.ones((2, D)))
    store.put([KEYS[1]], np.zeros((1, D)))
    store.flush()
    assert np.array_equal(store.get(KEYS[:2]), [vectors([0])[0], np.ones(D)])


def test_a_segment_is_closed_every_so_many_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_SEGMENT_DOCUMENTS", 3)
    store = opened(folder=tmp_path)
    store.put(KEYS[:2], vectors([0, 1]))
    assert segments(tmp_path) == []
    store.put(KEYS[2:4], vectors([2, 3]))
    assert len(segments(tmp_path)) == 1
    assert_holds(opened(folder=tmp_path), [0, 1, 2, 3])


def test_encoders_do_not_meet(tmp_path):
    for folder in (None, tmp_path):
        cache = VectorCache(FeatureCacheArguments(dtype="float32", folder=folder))
        one = cache.store("one")
        one.put([KEYS[1]], vectors([1]))
        one.flush()
        two = cache.store("two")
        assert len(two) == 0
        two.put([KEYS[1]], np.ones((1, D + 1)))
        two.flush()
        assert cache.store("one") is one
        assert_holds(one, [1])


def test_the_default_is_exact_and_in_memory():
    assert VectorCache().arguments == FeatureCacheArguments(dtype="float32")


def test_without_caching_a_store_is_new_each_time():
    cache = VectorCache(FeatureCacheArguments(enabled=False))
    cache.store("model").put([KEYS[0]], vectors([0]))
    assert len(cache.store("model")) == 0


def test_vectors_of_another_size():
    store = filled([0])
    with pytest.raises(ValueError, match=f"expected vectors of size {D}, .*got size {D + 1}"):
        store.put([KEYS[1]], np.ones((1, D + 1)))
    assert_holds(store, [0])


def test_beyond_the_memory_limit_vectors_go_to_a_temporary_folder():
    store = filled([0, 1], memory_limit=2 * D * 4)
    assert store._folder is None
    store.put(KEYS[2:4], vectors([2, 3]))
    store.flush()
    folder = store._folder
    assert len(segments(folder)) == 1
    assert_holds(store, [0, 1, 2, 3])
    del store
    assert not folder.parent.exists()


def test_pickling_keeps_the_options_and_drops_the_content(tmp_path):
    cache = VectorCache(FeatureCacheArguments(dtype="float32", folder=tmp_path, memory_limit=9))
    store = cache.store("model")
    store.put(KEYS[:2], vectors([0, 1]))
    store.flush()
    loaded = pickle.loads(pickle.dumps(cache))
    assert loaded.arguments == cache.arguments
    assert loaded._stores == {}
    assert_holds(loaded.store("model"), [0, 1])


def test_keys_tell_texts_apart():
    texts = ["", " ", "a", "A", "a\n", "ä", "\ud800"]  # the last is half a surrogate pair
    assert len({text_key(text) for text in texts}) == len(texts)
    assert {len(text_key(text)) for text in texts} == {16}


def test_many_small_files_are_merged(tmp_path):
    store = opened(folder=tmp_path)
    put_one_by_one(store, range(16))
    assert len(segments(tmp_path)) == 16
    put_one_by_one(store, [16])
    assert len(segments(tmp_path)) == 1
    put_one_by_one(store, range(17, 30))
    assert_holds(store, range(30))
    assert_holds(opened(folder=tmp_path), range(30))
    assert len([block for block in store._blocks if len(block)]) == len(segments(tmp_path)) == 14


def test_very_many_files_are_merged_a_handful_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_SEGMENT_DOCUMENTS", 1)
    sizes, write = [], cache_module.write_segment
    monkeypatch.setattr(
        cache_module, "write_segment", lambda f, segment, p: sizes.append(len(segment.keys)) or write(f, segment, p)
    )
    store = opened(folder=tmp_path)
    for row in range(40):
        store.put([KEYS[row]], vectors([row]))
    assert len(segments(tmp_path)) == 40
    store.flush()
    assert sizes == [1] * 40 + [17, 17]
    assert len(segments(tmp_path)) == 8
    assert_holds(store, range(40))
    assert_holds(opened(folder=tmp_path), range(40))


def test_large_files_are_left_alone(tmp_path, monkeypatch):
    large = filled(range(8), folder=tmp_path)
    path = segments(tmp_path)[0]
    monkeypatch.setattr(cache_module, "_SMALL_FILE", path.stat().st_size)
    put_one_by_one(large, range(8, 30))
    assert path.exists()
    assert len(segments(tmp_path)) < 18
    assert_holds(opened(folder=tmp_path), range(30))


def test_a_reader_keeps_its_vectors_while_another_merges(tmp_path):
    writer, reader = opened(folder=tmp_path), opened(folder=tmp_path)
    put_one_by_one(writer, range(10))
    reader.refresh()
    put_one_by_one(writer, range(10, 20))
    assert_holds(reader, range(10))
    reader.refresh()
    assert_holds(reader, range(20))


def test_a_merge_by_one_who_knows_the_vectors_from_files_that_are_gone_loses_none(tmp_path):
    """The second process holds documents 0 to 9 from files that the first has merged and removed."""
    first, second = opened(folder=tmp_path), opened(folder=tmp_path)
    put_one_by_one(first, range(10))
    second.refresh()
    put_one_by_one(first, range(10, 17))  # merges
    put_one_by_one(second, range(17, 33))  # merges the merged file with its own
    assert len(segments(tmp_path)) == 1
    assert_holds(opened(folder=tmp_path), range(33))
    assert_holds(second, range(33))


def test_merging_keeps_the_vectors_that_this_process_has_seen(tmp_path):
    first, second = opened(folder=tmp_path), opened(folder=tmp_path)
    first.put([KEYS[0]], np.ones((1, D)))
    second.put([KEYS[0]], np.zeros((1, D)))
    first.flush()
    second.flush()
    put_one_by_one(second, range(1, 20))
    assert np.array_equal(second.get([KEYS[0]])[0], np.zeros(D))
    assert np.array_equal(opened(folder=tmp_path).get([KEYS[0]])[0], np.zeros(D))


def test_a_file_that_is_merged_away_while_a_folder_is_listed(tmp_path, monkeypatch):
    writer = opened(folder=tmp_path)
    put_one_by_one(writer, range(16))
    read = cache_module.read_segment
    opened_files = []

    def read_late(path, *args):
        opened_files.append(path)
        if len(opened_files) == 3:
            monkeypatch.setattr(cache_module, "read_segment", read)
            put_one_by_one(writer, [16])  # merges all
        return read(path, *args)

    monkeypatch.setattr(cache_module, "read_segment", read_late)
    assert_holds(opened(folder=tmp_path), range(17))


def test_a_full_disk_while_merging_loses_nothing(tmp_path, monkeypatch):
    store = opened(folder=tmp_path)
    put_one_by_one(store, range(16))
    write = cache_module.write_segment

    def refuse_the_merged(folder, segment, fingerprint):
        if len(segment.keys) > 1:
            raise OSError(28, "No space left on device")
        return write(folder, segment, fingerprint)

    monkeypatch.setattr(cache_module, "write_segment", refuse_the_merged)
    put_one_by_one(store, range(16, 20))
    assert len(segments(tmp_path)) == 20
    assert_holds(store, range(20))
    assert_holds(opened(folder=tmp_path), range(20))

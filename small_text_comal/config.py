"""Options as frozen dataclasses, validated once where they are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ContrastiveBranchArguments", "FeatureCacheArguments"]

NEGATIVES = ("shared", "per-label", "none")
DECOUPLING = ("label", "none")
ACTIVATIONS = (None, "relu", "gelu")
STORAGE_DTYPES = ("float16", "bfloat16", "float32")
MIN_TEMPERATURE = 0.003  # below it exp(2 / temperature) leaves the range of float64


def _require(condition: bool, field: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{field}: expected {expected}, got {got!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and abs(value) < 1e300


def _require_count(value: object, field: str, minimum: int = 1) -> None:
    ok = isinstance(value, int) and not isinstance(value, bool) and value >= minimum
    _require(ok, field, f"an integer >= {minimum}", value)


def _require_number(value: object, field: str, *, minimum: float = 0.0, exclusive: bool = False) -> None:
    expected = f"a finite number {'>' if exclusive else '>='} {minimum:g}"
    ok = _is_number(value) and (value > minimum if exclusive else value >= minimum)  # type: ignore[operator]
    _require(ok, field, expected, value)


@dataclass(frozen=True)
class ContrastiveBranchArguments:
    """Options of the contrastive branch and its training (paper section 3.1 and Appendix A).

    The defaults are the cheapest settings found whose queries are as good as those of the paper's settings, within the
    spread of seeds; `paper` returns these, which take nearly 200 times as long to fit (benchmarks/branch_quality.py).

    Parameters
    ----------
    sub_feature_size : U, size of the label-specific vectors u_ij; parameters and time grow with C * U * D
    latent_size : Z, size of the latent vectors z_ij
    activation : None (as the authors' code), "relu" or "gelu", behind the maps m_j and the decoder d
    temperature : tau of eq. 3
    alpha, beta : weights of the reconstruction and the classification loss (eq. 6)
    learning_rate, batch_size, max_epochs, patience : the branch's own AdamW, constant rate, and its early stopping
    stop_gradient : True: the encoder does not feel the branch; False: it does (paper 4.6)
    negatives : "shared": all negatives form class C + 1; "per-label": one class for each label's negatives;
        "none": negatives are neither anchors nor in denominators (w/o NEG)
    sampled_negatives : negative pairs of a document and a label that the contrastive loss uses of each batch, drawn at
        random and reweighted; None: all, whose number grows with C and whose cost with C^2
    decoupling : "label": one latent vector a document and label; "none": one a document (w/o LSF)
    contrastive, reconstruction : False leaves that loss out (w/o cl, w/o rc)

    Raises
    ------
    ValueError
        Names the field, what was expected and what came.

    Examples
    --------
    >>> ContrastiveBranchArguments(latent_size=64).temperature
    0.07
    >>> ContrastiveBranchArguments.paper().latent_size
    256
    """

    sub_feature_size: int = 16
    latent_size: int = 32
    activation: str | None = None
    temperature: float = 0.07
    alpha: float = 1.0
    beta: float = 1.0
    learning_rate: float = 2e-3
    batch_size: int = 64
    max_epochs: int = 10
    patience: int = 6
    stop_gradient: bool = True
    negatives: str = "shared"
    sampled_negatives: int | None = 512
    decoupling: str = "label"
    contrastive: bool = True
    reconstruction: bool = True

    def __post_init__(self) -> None:
        for field in ("sub_feature_size", "latent_size", "batch_size"):
            _require_count(getattr(self, field), field)
        for field in ("max_epochs", "patience"):
            _require_count(getattr(self, field), field, minimum=0)
        for field in ("alpha", "beta"):
            _require_number(getattr(self, field), field)
        _require_number(self.learning_rate, "learning_rate", exclusive=True)
        _require_number(self.temperature, "temperature", minimum=MIN_TEMPERATURE)
        for field in ("stop_gradient", "contrastive", "reconstruction"):
            _require(isinstance(getattr(self, field), bool), field, "True or False", getattr(self, field))
        if self.sampled_negatives is not None:
            _require_count(self.sampled_negatives, "sampled_negatives", minimum=2)
        _require(self.negatives in NEGATIVES, "negatives", f"one of {NEGATIVES}", self.negatives)
        _require(self.decoupling in DECOUPLING, "decoupling", f"one of {DECOUPLING}", self.decoupling)
        _require(self.activation in ACTIVATIONS, "activation", f"one of {ACTIVATIONS}", self.activation)
        _require(
            self.contrastive or self.reconstruction,
            "contrastive",
            "True when reconstruction is False (a branch without both has nothing to learn)",
            self.contrastive,
        )

    @classmethod
    def paper(cls, **changes: Any) -> ContrastiveBranchArguments:
        """Return the settings of the paper's Appendix A, with `changes`.

        Examples
        --------
        >>> ContrastiveBranchArguments.paper(alpha=0.5).max_epochs
        50
        """
        sizes = {"sub_feature_size": 512, "latent_size": 256, "sampled_negatives": None}
        return cls(**{**sizes, "learning_rate": 1e-4, "max_epochs": 50, **changes})


@dataclass(frozen=True)
class FeatureCacheArguments:
    """Options of the cache of frozen-layer outputs, which a classifier factory keeps for all rounds.

    Parameters
    ----------
    enabled : False computes the frozen layers again in every pass
    dtype : "float16" (default), "bfloat16" or "float32" storage
    memory_limit : bytes of cached states held in memory, default 1 GiB; more goes to memory-mapped files. The last
        32 MiB before they are packed do not count
    folder : where those files are kept and shared between runs and processes; None: a temporary folder that goes
        with the process, used only beyond `memory_limit`

    Raises
    ------
    ValueError
        Names the field, what was expected and what came.

    Examples
    --------
    >>> FeatureCacheArguments(dtype="float32").memory_limit == 2**30
    True
    """

    enabled: bool = True
    dtype: str = "float16"
    memory_limit: int = 2**30
    folder: str | Path | None = None

    def __post_init__(self) -> None:
        _require(isinstance(self.enabled, bool), "enabled", "True or False", self.enabled)
        _require(self.dtype in STORAGE_DTYPES, "dtype", f"one of {STORAGE_DTYPES}", self.dtype)
        _require_count(self.memory_limit, "memory_limit", minimum=0)
        ok = self.folder is None or isinstance(self.folder, (str, Path))
        _require(ok, "folder", "a path or None", self.folder)

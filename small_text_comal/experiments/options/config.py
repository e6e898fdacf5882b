"""Options of an experiment, checked where they are made."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.paths import filled_path
from small_text_comal.experiments.options.evaluation import METRICS, checked_metrics

__all__ = ["EncoderOptions", "ExperimentConfig", "TrainingOptions"]


@dataclass(frozen=True)
class EncoderOptions:
    """The text encoder.

    Parameters
    ----------
    model : name on the Hugging Face hub, or a folder
    max_length : tokens a document is cut to
    frozen_layers : first layers that are not trained; None: three quarters of them, and the embeddings; 0: none
    """

    model: str = "google-bert/bert-base-uncased"
    max_length: int = 256
    frozen_layers: int | None = None

    def __post_init__(self) -> None:
        _require_counts(self, ("max_length",), minimum=1)
        if self.frozen_layers is not None:
            _require_counts(self, ("frozen_layers",), minimum=0)


@dataclass(frozen=True)
class TrainingOptions:
    """How the classifier is fitted in every round, from scratch (paper section 4.1).

    Parameters
    ----------
    max_epochs : at most
    patience : epochs without a better validation loss until the best weights are taken; 0 trains all epochs
    learning_rate : of AdamW, constant
    batch_size : documents a training step
    predict_batch_size : documents a forward pass without training
    """

    max_epochs: int = 50
    patience: int = 6
    learning_rate: float = 1e-4
    batch_size: int = 64
    predict_batch_size: int = 64

    def __post_init__(self) -> None:
        _require_counts(self, ("max_epochs", "batch_size", "predict_batch_size"), minimum=1)
        _require_counts(self, ("patience",), minimum=0)
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate: expected a number > 0, got {self.learning_rate!r}")


@dataclass(frozen=True)
class ExperimentConfig:
    """A comparison of query strategies.

    Parameters
    ----------
    output : folder of the records
    datasets : at least one
    strategies : names, with options in parentheses where wanted: ``"CoMAL(criterion='paper')"``
    seeds : one run for each; a seed has its own validation set and its own first labels, shared by all strategies
    initial_size : labels at the start
    query_size : labels bought in a round
    rounds : how many times labels are bought; a run trains rounds + 1 models
    min_per_label : positives that every label has at the start
    metrics : on the test set; those at a k beyond the number of labels are left out
    full_data : also train once on all labels, for the share of the full-data score that a strategy reaches
    encoder, training, branch : options of the classifier
    device : "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1"
    cache_folder : keeps the frozen layers' output for all runs on the same data, environment variables and ~ are filled
        in; "": each run computes its own
    threads : CPU threads of a run; 0: the machine's cores divided by the runs that go side by side

    Raises
    ------
    ValueError
        Names the option, what was expected and what came.
    """

    output: str
    datasets: tuple[DatasetSpec, ...]
    strategies: tuple[str, ...] = ("CoMAL", "RandomSampling")
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    initial_size: int = 100
    query_size: int = 100
    rounds: int = 50
    min_per_label: int = 1
    metrics: tuple[str, ...] = METRICS
    full_data: bool = True
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    branch: ContrastiveBranchArguments = field(default_factory=ContrastiveBranchArguments)
    device: str = "auto"
    cache_folder: str = ""
    threads: int = 0

    def __post_init__(self) -> None:
        for name in ("datasets", "strategies", "seeds", "metrics"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            if not getattr(self, name):
                raise ValueError(f"{name}: expected at least one, got none")
        object.__setattr__(self, "metrics", checked_metrics(self.metrics))
        _require_counts(self, ("initial_size", "query_size"), minimum=1)
        _require_counts(self, ("rounds", "min_per_label", "threads"), minimum=0)
        for seed in self.seeds + tuple(seed for spec in self.datasets for seed in spec.seeds or ()):
            if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
                raise ValueError(f"seeds: expected integers >= 0, got {seed!r}")
        names = [spec.name for spec in self.datasets]
        if len(set(names)) < len(names):
            raise ValueError(f"datasets: expected different names, got {names}; set name in the second of each pair")

    def resolved_cache_folder(self) -> str | None:
        """Return `cache_folder` with environment variables and ~ filled in, None where each run computes its own."""
        return filled_path(self.cache_folder, where="cache_folder") or None


def _require_counts(options: object, names: tuple[str, ...], *, minimum: int) -> None:
    known = {option.name for option in fields(options)}  # type: ignore[arg-type]
    assert known.issuperset(names)
    for name in names:
        value = getattr(options, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise ValueError(f"{name}: expected an integer >= {minimum}, got {value!r}")

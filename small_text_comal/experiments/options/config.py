"""Options of an experiment, in one dataclass per subject, checked where they are made.

A new option is a new field: its help text makes it an option of the command line, its name an option of files.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, replace

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.encoder.sentence_encoder import is_sentence_encoder
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.names import known_name
from small_text_comal.experiments.data.option import check_ranges, option
from small_text_comal.experiments.data.paths import filled_path
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.options.metrics import METRICS, checked_metrics

__all__ = [
    "ClassifierOptions",
    "EncoderOptions",
    "ExecutionOptions",
    "ExperimentConfig",
    "ProtocolOptions",
    "TrainingOptions",
]

BACKENDS = ("loky", "ray", "dask")
CLASSIFIER_NAMES = ("auto", "embedding", "transformer", "setfit")


@dataclass(frozen=True)
class ProtocolOptions:
    """What is compared, and in how many rounds of which size.

    Parameters
    ----------
    strategies : names, with options in parentheses where wanted: ``"CoMAL(criterion='paper')"``
    seeds : one run per seed; a seed has its own validation set and its own first labels, shared by all strategies
    initial_size : documents labeled at the start
    query_size : documents labeled per round
    rounds : number of queries; a run trains rounds + 1 models
    min_per_label : positives of every label at the start
    metrics : on the test set; those whose k exceeds the number of labels are left out
    full_data : also train once on all labels, to report which share of that score a strategy reaches

    Raises
    ------
    UserError
        Names the option, what was expected and what came.
    """

    strategies: tuple[str, ...] = option(
        ("CoMAL", "RandomSampling"), "a name, or \"CoMAL(criterion='paper')\"", flag="strategy", free=True
    )
    seeds: tuple[int, ...] = option((0, 1, 2, 3, 4), "one run per seed", flag="seed", free=True)
    initial_size: int = option(100, "documents labeled at the start", minimum=1)
    query_size: int = option(100, "documents labeled per round", minimum=1)
    rounds: int = option(50, "number of queries", minimum=0, free=True)
    min_per_label: int = option(1, minimum=0)
    metrics: tuple[str, ...] = option(METRICS, "micro_f1, macro_f1, p@K, ndcg@K", flag="metric")
    full_data: bool = option(True, "also train once on all labels", free=True)

    def __post_init__(self) -> None:
        check_ranges(self)
        for name in ("strategies", "seeds", "metrics"):
            if not getattr(self, name):
                raise UserError(f"{name}: expected at least one, got none")
        object.__setattr__(self, "metrics", checked_metrics(self.metrics))
        _check_seeds(self.seeds)


@dataclass(frozen=True)
class EncoderOptions:
    """The text encoder.

    Parameters
    ----------
    model : name on the Hugging Face hub, or a folder
    max_length : tokens per document; longer documents are cut
    frozen_layers : number of layers, counted from the first, that are not trained; None: three quarters of them, and
        the embeddings; 0: all are trained
    """

    model: str = option("google-bert/bert-base-uncased", "encoder: name on the Hugging Face hub, or a folder")
    max_length: int = option(256, "tokens per document", minimum=1)
    frozen_layers: int | None = option(None, "layers not trained; by default three quarters", minimum=0)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class ClassifierOptions:
    """Which classifier is trained in every round, and what it is told.

    Parameters
    ----------
    classifier : "embedding" (a convex head on sentence embeddings), "transformer" (fine-tuning), "setfit", or "auto":
        embedding for an encoder that is a sentence encoder, transformer for others
    label_names : whether the labels' names inform the embedding classifier
    threshold : the cut at which a label is predicted: 0 fits one for each label, 0.5 is small-text's
    """

    classifier: str = option("auto", "embedding, transformer or setfit; by default by the encoder")
    label_names: bool = option(True, "let the labels' names inform the embedding classifier")
    threshold: float = option(0.0, "cut at which a label is predicted; 0: fitted for each label")

    def __post_init__(self) -> None:
        check_ranges(self)
        object.__setattr__(self, "classifier", known_name(self.classifier, CLASSIFIER_NAMES, kind="classifier"))
        if not 0 <= self.threshold < 1:
            raise UserError(f"threshold: expected 0 (fitted), or a number inside (0, 1), got {self.threshold!r}")

    @property
    def cut(self) -> str | float:
        """The option as classifiers take it."""
        return self.threshold or "auto"


@dataclass(frozen=True)
class TrainingOptions:
    """How the classifier is fitted in every round, from scratch (paper section 4.1).

    Parameters
    ----------
    max_epochs : maximum number of epochs
    patience : epochs without a better validation loss before training stops and the best weights are restored; 0: train
        all epochs
    learning_rate : of AdamW, constant
    batch_size : documents per training step
    predict_batch_size : documents per forward pass outside training
    """

    max_epochs: int = option(50, "maximum number of epochs", minimum=1)
    patience: int = option(6, "early stopping: epochs without improvement; 0: never stop", minimum=0)
    learning_rate: float = option(1e-4, "learning rate of the classifier")
    batch_size: int = option(64, "documents per training step", minimum=1)
    predict_batch_size: int = option(64, minimum=1)

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.learning_rate > 0:
            raise UserError(f"learning_rate: expected a number > 0, got {self.learning_rate!r}")


@dataclass(frozen=True)
class ExecutionOptions:
    """Where and how the runs are executed.

    Parameters
    ----------
    device : "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1"
    cache_folder : stores the frozen layers' output for all runs on the same data; may hold environment variables and ~;
        "": each run computes its own
    threads : CPU threads per run; 0: the machine's cores divided by the number of simultaneous runs
    jobs : simultaneous runs; -1: one per core; by default 1, and on a cluster one per core of the cluster
    backend : "loky" (processes on this machine), "ray" or "dask"
    cluster : address of the Ray or Dask cluster; None starts a local one

    Raises
    ------
    UserError
        Names the option, what was expected and what came.
    """

    device: str = option("auto", "auto, cpu, cuda, cuda:1")
    cache_folder: str = option("", "stores the frozen layers' output for all runs", free=True)
    threads: int = option(0, "CPU threads per run; 0: cores divided by jobs", minimum=0, free=True)
    jobs: int | None = option(None, "simultaneous runs; -1: one per core", free=True)
    backend: str = option("loky", "loky (this machine), ray or dask", free=True)
    cluster: str | None = option(None, "address of the Ray or Dask cluster", free=True)

    def __post_init__(self) -> None:
        check_ranges(self)
        object.__setattr__(self, "backend", known_name(self.backend, BACKENDS, kind="backend"))
        if self.backend == "loky" and self.cluster is not None:
            raise UserError(
                f"cluster {self.cluster!r}: the loky backend runs on this machine only; add --backend ray or dask"
            )

    def resolved_cache_folder(self) -> str | None:
        """Return `cache_folder` with environment variables and ~ filled in, None where each run computes its own."""
        return filled_path(self.cache_folder, where="cache_folder") or None


# where a file has a group of options
AT_TOP_LEVEL = {"flat": True}
IN_A_TABLE = {"flat": False}
BRANCH_HELP = {"latent_size": "latent size of the contrastive branch"}


@dataclass(frozen=True)
class ExperimentConfig:
    """A comparison of query strategies.

    Parameters
    ----------
    output : folder of the records
    datasets : at least one
    protocol, classifier, encoder, training, branch, execution : groups of options

    Raises
    ------
    UserError
        Names the option, what was expected and what came.
    """

    output: str = option(MISSING, "folder of the records")
    datasets: tuple[DatasetSpec, ...] = option(
        MISSING, "LOADER:PATH, or a short name such as goemotions", flag="dataset"
    )
    protocol: ProtocolOptions = field(default_factory=ProtocolOptions, metadata=AT_TOP_LEVEL)
    classifier: ClassifierOptions = field(default_factory=ClassifierOptions, metadata=AT_TOP_LEVEL)
    encoder: EncoderOptions = field(default_factory=EncoderOptions, metadata=IN_A_TABLE)
    training: TrainingOptions = field(default_factory=TrainingOptions, metadata=IN_A_TABLE)
    branch: ContrastiveBranchArguments = field(
        default_factory=ContrastiveBranchArguments, metadata={**IN_A_TABLE, "help_texts": BRANCH_HELP}
    )
    execution: ExecutionOptions = field(default_factory=ExecutionOptions, metadata=AT_TOP_LEVEL)

    def __post_init__(self) -> None:
        if self.classifier.classifier == "auto":
            by_encoder = "embedding" if is_sentence_encoder(self.encoder.model) else "transformer"
            object.__setattr__(self, "classifier", replace(self.classifier, classifier=by_encoder))
        if not self.datasets:
            raise UserError("datasets: expected at least one, got none")
        for spec in self.datasets:
            _check_seeds(spec.seeds or ())
        names = [spec.name for spec in self.datasets]
        if len(set(names)) < len(names):
            raise UserError(f"datasets: expected different names, got {names}; set name in the second of each pair")


def _check_seeds(seeds: tuple[int, ...]) -> None:
    for seed in seeds:
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise UserError(f"seeds: expected integers >= 0, got {seed!r}")

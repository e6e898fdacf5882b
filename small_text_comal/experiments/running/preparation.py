"""Everything that is checked before the first training, so that nothing fails after hours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from small_text_comal.experiments.data.corpus import Corpus, Statistics, corpus_statistics, fingerprint
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.prepare import default_validation_size, load_corpus
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.options.config import EncoderOptions, ExperimentConfig, ProtocolOptions
from small_text_comal.experiments.options.metrics import measurable
from small_text_comal.experiments.options.strategies import new_strategy, parse_strategy, reason_to_skip
from small_text_comal.experiments.records.plan import Run, planned_runs, rounds_that_fit
from small_text_comal.experiments.records.run_settings import RunSettings, run_settings
from small_text_comal.experiments.running.protocol import initial_labels, make_split

__all__ = ["PreparedDataset", "check_encoder", "prepared_dataset", "runs_of", "usable_strategies"]


class PreparedDataset(NamedTuple):
    """A data set that was read and fits the experiment.

    Parameters
    ----------
    spec : which data set
    settings : what decides the numbers of its runs
    statistics, label_names : of its documents
    notes : what the user should know about it
    rounds : number of queries for which every seed's pool is large enough
    """

    spec: DatasetSpec
    settings: RunSettings
    statistics: Statistics
    label_names: tuple[str, ...]
    notes: list[str]
    rounds: int


def usable_strategies(config: ExperimentConfig) -> tuple[set[str], dict[str, str]]:
    """Return the strategies that can run, and those that cannot with the reason.

    Raises
    ------
    UserError
        On unknown strategies and options.
    """
    named = [*config.protocol.strategies, *(name for spec in config.datasets for name in spec.strategies or ())]
    specs = {str(spec): spec for spec in map(parse_strategy, named)}
    skipped = {name: reason for name, spec in specs.items() if (reason := reason_to_skip(spec)) is not None}
    usable = set(specs) - set(skipped)
    for name in sorted(usable):
        new_strategy(specs[name], 0)
    return usable, skipped


def runs_of(protocol: ProtocolOptions, spec: DatasetSpec, usable: set[str]) -> list[Run]:
    """Return the runs on one data set with the strategies that can run."""
    names = [str(parse_strategy(name)) for name in spec.strategies or protocol.strategies]
    return planned_runs(protocol, spec, [name for name in names if name in usable])


def prepared_dataset(config: ExperimentConfig, spec: DatasetSpec, say: Callable[[str], None]) -> PreparedDataset:
    """Read a data set and try its sizes with every seed; `say` is told the notes.

    Raises
    ------
    UserError, FileNotFoundError
        On data that cannot be read or are too small, and metrics that need more labels.
    """
    corpus = load_corpus(spec)
    rounds = _rounds(config.protocol, corpus, spec)
    notes = list(corpus.notes)
    if rounds < config.protocol.rounds:
        notes.append(f"{spec.name}: the pool is empty after {rounds} of {config.protocol.rounds} rounds")
    notes += _metrics_note(config.protocol.metrics, corpus)
    for note in notes:
        say(note)
    validation = 0 if corpus.validation else default_validation_size(spec, len(corpus.train))
    statistics = corpus_statistics(corpus, validation_size=validation)
    settings = run_settings(config, spec, fingerprint(corpus))
    return PreparedDataset(spec, settings, statistics, corpus.label_names, notes, rounds)


def _rounds(protocol: ProtocolOptions, corpus: Corpus, spec: DatasetSpec) -> int:
    rounds = protocol.rounds
    for seed in spec.seeds or protocol.seeds:
        pool = make_split(corpus, spec, seed).pool
        try:
            rounds = rounds_that_fit(protocol, len(pool))
            initial_labels(pool, protocol.initial_size, min_per_label=protocol.min_per_label, seed=seed)
        except ValueError as error:  # sizes that do not fit the data
            raise UserError(f"dataset {spec.name}, seed {seed}: {error}") from None
    return rounds


def _metrics_note(metrics: tuple[str, ...], corpus: Corpus) -> list[str]:
    labels = len(corpus.label_names)
    measured = measurable(metrics, labels)
    if not measured:
        raise UserError(
            f"metrics: {corpus.name} has {labels} labels, expected a metric with k up to that, got {metrics}"
        )
    missing = [name for name in metrics if name not in measured]
    return [f"{corpus.name} has {labels} labels: {', '.join(missing)} cannot be measured on it"] if missing else []


def check_encoder(options: EncoderOptions) -> None:
    """Read the encoder's own configuration, from its folder or the hub, without loading its weights.

    Raises
    ------
    UserError
        When there is no such encoder, or it has fewer layers than should be frozen.
    """
    from transformers import AutoConfig

    try:
        found: Any = AutoConfig.from_pretrained(options.model)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"encoder {options.model!r}: expected a folder or a name on the hub ({reason})") from None
    depth = getattr(found, "num_hidden_layers", None)
    if depth is not None and (options.frozen_layers or 0) > depth:
        raise UserError(
            f"frozen_layers: expected at most the {depth} layers of {options.model}, got {options.frozen_layers}"
        )

"""From records to the latent figure: the models of chosen rounds are trained again, from the same labels and seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from small_text_comal.experiments.config import ExperimentConfig
from small_text_comal.experiments.config_file import config_from_mapping
from small_text_comal.experiments.corpus import Corpus, fingerprint
from small_text_comal.experiments.experiment import read_description
from small_text_comal.experiments.identity import config_hash, difference, run_settings
from small_text_comal.experiments.latent import N_LABELS, frequent_labels, latent_points, project_to_plane
from small_text_comal.experiments.latent_plot import plot_latent
from small_text_comal.experiments.learner import SmallTextLearner
from small_text_comal.experiments.names import known_name
from small_text_comal.experiments.plan import Run, record_path, slug
from small_text_comal.experiments.prepare import load_corpus
from small_text_comal.experiments.protocol import make_split, round_seeds
from small_text_comal.experiments.quiet import calm_libraries, limited_threads
from small_text_comal.experiments.records import RecordsError, read_records
from small_text_comal.experiments.rounds import labeled_rows
from small_text_comal.experiments.strategies import parse_strategy
from small_text_comal.experiments.style import figure_style, save_figure

__all__ = ["draw_latent"]


def draw_latent(
    output: Path,
    target: Path,
    run: Run,
    *,
    rounds: Sequence[int] = (),
    label_names: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Draw the latent space of a run at some rounds into `target` and return the files.

    Parameters
    ----------
    output : folder of the records
    run : with a strategy that has a contrastive branch
    rounds : by default the first, the middle and the last
    label_names : at most six; by default the most frequent of the pool
    say : told about each round

    Raises
    ------
    ValueError
        When the run has no such round or label, or its strategy no branch.
    RecordsError
        When the data or settings are not those of the records.
    FileNotFoundError
        When the run has no records.
    """
    described = read_description(output).get("datasets", {})
    dataset = known_name(run.dataset, described, kind="dataset")
    config = config_from_mapping({**described[dataset]["config"], "output": str(output)})
    strategy = parse_strategy(run.strategy)
    if not strategy.needs_branch:
        raise ValueError(f"{strategy} has no latent space: choose a CoMAL strategy")
    run = Run(dataset, str(strategy), run.seed)
    records = read_records(record_path(output, run)).records
    if not records:
        raise FileNotFoundError(f"no records of {run} in {output}")
    spec = config.datasets[0]
    with calm_libraries(verbose=False), limited_threads(records[0]["threads"]):
        corpus = _recorded_corpus(run, config, described[dataset]["settings"], records[0]["config"])
        split = make_split(corpus, spec, run.seed)
        chosen = _labels(label_names, corpus.label_names, frequent_labels(split.pool.y))
        learner = SmallTextLearner(corpus, split, config, spec=spec, strategy=strategy)
        maps = {}
        for number in _rounds(rounds, len(records)):
            say(f"{run}: training the model of round {number} again")
            labeled = labeled_rows(records[:number], records[0]["initial"], split.pool.rows)
            learner.fit(labeled, round_seeds(run.seed, number))
            points = latent_points(learner, split.pool, labeled, chosen, rng=np.random.default_rng(run.seed))
            maps[number] = project_to_plane(points, seed=run.seed)
    with figure_style():
        figure = plot_latent(maps, [corpus.label_names[j] for j in chosen], title=str(run))
        return save_figure(figure, target, f"latent-{slug(str(run))}")


def _recorded_corpus(run: Run, config: ExperimentConfig, recorded: dict[str, Any], expected_hash: str) -> Corpus:
    """Load the data set, when its content and the settings still are those of the records."""
    spec = config.datasets[0]
    corpus = load_corpus(spec)
    settings = run_settings(config, spec, fingerprint(corpus))
    if config_hash(settings) != expected_hash:
        changes = "; ".join(difference(recorded, settings))
        raise RecordsError(
            f"{run} was recorded with another config ({changes}), so its models cannot be trained again: take the "
            f"change back (data are read from {spec.path or spec.loader})"
        )
    return corpus


def _labels(names: Sequence[str], known: Sequence[str], frequent: np.ndarray) -> list[int]:
    if len(names) > N_LABELS:
        raise ValueError(f"labels: expected at most {N_LABELS}, got {len(names)}")
    return [list(known).index(known_name(name, known, kind="label")) for name in names] or frequent.tolist()


def _rounds(wanted: Sequence[int], recorded: int) -> list[int]:
    for number in wanted:
        if not 0 <= number < recorded:
            raise ValueError(f"round {number}: the run has rounds 0 to {recorded - 1}")
    return sorted(set(wanted or (0, (recorded - 1) // 2, recorded - 1)))

"""From records to the latent figure: the models of chosen rounds are trained again, from the same labels and seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from small_text_comal.experiments.analysis.latent import N_LABELS, frequent_labels, latent_points, project_to_plane
from small_text_comal.experiments.analysis.latent_plot import plot_latent
from small_text_comal.experiments.analysis.recorded_data import recorded_data
from small_text_comal.experiments.analysis.style import figure_style, save_figure
from small_text_comal.experiments.data.names import known_name
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.options.strategies import parse_strategy
from small_text_comal.experiments.records.output_folder import OutputFolder
from small_text_comal.experiments.records.plan import Run, slug
from small_text_comal.experiments.running.learner import SmallTextLearner
from small_text_comal.experiments.running.library_noise import calm_libraries, limited_threads
from small_text_comal.experiments.running.protocol import make_split, round_seeds
from small_text_comal.experiments.running.rounds import labeled_rows

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
    UserError
        When the run has no such round or label, or its strategy no branch.
    RecordsError
        When the data or settings are not those of the records.
    FileNotFoundError
        When the run has no records.
    """
    strategy = parse_strategy(run.strategy)
    if not strategy.needs_branch:
        raise UserError(f"{strategy} has no latent space: choose a CoMAL strategy")
    data = recorded_data(output, run.dataset)
    (spec,) = data.config.datasets
    run = Run(spec.name, str(strategy), run.seed)
    records = OutputFolder(output).records(run, data.settings.hash)
    if not records:
        raise FileNotFoundError(f"no records of {run} in {output}")
    with calm_libraries(verbose=False), limited_threads(records[0]["threads"]):
        split = make_split(data.corpus, spec, run.seed)
        chosen = _labels(label_names, data.corpus.label_names, frequent_labels(split.pool.y))
        learner = SmallTextLearner(data.corpus, split, data.config, spec=spec, strategy=strategy)
        maps = {}
        for number in _rounds(rounds, len(records)):
            say(f"{run}: training the model of round {number} again")
            labeled = labeled_rows(records[:number], records[0]["initial"], split.pool.rows)
            learner.fit(labeled, round_seeds(run.seed, number))
            points = latent_points(learner, split.pool, labeled, chosen, rng=np.random.default_rng(run.seed))
            maps[number] = project_to_plane(points, seed=run.seed)
    with figure_style():
        figure = plot_latent(maps, [data.corpus.label_names[j] for j in chosen], title=str(run))
        return save_figure(figure, target, f"latent-{slug(str(run))}")


def _labels(names: Sequence[str], known: Sequence[str], frequent: np.ndarray) -> list[int]:
    if len(names) > N_LABELS:
        raise UserError(f"labels: expected at most {N_LABELS}, got {len(names)}")
    return [list(known).index(known_name(name, known, kind="label")) for name in names] or frequent.tolist()


def _rounds(wanted: Sequence[int], recorded: int) -> list[int]:
    for number in wanted:
        if not 0 <= number < recorded:
            raise UserError(f"round {number}: the run has rounds 0 to {recorded - 1}")
    return sorted(set(wanted or (0, (recorded - 1) // 2, recorded - 1)))

"""Figures of a comparison: learning curves, labels needed, pairwise wins, time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from small_text_comal.experiments.analysis.results import Results, labels_to_reach, mean_curve
from small_text_comal.experiments.analysis.significance import Duel, pairwise_duels
from small_text_comal.experiments.analysis.style import (
    AXIS_NAMES,
    GREY,
    figure_style,
    legend_below,
    line_styles,
    metric_title,
    save_figure,
    text_width,
    wrapped,
)
from small_text_comal.experiments.records.plan import slug

__all__ = ["SHARES", "plot_all", "plot_labels_needed", "plot_learning_curves", "plot_pairwise_wins", "plot_times"]

SHARES = (0.90, 0.95)  # of the full-data score
NO_PAIR = "#E3E3E3"  # cells of strategies that never met, and of a strategy with itself
SHORTEST = 0.001  # seconds; records have milliseconds, and a log axis has no 0


def plot_all(results: Results, folder: Path, *, metrics: Sequence[str], main_metric: str) -> list[Path]:
    """Draw every figure into `folder` and return the files.

    Parameters
    ----------
    results : what was measured
    folder : made when needed
    metrics : one panel each in the learning curves
    main_metric : decides labels needed and wins
    """
    files = []
    with figure_style():
        for dataset in results.datasets():
            files += save_figure(
                plot_learning_curves(results, dataset, metrics), folder, f"learning-curves-{slug(dataset)}"
            )
        if any(results.full_score(dataset, main_metric) is not None for dataset in results.datasets()):
            files += save_figure(plot_labels_needed(results, main_metric), folder, "labels-needed")
        if len(results.strategies()) > 1:
            files += save_figure(plot_pairwise_wins(results, main_metric), folder, "pairwise-wins")
        files += save_figure(plot_times(results), folder, "time-per-round")
    return files


def plot_learning_curves(results: Results, dataset: str, metrics: Sequence[str]) -> Figure:
    """Draw mean and deviation over the seeds, a panel for each metric, and the full-data score as a line."""
    columns = min(3, len(metrics))
    rows = math.ceil(len(metrics) / columns)
    width = max(3.1 * columns, 4.6)
    figure, panels = plt.subplots(rows, columns, figsize=(width, 2.3 * rows + 0.4), squeeze=False)
    styles = line_styles(results.strategies())
    strategies = [name for name in results.strategies() if results.of(dataset, name)]
    for panel, metric in zip(panels.flat, metrics, strict=False):
        for strategy in strategies:
            _draw_curve(panel, results, (dataset, strategy), metric, styles[strategy])
        full = results.full_score(dataset, metric)
        if full is not None:
            panel.axhline(full, color=GREY, linewidth=1, label="trained on all labels")
        panel.set_xlabel(AXIS_NAMES["labels"])
        panel.set_ylabel(f"{metric_title(metric)} (0 to 1)")
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    free = list(panels.flat[len(metrics) :])
    for panel in free:
        panel.axis("off")
    figure.suptitle(wrapped(f"{dataset}, test set: {_spread(results, dataset, strategies)}", width))
    if len(strategies) < 10 and (len(free) > 1 or (free and max(map(len, strategies)) < 24)):
        legend = free[0].legend(*panels.flat[0].get_legend_handles_labels(), loc="center left", handlelength=3.6)
        legend.set_in_layout(False)  # a long name reaches into the next free panel
    else:
        legend_below(figure, *panels.flat[0].get_legend_handles_labels())
    return figure


def _spread(results: Results, dataset: str, strategies: Sequence[str]) -> str:
    """What a curve and its band are; while a comparison runs, strategies have different numbers of seeds."""
    counts = {len(results.of(dataset, strategy)) for strategy in strategies}
    fewest, most = min(counts), max(counts)
    if most == 1:
        return "one seed"
    return f"mean over {most if fewest == most else f'{fewest} to {most}'} seeds ± standard deviation"


def _draw_curve(panel: Axes, results: Results, run: tuple[str, str], metric: str, style: dict[str, Any]) -> None:
    curves = results.of(*run)
    labels, mean, deviation, _ = mean_curve(curves, [curve.metrics[metric] for curve in curves])
    panel.plot(labels, mean, label=run[1], markevery=max(1, len(labels) // 10), **style)
    panel.fill_between(labels, mean - deviation, mean + deviation, color=style["color"], alpha=0.13, linewidth=0)


def plot_labels_needed(results: Results, metric: str) -> Figure:
    """Draw the labels needed for 90 and 95 % of the full-data score: dots are seeds, bars their mean."""
    datasets = [name for name in results.datasets() if results.full_score(name, metric) is not None]
    heights = [0.42 * len({c.strategy for c in results.curves if c.dataset == name}) + 1.2 for name in datasets]
    size = (9.0, sum(heights) + 0.8)
    figure, panels = plt.subplots(
        len(datasets), len(SHARES), figsize=size, squeeze=False, sharey="row", height_ratios=heights
    )
    width = (size[0] - max(map(text_width, results.strategies()))) / len(SHARES) - 0.3
    for row, dataset in zip(panels, datasets, strict=True):
        strategies = [name for name in results.strategies() if results.of(dataset, name)][::-1]
        full = results.full_score(dataset, metric)
        assert full is not None
        for panel, share in zip(row, SHARES, strict=True):
            for position, strategy in enumerate(strategies):
                _draw_needed(panel, results, (dataset, strategy), metric, position=position, target=share * full)
            panel.set_yticks(range(len(strategies)), strategies)
            panel.set_ylim(-0.6, len(strategies) - 0.4)
            panel.set_xlim(0, 1.28 * max(curve.labels[-1] for curve in results.curves if curve.dataset == dataset))
            title = f"{dataset}, {100 * share:.0f}\N{NO-BREAK SPACE}%: {metric_title(metric)} ≥ {share * full:.3f}"
            panel.set_title(wrapped(title, width, size=10))
            panel.set_xlabel(AXIS_NAMES["labels"])
            panel.grid(axis="y", visible=False)
    figure.suptitle(
        f"labels needed for a share of the full-data {metric_title(metric)}\n"
        "(dots: seeds, bar: their mean; hatched: not every seed got there)",
        fontsize=10,
    )
    return figure


def _draw_needed(
    panel: Axes, results: Results, run: tuple[str, str], metric: str, *, position: int, target: float
) -> None:
    curves = results.of(*run)
    needed = np.array([labels_to_reach(curve.labels, curve.metrics[metric], target) for curve in curves])
    color = line_styles(results.strategies())[run[1]]["color"]
    reached = needed[~np.isnan(needed)]
    last = max(curve.labels[-1] for curve in curves)
    if len(reached) == len(needed):
        panel.barh(position, reached.mean(), height=0.55, color=color, alpha=0.35, linewidth=0)
        text, where = f"{reached.mean():.0f}", reached.max()
    else:
        panel.barh(position, last, height=0.55, facecolor="none", edgecolor=GREY, linewidth=0.8, hatch="///", alpha=0.5)
        text, where = f"{len(reached)} of {len(needed)}", last
    panel.plot(reached, np.full(len(reached), position), "o", color=color, markersize=4)
    panel.annotate(text, (where, position), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)


def plot_pairwise_wins(results: Results, metric: str) -> Figure:
    """Draw how often the row beats the column over data sets and seeds, by area under the curve; * marks p < 0.05."""
    names = results.strategies()
    duels = pairwise_duels(results, metric)
    side, reach = max(2.8, 0.58 * len(names)), max(map(text_width, names))
    size = (side + reach + 1.6, side + 0.7 * reach + 0.9)  # the columns' names are turned
    figure, panel = plt.subplots(figsize=size, layout="compressed")  # the cells are squares
    share = np.full((len(names), len(names)), np.nan)
    for duel in duels:
        for row, column, wins in _both_ways(duel, names):
            share[row, column] = wins / duel.pairs if duel.pairs else np.nan
            star = "*" if duel.p_value < 0.05 else ""
            dark = share[row, column] > 0.7
            text = f"{wins}/{duel.pairs}{star}" if duel.pairs else "–"
            panel.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
    image = panel.imshow(share, cmap="Blues", vmin=0, vmax=1)
    panel.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    panel.set_yticks(range(len(names)), names)
    panel.grid(visible=False)
    panel.set_facecolor(NO_PAIR)
    figure.suptitle(
        f"wins of the row over the column\n({metric_title(metric)}, area under the curve; * p < 0.05, Holm)",
        fontsize=10,
    )
    figure.colorbar(image, ax=panel, label="share of runs won\n(data set and seed)", shrink=0.8)
    return figure


def _both_ways(duel: Duel, names: list[str]) -> list[tuple[int, int, int]]:
    first, second = names.index(duel.first), names.index(duel.second)
    return [(first, second, duel.wins), (second, first, duel.losses)]


def plot_times(results: Results) -> Figure:
    """Draw the mean seconds of training and querying in each round."""
    datasets = results.datasets()
    size = (7.6, 2.4 * len(datasets) + 0.5)
    figure, panels = plt.subplots(len(datasets), 2, figsize=size, squeeze=False, sharex="row")
    styles = line_styles(results.strategies())
    for row, dataset in zip(panels, datasets, strict=True):
        for panel, phase in zip(row, ("fit", "query"), strict=True):
            for strategy in results.strategies():
                curves = results.of(dataset, strategy)
                if curves:
                    labels, mean, _, _ = mean_curve(curves, [curve.seconds[phase] for curve in curves])
                    shown = np.maximum(mean, SHORTEST)
                    panel.plot(labels, shown, label=strategy, markevery=max(1, len(labels) // 10), **styles[strategy])
            _log_seconds(panel)
            panel.set_title(wrapped(dataset, size[0] / 2 - 0.8, size=10))
            panel.set_ylabel(AXIS_NAMES[phase])
            panel.set_xlabel(AXIS_NAMES["labels"])
            panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    fullest = max(panels[:, 0], key=lambda panel: len(panel.get_lines()))
    legend_below(figure, *fullest.get_legend_handles_labels())
    figure.suptitle("time per round, mean over the seeds")
    return figure


def _log_seconds(panel: Axes) -> None:
    """A log axis with plain numbers, three to a decade where the axis is short."""
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    if high / low < 200:
        panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    else:
        panel.yaxis.set_major_locator(LogLocator())
        panel.set_ylim(top=max(high, 10.0 ** math.ceil(math.log10(panel.dataLim.y1))))  # a number above the lines
    panel.yaxis.set_major_formatter(FuncFormatter(_seconds_text))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _seconds_text(value: float, _: int | None = None) -> str:
    """Values below the shortest time lie on it; the tick itself is off by rounding."""
    return f"{value:g}" if value > 1.01 * SHORTEST else f"≤ {SHORTEST:g}"

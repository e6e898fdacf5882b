"""Draws the latent space: label embeddings with prototypes, and which documents a round buys first and last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from small_text_comal.experiments.latent import FIRST, LABELED, LAST, LatentMap
from small_text_comal.experiments.style import GREY, PALETTE

__all__ = ["plot_latent"]

# six labels: the palette without black, which the prototypes' edges have
LABEL_COLORS = tuple(color for color in PALETTE if color != "#000000")
LABEL_MARKERS = "osD^vP"
LONGEST_NAME = 36  # characters of a label in the legend


def plot_latent(maps: Mapping[int, LatentMap], label_names: Sequence[str], *, title: str) -> Figure:
    """Draw a row for each round: left the labeled pool, right the first and the last of the query ranking.

    Parameters
    ----------
    maps : by round
    label_names : of the chosen labels, at most six
    title : what was trained on what
    """
    figure, panels = plt.subplots(len(maps), 2, figsize=(8.2, 3.5 * len(maps) + 0.4), squeeze=False)
    for row, (number, points) in zip(panels, sorted(maps.items()), strict=True):
        _draw_space(row[0], points, label_names)
        _draw_acquisition(row[1], points)
        row[0].set_title(f"latent space, round {number}")
        row[1].set_title(f"data acquisition, round {number}")
        for panel in row:
            panel.set(xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)", xticks=[], yticks=[])
    handles = [*_handles(panels[0, 0]), *[entry for entry in _handles(panels[0, 1]) if entry[1] != "prototype"]]
    names = [name for _, name in handles]
    columns = max(1, min(3, int(figure.get_figwidth() / (0.45 + 0.078 * max(map(len, names))))))
    figure.set_figheight(figure.get_figheight() + 0.2 * math.ceil(len(names) / columns))
    figure.legend([handle for handle, _ in handles], names, loc="outside lower center", ncols=columns)
    figure.suptitle(title)
    return figure


def _draw_space(panel: Axes, space: LatentMap, label_names: Sequence[str]) -> None:
    negative = ~space.positive & (space.source == LABELED)
    _dots(
        panel, space.points[negative], s=7, color=GREY, alpha=0.45, linewidths=0, label="negative (any of these labels)"
    )
    for number, name in enumerate(label_names):
        chosen = space.positive & (space.source == LABELED) & (space.label == number)
        _dots(
            panel,
            space.points[chosen],
            s=13,
            color=LABEL_COLORS[number],
            marker=LABEL_MARKERS[number],
            linewidths=0,
            alpha=0.85,
            label=name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…",
        )
    _draw_prototypes(panel, space)


def _draw_acquisition(panel: Axes, space: LatentMap) -> None:
    rest = space.source == LABELED
    _dots(panel, space.points[rest], s=5, color=GREY, alpha=0.2, linewidths=0)
    for source, marker, name in ((FIRST, "^", "first 100 of the ranking"), (LAST, "v", "last 100 of the ranking")):
        chosen = (space.source == source) & space.positive
        colors = [LABEL_COLORS[number] for number in space.label[chosen]]
        faces = colors if source == FIRST else "none"
        _dots(panel, space.points[chosen], s=26, facecolors=faces, edgecolors=colors, marker=marker, linewidths=0.9)
        # the legend's entry, of no label's colour
        face = "black" if source == FIRST else "none"
        _dots(panel, np.empty((0, 2)), s=26, facecolors=face, edgecolors="black", marker=marker, label=name)
    _draw_prototypes(panel, space)


def _draw_prototypes(panel: Axes, space: LatentMap) -> None:
    for number, position in enumerate(space.prototypes):
        name = "prototype" if number == 0 else None
        color = LABEL_COLORS[number]
        _dots(panel, position[None], s=95, marker="*", zorder=3, color=color, edgecolors="black", label=name)


def _dots(panel: Any, points: np.ndarray, **style: Any) -> None:
    panel.scatter(points[:, 0], points[:, 1], **style)


def _handles(panel: Axes) -> list[tuple]:
    return list(zip(*panel.get_legend_handles_labels(), strict=True))

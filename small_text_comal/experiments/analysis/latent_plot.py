"""Draws the latent space: label embeddings with prototypes, and which documents a round queries first and last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from small_text_comal.experiments.analysis.latent import FIRST, LABELED, LAST, LatentMap
from small_text_comal.experiments.analysis.style import GREY, PALETTE, legend_below, wrapped

__all__ = ["plot_latent"]

# six labels: the palette without black, which the prototypes' edges have
LABEL_COLORS = tuple(color for color in PALETTE if color != "#000000")
LABEL_MARKERS = "osDPX<"  # other than those of the ranking and the prototypes
NOTHING = np.empty((0, 2))  # points of a legend's entry that has no label's colour
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
        entries = [*_draw_space(row[0], points, label_names), *_draw_acquisition(row[1], points)]
        row[0].set_title(f"latent space, round {number}")
        row[1].set_title(f"data acquisition, round {number}\n({_ranked(points.ranked)})")
        for panel in row:
            panel.set(xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)", xticks=[], yticks=[])
    names = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name, _ in entries]
    legend_below(figure, [handle for _, handle in entries], names)
    figure.suptitle(wrapped(title, figure.get_figwidth()))
    return figure


def _ranked(count: int) -> str:
    return f"first and last {count} of the query ranking" if count else "too few unlabeled documents to rank"


def _draw_space(panel: Axes, space: LatentMap, label_names: Sequence[str]) -> list[tuple[str, Any]]:
    """Draw the labeled pool; return the legend's names and handles."""
    negative = ~space.positive & (space.source == LABELED)
    dots = _dots(panel, space.points[negative], s=7, color=GREY, alpha=0.45, linewidths=0)
    entries = [("negative (any of these labels)", dots)]
    for number, name in enumerate(label_names):
        chosen = space.positive & (space.source == LABELED) & (space.label == number)
        look = {"color": LABEL_COLORS[number], "marker": LABEL_MARKERS[number]}
        entries.append((name, _dots(panel, space.points[chosen], s=20, linewidths=0, alpha=0.85, **look)))
    _draw_prototypes(panel, space)
    return entries


def _draw_acquisition(panel: Axes, space: LatentMap) -> list[tuple[str, Any]]:
    """Draw both ends of the ranking; return the legend's names and handles."""
    _dots(panel, space.points[space.source == LABELED], s=5, color=GREY, alpha=0.2, linewidths=0)
    entries = [("prototype", _draw_prototypes(panel, space))]
    for source, marker, name in ((FIRST, "^", "first of the ranking"), (LAST, "v", "last of the ranking")):
        chosen = (space.source == source) & space.positive
        colors = [LABEL_COLORS[number] for number in space.label[chosen]]
        look = {"s": 26, "marker": marker, "linewidths": 0.9}
        _dots(panel, space.points[chosen], facecolors=colors if source == FIRST else "none", edgecolors=colors, **look)
        face = "black" if source == FIRST else "none"
        entries.append((name, _dots(panel, NOTHING, facecolors=face, edgecolors="black", **look)))
    return entries


def _draw_prototypes(panel: Axes, space: LatentMap) -> Any:
    look = {"s": 95, "marker": "*", "edgecolors": "black", "zorder": 3}
    _dots(panel, space.prototypes, color=LABEL_COLORS[: len(space.prototypes)], **look)
    return _dots(panel, NOTHING, color="white", **look)


def _dots(panel: Axes, points: np.ndarray, **look: Any) -> Any:
    return panel.scatter(points[:, 0], points[:, 1], **look)

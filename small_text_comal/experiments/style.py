"""How figures look: colours that colour-blind readers tell apart, dashes and markers for print without colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # figures are files; no display is needed

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

__all__ = ["AXIS_NAMES", "GREY", "PALETTE", "figure_style", "line_styles", "metric_title", "save_figure"]

# Okabe and Ito (2008), without yellow, which is too light for lines on white
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (8, 2, 2, 2, 2, 2)))
MARKERS = "osD^vPX*<>h"
GREY = "#8C8C8C"
AXIS_NAMES = {"labels": "labeled documents", "fit": "training (seconds)", "query": "querying (seconds)"}
TITLES = {"micro_f1": "micro-F1", "macro_f1": "macro-F1"}
RESOLUTION = 200  # dots an inch


def metric_title(name: str) -> str:
    """Return how a metric is written in figures.

    Examples
    --------
    >>> metric_title("p@1"), metric_title("ndcg@3"), metric_title("micro_f1")
    ('P@1', 'nDCG@3', 'micro-F1')
    """
    return TITLES.get(name) or name.replace("ndcg", "nDCG").replace("p@", "P@")


def line_styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return colour, dash and marker for each name; no two of 385 names look the same."""
    return {
        name: {
            "color": PALETTE[i % len(PALETTE)],
            "linestyle": DASHES[i % len(DASHES)],
            "marker": MARKERS[i % len(MARKERS)],
        }
        for i, name in enumerate(names)
    }


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the style of this package; other figures of the process keep theirs."""
    settings = {
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#DDDDDD",
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.6,
        "lines.markersize": 4.5,
        "legend.frameon": False,
        "svg.fonttype": "path",  # looks the same where the font is missing
        "svg.hashsalt": "small-text-comal",  # the same figure gives the same file
        "figure.constrained_layout.use": True,
    }
    with plt.rc_context(settings):
        yield


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PNG and SVG, close it, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.png", folder / f"{name}.svg"]
    figure.savefig(files[0], dpi=RESOLUTION)
    figure.savefig(files[1], metadata={"Date": None})
    plt.close(figure)
    return files

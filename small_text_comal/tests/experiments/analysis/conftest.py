"""Figures are drawn small, and their texts are checked."""

import itertools

import numpy as np
import pytest
from experiment_fakes import STRATEGIES, write_run
from matplotlib import pyplot as plt

from small_text_comal.experiments.analysis import style as style_module
from small_text_comal.experiments.analysis.results import read_results
from small_text_comal.experiments.analysis.style import figure_style
from small_text_comal.experiments.records.plan import FULL_DATA, Run


@pytest.fixture(autouse=True)
def style(monkeypatch):
    monkeypatch.setattr(style_module, "RESOLUTION", 40)
    with figure_style():
        yield
    plt.close("all")


def drawn_texts(figure):
    """Texts that are drawn without rotation or upright; ticks beyond the axis are made but not drawn."""
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for panel in figure.axes:
        found += panel.texts
        legend = panel.get_legend()
        found += legend.get_texts() if legend else []
        if panel.axison:
            found.append(panel.title)
            for axis in (panel.xaxis, panel.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
                found += [axis.label, *(tick.label1 for tick in ticks)]
    return [text for text in found if text.get_visible() and text.get_text().strip() and text.get_rotation() % 90 == 0]


@pytest.fixture
def boxes():
    """Returns the drawn texts of a figure with their boxes."""

    def found(figure):
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        return [(text.get_text(), text.get_window_extent(renderer).padded(-1)) for text in drawn_texts(figure)]

    return found


@pytest.fixture
def text_faults(boxes):
    """Returns pairs of texts that lie on one another, and texts that stick out of the figure."""

    def found(figure):
        texts = boxes(figure)
        low, high = figure.bbox.min, figure.bbox.max
        overlaps = [(one, other) for (one, a), (other, b) in itertools.combinations(texts, 2) if a.overlaps(b)]
        return overlaps + [text for text, box in texts if (box.min < low).any() or (box.max > high).any()]

    return found


@pytest.fixture
def write_results(tmp_path):
    """Writes and reads results of three seeds per strategy, and of the models trained on all labels."""

    def written(datasets, strategies=STRATEGIES):
        rng = np.random.default_rng(0)
        for dataset in datasets:
            for seed in range(3):
                for i, strategy in enumerate(strategies):
                    scores = np.clip(np.linspace(0.1, 0.75 - 0.03 * i, 6) + rng.normal(0, 0.02, 6), 0, 1)
                    write_run(tmp_path, Run(dataset, strategy, seed), scores)
                write_run(tmp_path, Run(dataset, FULL_DATA, seed), [0.75])
        return read_results([tmp_path])

    return written


@pytest.fixture
def results(write_results):
    return write_results(("nlupp", "argvalues"))

"""Figures: files are written, lines can be told apart, no text lies on another."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from experiment_fakes import STRATEGIES, write_run
from matplotlib import pyplot as plt

from small_text_comal.experiments.analysis.plots import (
    plot_all,
    plot_labels_needed,
    plot_learning_curves,
    plot_pairwise_wins,
    plot_times,
)
from small_text_comal.experiments.analysis.results import read_results
from small_text_comal.experiments.analysis.style import line_styles, metric_title
from small_text_comal.experiments.records.plan import Run


def curves(*metrics):
    return lambda results: plot_learning_curves(results, results.datasets()[-1], metrics)


FIGURES = {
    "curves": curves("micro_f1", "p@1"),
    "curves in one panel": curves("micro_f1"),
    "curves with a free panel": curves("micro_f1", "p@1", "micro_f1", "p@1"),
    "labels": lambda results: plot_labels_needed(results, "micro_f1"),
    "wins": lambda results: plot_pairwise_wins(results, "micro_f1"),
    "times": plot_times,
}


@pytest.mark.parametrize("strategies", [STRATEGIES, STRATEGIES[:2], ["CoMAL", f"{STRATEGIES[2]}(seed=1)"]])
@pytest.mark.parametrize("datasets", [("argvalues", "nlupp"), ("a-corpus", "one with several words of a long name")])
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_lies_on_another_or_sticks_out(tmp_path, name, datasets, strategies, text_faults, write_results):
    figure = FIGURES[name](write_results(datasets, strategies))
    assert text_faults(figure) == []


def test_the_overlap_check_sees_an_overlap(text_faults):
    figure, panel = plt.subplots()
    panel.text(0.5, 0.5, "one")
    panel.text(0.5, 0.5, "other")
    assert text_faults(figure) == [("one", "other")]


@pytest.mark.parametrize("name", ["curves", "times"])
def test_axes_are_named_with_units(results, name):
    for panel in FIGURES[name](results).axes:
        assert panel.get_xlabel() == "labeled documents"
        assert "(0 to 1)" in panel.get_ylabel() or "(seconds)" in panel.get_ylabel()


def test_curves_show_mean_and_deviation(results):
    panel = plot_learning_curves(results, "nlupp", ["micro_f1"]).axes[0]
    runs = np.stack([curve.metrics["micro_f1"] for curve in results.of("nlupp", "GPB2M")])
    line = next(line for line in panel.get_lines() if line.get_label() == "GPB2M")
    assert line.get_ydata() == pytest.approx(runs.mean(axis=0))
    bands = [band.get_paths()[0].vertices[:, 1] for band in panel.collections]
    assert len(bands) == len(STRATEGIES)
    highest = (runs.mean(axis=0) + runs.std(axis=0, ddof=1)).max()
    assert any(band.max() == pytest.approx(highest) for band in bands)


def test_the_title_says_how_many_seeds_there_are(tmp_path):
    titles = []
    for strategy, seed in (("CoMAL", 0), ("MMC", 0), ("CoMAL", 1), ("MMC", 1)):
        write_run(tmp_path, Run("d", strategy, seed), [0.1, 0.2])
        titles.append(plot_learning_curves(read_results([tmp_path]), "d", ["micro_f1"] * 2).get_suptitle())
    assert [title.split(": ")[1].split(" ±")[0] for title in titles] == [
        "one seed",
        "one seed",
        "mean over 1 to 2 seeds",
        "mean over 2 seeds",
    ]


def test_a_time_below_the_shortest_is_marked(tmp_path, boxes):
    write_run(tmp_path, Run("d", "CoMAL", 0), [0.1, 0.2], query=0.0)
    write_run(tmp_path, Run("d", "MMC", 0), [0.1, 0.2], query=0.5)
    figure = plot_times(read_results([tmp_path]))
    names = [text for text, _ in boxes(figure)]
    assert {"≤ 0.001", "1"} < set(names)  # and a number above the slowest
    assert "0.001" not in names


def test_names_are_never_read_as_mathematics(tmp_path, write_results):
    names = ("cost $a_{$ b", "under $10, over $5")
    files = plot_all(write_results(names), tmp_path / "o", metrics=["micro_f1"], main_metric="micro_f1")
    assert len(files) == 10
    titles = [panel.get_title() for panel in plot_times(read_results([tmp_path])).axes]
    assert titles[::2] == list(names)


def luminance(color):
    return np.array(plt.matplotlib.colors.to_rgb(color)) @ [0.2126, 0.7152, 0.0722]


def test_lines_differ_without_colour_and_show_on_white():
    styles = line_styles([f"s{i}" for i in range(30)])
    assert len({(str(s["color"]), str(s["linestyle"]), s["marker"]) for s in styles.values()}) == 30
    assert len({(str(s["linestyle"]), s["marker"]) for s in styles.values()}) == 30
    assert max(luminance(s["color"]) for s in styles.values()) < 0.75


def test_all_files_are_written_as_png_and_svg(results, tmp_path):
    files = plot_all(results, tmp_path / "out", metrics=["micro_f1"], main_metric="micro_f1")
    names = ["learning-curves-argvalues", "learning-curves-nlupp", "labels-needed", "pairwise-wins", "time-per-round"]
    assert [file.name for file in files] == [f"{name}.{kind}" for name in names for kind in ("png", "svg")]
    assert files[0].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in files[1].read_text(encoding="utf-8")


def test_one_seed_one_strategy_and_no_full_data_are_enough(tmp_path):
    write_run(tmp_path, Run("d", "CoMAL", 0), [0.1])
    files = plot_all(read_results([tmp_path]), tmp_path / "out", metrics=["micro_f1"], main_metric="micro_f1")
    assert {file.stem for file in files} == {"learning-curves-d", "time-per-round"}


def test_metric_titles():
    assert [metric_title(name) for name in ("ndcg@10", "p@5", "macro_f1")] == ["nDCG@10", "P@5", "macro-F1"]

"""Figures: files are written, lines can be told apart, no text lies on another."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_matrix

pytest.importorskip("matplotlib")

from experiment_fakes import FakeLearner, write_corpus, write_encoder, write_run
from matplotlib import pyplot as plt

from small_text_comal.experiments.analysis import latent_figure as latent_figure_module
from small_text_comal.experiments.analysis import style as style_module
from small_text_comal.experiments.analysis.latent import (
    FIRST,
    LABELED,
    LAST,
    frequent_labels,
    latent_points,
    project_to_plane,
)
from small_text_comal.experiments.analysis.latent_figure import draw_latent
from small_text_comal.experiments.analysis.latent_plot import plot_latent
from small_text_comal.experiments.analysis.plots import (
    plot_all,
    plot_labels_needed,
    plot_learning_curves,
    plot_pairwise_wins,
    plot_times,
)
from small_text_comal.experiments.analysis.report import write_report
from small_text_comal.experiments.analysis.results import read_results
from small_text_comal.experiments.analysis.style import figure_style, line_styles, metric_title, save_figure
from small_text_comal.experiments.data.corpus import TextSet
from small_text_comal.experiments.options.mapping import from_mapping
from small_text_comal.experiments.records.plan import FULL_DATA, Run
from small_text_comal.experiments.records.records import RecordsError
from small_text_comal.experiments.running import run as run_module
from small_text_comal.experiments.running.experiment import compare

STRATEGIES = [
    "CoMAL",
    "CoMAL(criterion='paper')",
    "CategoryVectorInconsistencyAndRanking",
    "GPB2M",
    "GreedyCoreset",
    "RandomSampling",
]


def write_results(folder, datasets, strategies=STRATEGIES):
    rng = np.random.default_rng(0)
    for dataset in datasets:
        for seed in range(3):
            for i, strategy in enumerate(strategies):
                scores = np.clip(np.linspace(0.1, 0.75 - 0.03 * i, 6) + rng.normal(0, 0.02, 6), 0, 1)
                write_run(folder, Run(dataset, strategy, seed), scores)
            write_run(folder, Run(dataset, FULL_DATA, seed), [0.75])
    return read_results([folder])


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path, ("nlupp", "argvalues"))


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


def boxes(figure):
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    return [(text.get_text(), text.get_window_extent(renderer).padded(-1)) for text in drawn_texts(figure)]


def overlapping_texts(figure):
    return [(one, other) for (one, a), (other, b) in itertools.combinations(boxes(figure), 2) if a.overlaps(b)]


def outside(figure):
    low, high = figure.bbox.min, figure.bbox.max
    return [text for text, box in boxes(figure) if (box.min < low).any() or (box.max > high).any()]


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
def test_no_text_lies_on_another_or_sticks_out(tmp_path, name, datasets, strategies):
    figure = FIGURES[name](write_results(tmp_path, datasets, strategies))
    assert overlapping_texts(figure) == []
    assert outside(figure) == []


def test_the_overlap_check_sees_an_overlap():
    figure, panel = plt.subplots()
    panel.text(0.5, 0.5, "one")
    panel.text(0.5, 0.5, "other")
    assert overlapping_texts(figure) == [("one", "other")]


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


def test_a_time_below_the_shortest_is_marked(tmp_path):
    write_run(tmp_path, Run("d", "CoMAL", 0), [0.1, 0.2], query=0.0)
    write_run(tmp_path, Run("d", "MMC", 0), [0.1, 0.2], query=0.5)
    figure = plot_times(read_results([tmp_path]))
    names = [text for text, _ in boxes(figure)]
    assert {"≤ 0.001", "1"} < set(names)  # and a number above the slowest
    assert "0.001" not in names


def test_names_are_never_read_as_mathematics(tmp_path):
    names = ("cost $a_{$ b", "under $10, over $5")
    files = plot_all(write_results(tmp_path, names), tmp_path / "o", metrics=["micro_f1"], main_metric="micro_f1")
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


def test_report_is_one_page_with_every_number(results, tmp_path):
    files = write_report(read_results([tmp_path]), [tmp_path], tmp_path / "r", main_metric="micro_f1")
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 5
    assert "http" not in page.replace("http://www.w3.org", "")
    markdown = (tmp_path / "r" / "report.md").read_text(encoding="utf-8")
    last = [curve.metrics["micro_f1"][-1] for curve in results.of("nlupp", "GPB2M")]
    cell = f"{np.mean(last):.3f} ± {np.std(last, ddof=1):.3f}"
    assert cell in markdown
    assert cell in page
    assert files[0].name == "report.md"
    for line in markdown.split("## nlupp: test scores at the end")[1].strip().split("\n\n")[0].splitlines():
        assert line.count("|") == 7


def test_report_shows_the_first_and_the_last_of_many_rounds(tmp_path):
    scores = np.linspace(0.1, 0.9, 31)
    write_run(tmp_path, Run("d", "CoMAL", 0), scores)
    write_run(tmp_path, Run("d", "MMC", 0), scores[:4])
    write_report(read_results([tmp_path]), [tmp_path], tmp_path, main_metric="micro_f1")
    table = (tmp_path / "report.md").read_text(encoding="utf-8").split("## d: micro-F1 at labels\n\n")[1].splitlines()
    head, comal, mmc = ([cell.strip() for cell in table[i].strip("| ").split("|")] for i in (0, 2, 3))
    assert head == ["strategy", *(str(100 + 150 * i) for i in range(11))]
    assert comal == ["CoMAL", *(f"{scores[3 * i]:.3f}" for i in range(11))]
    assert mmc[:3] == ["MMC", f"{scores[0]:.3f}", f"{scores[3]:.3f}"]
    assert not any(mmc[3:])


def test_report_puts_the_scores_of_each_folder_under_its_own_numbers_of_labels(tmp_path):
    write_run(tmp_path / "a", Run("d", "CoMAL", 0), [0.1, 0.2, 0.3], first=100, step=50)
    write_run(tmp_path / "b", Run("d", "MMC", 0), [0.4, 0.5], first=50, step=100)
    folders = [tmp_path / "a", tmp_path / "b"]
    write_report(read_results(folders), folders, tmp_path, main_metric="micro_f1")
    table = (tmp_path / "report.md").read_text(encoding="utf-8").split("## d: micro-F1 at labels\n\n")[1].splitlines()
    cells = [[cell.strip() for cell in table[i].split("|")[2:-1]] for i in (0, 2, 3)]
    assert cells == [["50", "100", "150", "200"], ["", "0.100", "0.200", "0.300"], ["0.400", "", "0.500", ""]]


class FakeBranchLearner:
    """Positive pairs lie around a centre of their label, negative pairs around one point."""

    def __init__(self, y, size=8):
        rng = np.random.default_rng(1)
        centers = rng.normal(size=(y.shape[1], size)) * 3
        self.latent = np.where(y[:, :, None] > 0, centers, 0) + rng.normal(size=(*y.shape, size)) * 0.2

    def fit(self, labeled, seeds):
        self.free = np.setdiff1d(np.arange(len(self.latent)), labeled)

    def query(self, n):
        if not len(self.free):
            raise RuntimeError("the pool is empty")  # as small-text does
        return self.free[::-1][:n]

    def label_embeddings(self, positions):
        return self.latent[positions]


def labels_of_documents(n):
    rng = np.random.default_rng(0)
    return (rng.random((n, 8)) < np.linspace(0.1, 0.4, 8)).astype(int)


def points_of(y, labeled):
    """Points of a pool with labels y; also the learner and the chosen labels."""
    pool = TextSet(["x"] * len(y), csr_matrix(y), np.arange(len(y)))
    chosen = frequent_labels(pool.y)
    learner = FakeBranchLearner(y)
    learner.fit(labeled, None)
    return latent_points(learner, pool, labeled, chosen, rng=np.random.default_rng(0)), learner, chosen


@pytest.fixture
def latent():
    y, labeled = labels_of_documents(400), np.arange(0, 120, 2)
    points, learner, chosen = points_of(y, labeled)
    return y, labeled, chosen, learner, points


def test_latent_points_agree_with_a_plain_loop(latent):
    y, labeled, chosen, learner, points = latent
    assert len(chosen) == 6
    assert sorted(y.sum(axis=0)[chosen], reverse=True) == y.sum(axis=0)[chosen].tolist()
    unit = learner.latent / np.linalg.norm(learner.latent, axis=2, keepdims=True)
    for source, documents in ((LABELED, labeled), (FIRST, learner.free[::-1][:100]), (LAST, learner.free[:100])):
        expected = {tuple(unit[i, j].round(9)) for i in documents for j in chosen if y[i, j]}
        found = points.vectors[points.positive & (points.source == source)]
        assert {tuple(vector.round(9)) for vector in found} == expected
    for k, j in enumerate(chosen):
        mean = np.mean([unit[i, j] for i in labeled if y[i, j]], axis=0)
        assert points.prototypes[k] == pytest.approx(mean)
    negative = ~points.positive
    assert (points.source[negative] == LABELED).all()
    assert negative.sum() == (points.positive & (points.source == LABELED)).sum()


NAMES = ["0 make_open_apply_setup_get_activate_and_more", *"12345"]


def latent_figure(points, names=NAMES, title="d / CoMAL"):
    return plot_latent(dict.fromkeys((0, 5), project_to_plane(points, seed=0)), names, title=title)


def legend_names(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(
    "title", ["d / CoMAL", "a data set with several words in its long name / CoMAL(criterion='paper')"]
)
def test_latent_figure(latent, title):
    figure = latent_figure(latent[-1], title=title)
    assert overlapping_texts(figure) == []
    assert outside(figure) == []
    assert [panel.get_title() for panel in figure.axes[:2]] == [
        "latent space, round 0",
        "data acquisition, round 0\n(first and last 100 of the query ranking)",
    ]
    names = legend_names(figure)
    assert names[:2] == ["negative (any of these labels)", "0 make_open_apply_setup_get_activat…"]
    assert names[-3:] == ["prototype", "first of the ranking", "last of the ranking"]


@pytest.mark.parametrize(
    ("unlabeled", "said"),
    [
        (45, "first and last 22 of the query ranking"),
        (1, "too few unlabeled documents to rank"),
        (0, "too few unlabeled documents to rank"),
    ],
)
def test_a_small_or_empty_rest_of_the_pool_is_drawn_and_said(unlabeled, said):
    y = labels_of_documents(100)
    points, *_ = points_of(y, np.arange(100 - unlabeled))
    assert set(points.source) == ({LABELED, FIRST, LAST} if unlabeled > 1 else {LABELED})
    assert latent_figure(points).axes[1].get_title() == f"data acquisition, round 0\n({said})"


def test_any_label_name_is_in_the_legend_as_it_is_written(latent, tmp_path):
    names = ["$5_to_$10", "_hidden", "__", "$\\foo$", "a_b^c", "{%"]
    figure = latent_figure(latent[-1], names)
    assert legend_names(figure)[1:7] == names
    assert len(save_figure(figure, tmp_path, "latent")) == 2


@pytest.fixture
def finished_run(monkeypatch, tmp_path):
    """A run without a model that has used up its pool: draws its latent figure; and the file of its data."""
    data = write_corpus(tmp_path / "toy")
    monkeypatch.setattr(
        run_module, "SmallTextLearner", lambda _, split, *__, **___: FakeLearner(len(split.pool), split.test.y.shape)
    )
    monkeypatch.setattr(
        latent_figure_module, "SmallTextLearner", lambda _, split, *__, **___: FakeBranchLearner(split.pool.y.toarray())
    )
    options = {"initial_size": 8, "query_size": 6, "rounds": 7, "threads": 1, "device": "cpu", "full_data": False}
    dataset = {"loader": "jsonl", "path": str(data), "validation_size": 10}
    output = tmp_path / "out"
    options |= {"datasets": [dataset], "strategies": ["CoMAL"]}
    options |= {"encoder": {"model": str(write_encoder(tmp_path / "encoder"))}}
    compare(from_mapping({"output": str(output), **options}))

    def draw(**how):
        return draw_latent(output, output / "plots", Run("toy", "CoMAL", 0), say=lambda _: None, **how)

    return draw, data / "train.jsonl"


def test_the_last_round_of_a_run_that_used_up_its_pool_is_drawn(finished_run):
    draw, _ = finished_run
    assert [file.suffix for file in draw()] == [".png", ".svg"]


def test_data_that_are_not_the_runs_are_refused(finished_run):
    draw, data = finished_run
    data.write_text(data.read_text().replace("text 5", "text V"))
    with pytest.raises(RecordsError, match=r"recorded with another config \(data: .* -> .*\).*undo the change"):
        draw(rounds=[0])

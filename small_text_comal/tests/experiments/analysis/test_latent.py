"""The latent space: its points against a plain loop, its figure, and the run it comes from."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

pytest.importorskip("matplotlib")

from experiment_fakes import FakeLearner, write_corpus, write_encoder

from small_text_comal.experiments.analysis import latent_figure as latent_figure_module
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
from small_text_comal.experiments.analysis.style import save_figure
from small_text_comal.experiments.data.corpus import TextSet
from small_text_comal.experiments.options.mapping import from_mapping
from small_text_comal.experiments.records.plan import Run
from small_text_comal.experiments.records.records import RecordsError
from small_text_comal.experiments.running import run as run_module
from small_text_comal.experiments.running.experiment import compare


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


def test_a_label_without_labeled_positives_has_its_prototype_at_the_origin():
    y = labels_of_documents(60)
    chosen = frequent_labels(csr_matrix(y))
    without = np.flatnonzero(y[:, chosen[0]] == 0)
    points, *_ = points_of(y, without)
    assert (points.prototypes[0] == 0).all()
    assert np.isfinite(points.prototypes).all()
    assert np.abs(points.prototypes[1:]).sum(axis=1).all()


NAMES = ["0 make_open_apply_setup_get_activate_and_more", *"12345"]


def latent_figure(points, names=NAMES, title="d / CoMAL"):
    return plot_latent(dict.fromkeys((0, 5), project_to_plane(points, seed=0)), names, title=title)


def legend_names(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(
    "title", ["d / CoMAL", "a data set with several words in its long name / CoMAL(criterion='paper')"]
)
def test_latent_figure(latent, title, text_faults):
    figure = latent_figure(latent[-1], title=title)
    assert text_faults(figure) == []
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

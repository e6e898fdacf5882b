"""Numbers that figures and tables show, against slow computations of the same."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from experiment_fakes import write_run

from small_text_comal.experiments.analysis.results import area_under_curve, labels_to_reach, mean_curve, read_results
from small_text_comal.experiments.analysis.significance import holm, paired_test, pairwise_duels
from small_text_comal.experiments.records.plan import FULL_DATA, Run


def test_results_are_read_from_several_folders_and_torn_lines_noted(tmp_path):
    write_run(tmp_path / "a", Run("d", "CoMAL", 0), [0.1, 0.4, 0.7])
    write_run(tmp_path / "b", Run("d", "CoMAL", 1), [0.2, 0.6, 0.8], tail='{"rou')
    write_run(tmp_path / "b", Run("d", "Adaptive", 1), [0.2])
    write_run(tmp_path / "a", Run("d", FULL_DATA, 0), [0.8])
    write_run(tmp_path / "a", Run("d", FULL_DATA, 1), [0.9])
    results = read_results([tmp_path / "a", tmp_path / "b"])
    assert results.strategies() == ["CoMAL", "Adaptive"]
    assert results.datasets() == ["d"]
    assert results.metrics() == ["micro_f1", "p@1"]
    assert results.full_score("d", "micro_f1") == pytest.approx(0.85)
    assert results.full_score("other", "micro_f1") is None
    assert "half-written" in results.notes[0]
    curves = results.of("d", "CoMAL")
    labels, mean, deviation, n = mean_curve(curves, [curve.metrics["micro_f1"] for curve in curves])
    assert labels.tolist() == [100, 150, 200]
    assert mean == pytest.approx([0.15, 0.5, 0.75])
    assert deviation == pytest.approx([0.05 * 2**0.5, 0.1 * 2**0.5, 0.05 * 2**0.5])
    assert n == 2


def test_a_run_never_counts_twice(tmp_path):
    write_run(tmp_path / "a", Run("d", "CoMAL", 0), [0.1])
    assert len(read_results([tmp_path / "a", tmp_path / "a"]).curves) == 1
    with pytest.raises(ValueError, match=r"hold the same run: name folders that have different runs"):
        read_results([tmp_path / "a", tmp_path / "a" / "../a"])


def test_runs_with_different_settings_are_not_drawn_together(tmp_path):
    write_run(tmp_path / "a", Run("d", "CoMAL", 0), [0.1])
    write_run(tmp_path / "b", Run("d", "MMC", 1), [0.1], config="other")
    write_run(tmp_path / "c", Run("e", "CoMAL", 0), [0.1], config="other")
    assert read_results([tmp_path / "a", tmp_path / "c"]).datasets() == ["d", "e"]
    with pytest.raises(ValueError, match=r"d was run with different settings in .*seed-0.* and .*seed-1"):
        read_results([tmp_path / "a", tmp_path / "b"])


def test_a_seed_that_has_just_begun_does_not_cut_the_mean_of_the_others(tmp_path):
    for seed, rounds in ((0, 4), (1, 4), (2, 1)):
        write_run(tmp_path, Run("d", "CoMAL", seed), [0.5] * rounds)
    write_run(tmp_path, Run("d", "MMC", 0), [0.5] * 2)
    results = read_results([tmp_path])
    assert [(curve.strategy, curve.seed, len(curve.labels)) for curve in results.curves] == [
        ("CoMAL", 0, 4),
        ("CoMAL", 1, 4),
        ("MMC", 0, 2),
    ]
    assert results.notes == [
        "d / CoMAL / seed 2 ends at 100 labels, other seeds at 250: it was left out",
        "d / MMC / seed 0 ends at 150 labels, other strategies at 250",
    ]
    assert read_results([tmp_path], only=["MMC"]).notes == []


def test_only_some_strategies_are_read(tmp_path):
    for strategy in ("CoMAL", "BESRA", "MMC"):
        write_run(tmp_path, Run("d", strategy, 0), [0.1])
    write_run(tmp_path, Run("d", FULL_DATA, 0), [0.8])
    results = read_results([tmp_path], only=["MMC", "CoMAL"])
    assert results.strategies() == ["CoMAL", "MMC"]
    assert results.full_score("d", "micro_f1") == pytest.approx(0.8)
    with pytest.raises(ValueError, match=r"strategy in these records.*BESRA"):
        read_results([tmp_path], only=["BESR"])


def test_only_tells_strategies_apart_whose_options_differ_in_a_point(tmp_path):
    names = ["BESRA(alpha=1.5)", "BESRA(alpha=15)"]
    for name in names:
        write_run(tmp_path, Run("d", name, 0), [0.1])
    assert [read_results([tmp_path], only=[name]).strategies() for name in names] == [[name] for name in names]


def test_the_main_metric_is_one_that_was_recorded(tmp_path):
    write_run(tmp_path, Run("d", "CoMAL", 0), [0.1])
    results = read_results([tmp_path])
    assert (results.main_metric(), results.main_metric("P@1")) == ("micro_f1", "p@1")
    (curve,) = results.curves
    ranked = replace(curve, metrics={"p@3": curve.metrics["p@1"]})
    assert results._replace(curves=[ranked]).main_metric() == "p@3"
    with pytest.raises(ValueError, match="unknown metric in these records 'p@5'"):
        results.main_metric("p@5")
    with pytest.raises(ValueError, match="no metric in common"):
        results._replace(curves=[curve, ranked]).main_metric()


def test_no_records_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="run small-text-comal compare first"):
        read_results([tmp_path])
    write_run(tmp_path / "a", Run("d", "CoMAL", 0), [0.1])
    with pytest.raises(FileNotFoundError, match=r"no records in .*nope: "):
        read_results([tmp_path / "a", tmp_path / "nope"])
    write_run(tmp_path / "b", Run("d", FULL_DATA, 0), [0.1])
    with pytest.raises(FileNotFoundError, match=r"no records in .*b: "):
        read_results([tmp_path / "b"])


def test_labels_to_reach_and_area():
    labels, scores = np.array([10, 20, 40]), np.array([0.5, 0.4, 0.9])
    assert labels_to_reach(labels, scores, 0.5) == 10
    assert labels_to_reach(labels, scores, 0.51) == 40
    assert np.isnan(labels_to_reach(labels, scores, 0.91))
    steps = [(b - a) * (s + t) / 2 for a, b, s, t in ((10, 20, 0.5, 0.4), (20, 40, 0.4, 0.9))]
    assert area_under_curve(labels, scores) == pytest.approx(sum(steps) / 30)
    assert area_under_curve(labels[:1], scores[:1]) == 0.5


def exact_signed_rank_p(differences):
    """All sign patterns, counted one by one (no ties among the sizes)."""
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    statistic = ranks[differences > 0].sum()
    center = ranks.sum() / 2
    patterns = list(itertools.product((0, 1), repeat=len(ranks)))
    extreme = sum(abs(np.dot(signs, ranks) - center) >= abs(statistic - center) for signs in patterns)
    return extreme / len(patterns)


@pytest.mark.parametrize("seed", range(5))
def test_paired_test_agrees_with_counting_all_sign_patterns(seed):
    differences = np.random.default_rng(seed).normal(0.3, 1, size=8)
    assert paired_test(differences) == pytest.approx(exact_signed_rank_p(differences))
    assert paired_test(-differences) == pytest.approx(paired_test(differences))


def test_paired_test_without_a_difference():
    assert np.isnan(paired_test(np.zeros(4)))
    assert np.isnan(paired_test(np.empty(0)))


def test_holm_by_hand():
    assert holm([0.04, 0.01, float("nan"), 0.03]) == pytest.approx([0.06, 0.03, float("nan"), 0.06], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_duels_count_pairs_of_dataset_and_seed(tmp_path):
    for dataset, seed, better in (("d", 0, 0.1), ("d", 1, -0.1), ("e", 0, 0.2)):
        write_run(tmp_path, Run(dataset, "CoMAL", seed), [0.5 + better, 0.6 + better, 0.0])
        write_run(tmp_path, Run(dataset, "Random", seed), [0.5, 0.6])
    write_run(tmp_path, Run("e", "Random", 7), [0.0])
    (duel,) = pairwise_duels(read_results([tmp_path]), "micro_f1")
    assert (duel.first, duel.second, duel.pairs, duel.wins, duel.losses) == ("CoMAL", "Random", 3, 2, 1)
    assert duel.difference == pytest.approx(0.2 / 3)
    assert 0 < duel.p_value <= 1

"""The report: one page with every number."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from experiment_fakes import write_run

from small_text_comal.experiments.analysis.report import write_report
from small_text_comal.experiments.analysis.results import read_results
from small_text_comal.experiments.records.plan import Run


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

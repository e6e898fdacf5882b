"""A report of a comparison: a Markdown table, and one HTML page that needs no other file."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from small_text_comal.experiments.analysis.plots import SHARES, plot_all
from small_text_comal.experiments.analysis.results import Results, area_under_curve, labels_to_reach, mean_curve
from small_text_comal.experiments.analysis.significance import pairwise_duels
from small_text_comal.experiments.analysis.style import metric_title
from small_text_comal.experiments.records.output_folder import OutputFolder

__all__ = ["write_report"]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ccc; text-align: right; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; height: auto; }
div.wide { overflow-x: auto; }
pre { background: #f4f4f4; padding: 1rem; overflow-x: auto; }
@media print { h2 { break-before: page; } }
"""

TITLE = "Comparison of query strategies"
Table = tuple[list[str], list[list[str]]]
ROUNDS_SHOWN = 11  # columns of a table of rounds


def write_report(results: Results, folders: Sequence[Path], target: Path, *, main_metric: str) -> list[Path]:
    """Write ``report.md`` and ``report.html`` into `target`, and the figures into its folder ``plots``.

    `folders` are those of the results; each describes its data and settings.
    """
    target.mkdir(parents=True, exist_ok=True)
    figures = plot_all(results, target / "plots", metrics=results.metrics(), main_metric=main_metric)
    descriptions = [OutputFolder(folder).description() for folder in folders]
    tables, remarks = _tables(results, descriptions, main_metric), _remarks(results, descriptions)
    pages = [target / "report.md", target / "report.html"]
    pages[0].write_text(_markdown_page(tables, remarks), encoding="utf-8")
    images = [path for path in figures if path.suffix == ".png"]
    pages[1].write_text(_html_page(tables, remarks, images), encoding="utf-8")
    return [*pages, *figures]


def _tables(results: Results, descriptions: Sequence[dict[str, Any]], main_metric: str) -> list[tuple[str, Table]]:
    tables = [("Data", _data_table(descriptions))]
    for name in results.datasets():
        tables.append((f"{name}: test scores at the end", _score_table(results, name, at_the_end=True)))
        tables.append((f"{name}: mean over the rounds", _score_table(results, name, at_the_end=False)))
        tables += [
            (f"{name}: {metric_title(metric)} at labels", _round_table(results, name, metric))
            for metric in results.metrics()
        ]
        tables.append((f"{name}: labels needed, mean seconds per round", _cost_table(results, name, main_metric)))
    if len(results.strategies()) > 1:
        tables.append((f"Pairs of strategies, {metric_title(main_metric)}", _duel_table(results, main_metric)))
    return tables


def _data_table(descriptions: Sequence[dict[str, Any]]) -> Table:
    head = ["data set", "pool", "validation", "test", "labels", "labels per document", "words per document"]
    rows = []
    for description in descriptions:
        for name, dataset in description["datasets"].items():
            found = dataset["statistics"]
            counts = [str(found[column]) for column in ("train", "validation", "test", "labels")]
            rows.append([name, *counts, f"{found['mean_labels']:.2f}", f"{found['mean_words']:.1f}"])
    return head, rows


def _spread(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.3f}"
    return f"{mean} ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else mean


def _score_table(results: Results, dataset: str, *, at_the_end: bool) -> Table:
    """Scores of the last round, or means over all rounds (areas under the curves)."""
    metrics = results.metrics()
    rows = []
    for strategy in results.strategies():
        curves = results.of(dataset, strategy)
        if not curves:
            continue
        labels = curves[0].labels
        values = [[curve.metrics[metric] for curve in curves] for metric in metrics]
        scores = [[run[-1] if at_the_end else area_under_curve(labels, run) for run in runs] for runs in values]
        seen = str(labels[-1]) if at_the_end else f"{labels[0]} to {labels[-1]}"
        rows.append([strategy, str(len(curves)), seen, *map(_spread, scores)])
    full = [results.full_score(dataset, metric) for metric in metrics]
    if at_the_end and full[0] is not None:
        rows.append(["trained on all labels", "", "all", *(f"{score:.3f}" for score in full)])
    return ["strategy", "seeds", "labels", *map(metric_title, metrics)], rows


def _round_table(results: Results, dataset: str, metric: str) -> Table:
    """Mean over the seeds after each round; of many rounds, evenly spread ones including the first and the last.

    Runs of several folders may have different numbers of labels: a cell is empty where a strategy has no such round.
    """
    curves = {name: results.of(dataset, name) for name in results.strategies() if results.of(dataset, name)}
    means = {name: mean_curve(runs, [run.metrics[metric] for run in runs]) for name, runs in curves.items()}
    labels = np.unique(np.concatenate([curve.labels for curve in means.values()]))
    shown = labels[np.unique(np.linspace(0, len(labels) - 1, ROUNDS_SHOWN).round().astype(int))].tolist()
    scores = {name: dict(zip(curve.labels.tolist(), curve.mean, strict=True)) for name, curve in means.items()}
    rows = [[name, *(f"{found[n]:.3f}" if n in found else "" for n in shown)] for name, found in scores.items()]
    return ["strategy", *map(str, shown)], rows


def _cost_table(results: Results, dataset: str, metric: str) -> Table:
    full = results.full_score(dataset, metric)
    shares = SHARES if full is not None else ()
    head = ["strategy", *(f"labels for {100 * share:.0f} %" for share in shares), "training s", "querying s"]
    rows = []
    for strategy in results.strategies():
        curves = results.of(dataset, strategy)
        if not curves:
            continue
        needed = [
            _needed([labels_to_reach(c.labels, c.metrics[metric], share * (full or 0)) for c in curves])
            for share in shares
        ]
        seconds = [
            f"{mean_curve(curves, [curve.seconds[phase] for curve in curves]).mean.mean():.1f}"
            for phase in ("fit", "query")
        ]
        rows.append([strategy, *needed, *seconds])
    return head, rows


def _needed(labels: list[float]) -> str:
    reached = [value for value in labels if not np.isnan(value)]
    if len(reached) < len(labels):
        return f"not reached ({len(reached)} of {len(labels)} seeds)"
    return f"{np.mean(reached):.0f}"


def _duel_table(results: Results, metric: str) -> Table:
    head = ["first", "second", "pairs", "wins", "losses", "mean difference", "p (Wilcoxon, Holm)"]
    rows = []
    for duel in pairwise_duels(results, metric):
        if duel.pairs:
            p_value = "–" if np.isnan(duel.p_value) else f"{duel.p_value:.3f}"
            counts = [str(duel.pairs), str(duel.wins), str(duel.losses)]
            rows.append([duel.first, duel.second, *counts, f"{duel.difference:+.3f}", p_value])
    return head, rows


def _remarks(results: Results, descriptions: Sequence[dict[str, Any]]) -> list[str]:
    """Return what the reader should know: what was skipped, dropped or left out."""
    datasets = [data for description in descriptions for data in description["datasets"].values()]
    remarks = [note for data in datasets for note in data["notes"]]
    for description in descriptions:
        remarks += [f"{name} was skipped: {reason}" for name, reason in description["skipped"].items()]
    return [*remarks, *results.notes]


def _markdown_page(tables: Sequence[tuple[str, Table]], remarks: Sequence[str]) -> str:
    blocks = [f"## {title}\n\n{_markdown_table(table)}" for title, table in tables]
    return "\n\n".join([*blocks, *(f"- {remark}" for remark in remarks)]) + "\n"


def _markdown_table(table: Table) -> str:
    head, rows = table
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _html_page(tables: Sequence[tuple[str, Table]], remarks: Sequence[str], images: Sequence[Path]) -> str:
    parts = [f"<h1>{TITLE}</h1>"]
    parts += [f"<p>{html.escape(remark)}</p>" for remark in remarks]
    for image in images:
        data = base64.b64encode(image.read_bytes()).decode()
        title = html.escape(image.stem.replace("-", " "))
        parts.append(f'<h2>{title}</h2><img alt="{title}" src="data:image/png;base64,{data}">')
    for title, table in tables:
        parts.append(f"<h2>{html.escape(title)}</h2>{_html_table(table)}")
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{TITLE}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def _html_table(table: Table) -> str:
    head, rows = table
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'

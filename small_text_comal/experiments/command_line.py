"""The command ``small-text-comal``: compare, plot, report, queried, datasets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from small_text_comal.experiments.options.evaluation import checked_metrics
from small_text_comal.experiments.records.records import RecordsError
from small_text_comal.experiments.running.parallel import WorkerLostError

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Compare query strategies of active learning on multi-label texts.",
)

Folders = Annotated[list[Path], typer.Argument(help="output folders of compare")]
Only = Annotated[list[str] | None, typer.Option(help="strategies to show; by default all that have records")]
MainMetric = Annotated[
    str | None, typer.Option("--main-metric", help="decides labels needed and wins; by default micro_f1")
]
FAILED, BAD_INPUT, STOPPED = 1, 2, 130


@contextmanager
def _plain_errors(verbose: bool = False) -> Iterator[None]:
    """What the user can mend is said in a line, without a traceback."""
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr, force=True)
    try:
        yield
    except (ValueError, FileNotFoundError, ImportError, RecordsError, WorkerLostError, OSError) as error:
        if verbose:
            raise
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        typer.echo("stopped: finished rounds are kept, and the same command goes on from there", err=True)
        raise typer.Exit(STOPPED) from None


@app.command()
def compare(
    config: Annotated[Path | None, typer.Argument(help="experiment file (TOML); options win over it")] = None,
    output: Annotated[str | None, typer.Option(help="folder of the records")] = None,
    preset: Annotated[str | None, typer.Option(help="the paper's protocol: aapd, rcv1, justdance or eurlex")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="LOADER:PATH, or a short name such as goemotions")] = None,
    strategy: Annotated[list[str] | None, typer.Option(help="a name, or \"CoMAL(criterion='paper')\"")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="one run for each seed")] = None,
    initial_size: Annotated[int | None, typer.Option(help="labels at the start")] = None,
    query_size: Annotated[int | None, typer.Option(help="labels bought in a round")] = None,
    rounds: Annotated[int | None, typer.Option(help="how many times labels are bought")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="micro_f1, macro_f1, p@K, ndcg@K")] = None,
    pool_size: Annotated[int | None, typer.Option(help="cut each pool to this")] = None,
    validation_size: Annotated[int | None, typer.Option(help="documents for validation")] = None,
    test_size: Annotated[int | None, typer.Option(help="documents for testing")] = None,
    min_label_count: Annotated[int | None, typer.Option(help="drop labels with fewer documents")] = None,
    drop_unlabeled: Annotated[bool | None, typer.Option(help="drop documents without labels")] = None,
    model: Annotated[str | None, typer.Option(help="encoder: name on the Hugging Face hub, or a folder")] = None,
    max_length: Annotated[int | None, typer.Option(help="tokens a document is cut to")] = None,
    frozen_layers: Annotated[int | None, typer.Option(help="layers not trained; by default three quarters")] = None,
    max_epochs: Annotated[int | None, typer.Option(help="epochs at most")] = None,
    patience: Annotated[int | None, typer.Option(help="early stopping: epochs without gain; 0: never stop")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="of the classifier")] = None,
    batch_size: Annotated[int | None, typer.Option(help="documents a training step")] = None,
    latent_size: Annotated[int | None, typer.Option(help="of the contrastive branch")] = None,
    full_data: Annotated[bool | None, typer.Option(help="also train once on all labels")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1")] = None,
    cache_folder: Annotated[str | None, typer.Option(help="keeps the frozen layers' output for all runs")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads of a run; 0: cores divided by jobs")] = None,
    jobs: Annotated[int | None, typer.Option(help="runs side by side; -1: one for each core")] = None,
    backend: Annotated[str, typer.Option(help="loky (this machine), ray or dask")] = "loky",
    cluster: Annotated[str | None, typer.Option(help="address of the Ray or Dask cluster")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="say what the libraries say, show tracebacks")] = False,
) -> None:
    """Run a comparison, or go on with one that was stopped: the same command finishes it."""
    options = {
        "output": output,
        "datasets": dataset,
        "strategies": strategy,
        "seeds": seed,
        "initial_size": initial_size,
        "query_size": query_size,
        "rounds": rounds,
        "metrics": metric,
        "full_data": full_data,
        "device": device,
        "cache_folder": cache_folder,
        "threads": threads,
        "dataset_options": {
            "pool_size": pool_size,
            "validation_size": validation_size,
            "test_size": test_size,
            "min_label_count": min_label_count,
            "drop_unlabeled": drop_unlabeled,
        },
        "encoder": {"model": model, "max_length": max_length, "frozen_layers": frozen_layers},
        "training": {
            "max_epochs": max_epochs,
            "patience": patience,
            "learning_rate": learning_rate,
            "batch_size": batch_size,
        },
        "branch": {"latent_size": latent_size},
    }
    with _plain_errors(verbose):
        _compare(config, _given(options), preset, jobs=jobs, backend=backend, cluster=cluster, verbose=verbose)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was not given."""
    plain = {name: _given(value) if isinstance(value, dict) else value for name, value in options.items()}
    return {name: value for name, value in plain.items() if value not in (None, {}, [])}


def _compare(config: Path | None, options: dict[str, Any], preset: str | None, **how: Any) -> None:
    from small_text_comal.experiments.options.config_file import read_toml
    from small_text_comal.experiments.options.settings import merged_config
    from small_text_comal.experiments.running.experiment import compare as run_comparison

    settings = merged_config(read_toml(config) if config else {}, options, preset_name=preset)
    compared = run_comparison(settings, say=_say, **how)
    for run, error in compared.failed.items():
        typer.echo(f"failed: {run}: {error}", err=True)
    typer.echo(f"{len(compared.finished)} runs finished, {len(compared.failed)} failed; records in {settings.output}")
    if compared.finished:
        typer.echo(f"figures: small-text-comal plot {settings.output}")
    if compared.failed:
        typer.echo("the same command tries the failed runs again", err=True)
        raise typer.Exit(FAILED)


def _say(message: str) -> None:
    """To standard error, so that a pipe gets results only."""
    # on a terminal, the line may hold the bar of another process: it is cleared, and drawn again below
    typer.echo(f"\r\x1b[K{message}" if sys.stderr.isatty() else message, err=True)


@app.command()
def plot(
    folders: Folders,
    target: Annotated[Path | None, typer.Option(help="where the figures go; by default FOLDER/plots")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="panels of the learning curves; by default all")] = None,
    main_metric: MainMetric = None,
    only: Only = None,
    latent: Annotated[bool, typer.Option("--latent", help="draw the latent space of one run instead")] = False,
    dataset: Annotated[str | None, typer.Option(help="of the latent space; by default the first")] = None,
    strategy: Annotated[str, typer.Option(help="of the latent space")] = "CoMAL",
    seed: Annotated[int, typer.Option(help="of the latent space")] = 0,
    rounds: Annotated[list[int] | None, typer.Option("--round", help="of the latent space")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="of the latent space; by default the six most frequent")
    ] = None,
) -> None:
    """Draw figures from records, as PNG and SVG."""
    with _plain_errors():
        from small_text_comal.experiments.analysis.latent_figure import draw_latent
        from small_text_comal.experiments.analysis.plots import plot_all
        from small_text_comal.experiments.analysis.results import read_results
        from small_text_comal.experiments.records.plan import Run

        goal = target or folders[0] / "plots"
        results = read_results(folders, only=only or ())
        if latent:
            run = Run(dataset or results.datasets()[0], strategy, seed)
            files = draw_latent(folders[0], goal, run, rounds=rounds or (), label_names=label or (), say=_say)
        else:
            shown = checked_metrics(tuple(metric)) if metric else tuple(results.metrics())
            files = plot_all(
                results, goal, metrics=results.known_metrics(shown), main_metric=results.main_metric(main_metric)
            )
        for note in results.notes:
            _say(note)
        for file in files:
            typer.echo(file)


@app.command()
def report(
    folders: Folders,
    target: Annotated[Path | None, typer.Option(help="where the report goes; by default the first FOLDER")] = None,
    main_metric: MainMetric = None,
    only: Only = None,
) -> None:
    """Write one HTML page with all figures and tables, and the tables as Markdown."""
    with _plain_errors():
        from small_text_comal.experiments.analysis.report import write_report
        from small_text_comal.experiments.analysis.results import read_results

        results = read_results(folders, only=only or ())
        for file in write_report(results, folders, target or folders[0], main_metric=results.main_metric(main_metric)):
            typer.echo(file)


@app.command()
def queried(folders: Folders, only: Only = None) -> None:
    """Print what kind of documents the strategies asked for: how many labels and words they have."""
    with _plain_errors():
        from small_text_comal.experiments.analysis.queried import queried_table
        from small_text_comal.experiments.analysis.results import read_results

        typer.echo(queried_table(read_results(folders, only=only or ()), folders))


@app.command()
def datasets(
    dataset: Annotated[list[str], typer.Argument(help="LOADER:PATH, or a short name such as goemotions")],
    test_size: Annotated[int | None, typer.Option(help="documents for testing, where there is no test part")] = None,
) -> None:
    """Read data sets and print the statistics of the paper's Table 1."""
    with _plain_errors():
        from small_text_comal.experiments.data.dataset_spec import parse_dataset
        from small_text_comal.experiments.data.statistics_table import statistics_table

        specs = [parse_dataset(text) for text in dataset]
        typer.echo(statistics_table(specs, test_size=test_size, say=_say))

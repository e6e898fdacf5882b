"""The command ``small-text-comal``: compare, plot, report, queried, datasets."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.experiments.options.metrics import checked_metrics
from small_text_comal.experiments.options.rooms import command_options, given_tables
from small_text_comal.experiments.records.records import RecordsError

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
    """Show errors that the user can fix in one line; any other error is a bug and keeps its traceback."""
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr, force=True)
    try:
        yield
    except (UserError, RecordsError, OSError) as error:
        if verbose:
            raise
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        typer.echo("stopped: finished rounds are kept, and the same command resumes", err=True)
        raise typer.Exit(STOPPED) from None


def _with_command_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace ``**options`` in the signature, which typer reads, by the options that the dataclasses declare."""
    signature = inspect.signature(command, eval_str=True)
    *own, _ = signature.parameters.values()
    generated = [
        inspect.Parameter(
            option.flag,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[option.kind | None, typer.Option(help=option.help)],
        )
        for option in command_options()
    ]
    command.__signature__ = signature.replace(parameters=[*own, *generated])  # type: ignore[attr-defined]
    return command


@app.command()
@_with_command_options
def compare(
    config: Annotated[Path | None, typer.Argument(help="experiment file (TOML); options override it")] = None,
    *,
    preset: Annotated[str | None, typer.Option(help="the paper's protocol: aapd, rcv1, justdance or eurlex")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="show messages of the libraries, and tracebacks")] = False,
    **options: Any,
) -> None:
    """Run a comparison, or resume one that was stopped: the same command finishes it."""
    with _plain_errors(verbose):
        from small_text_comal.experiments.options.mapping import read_toml
        from small_text_comal.experiments.options.merged import merged_config
        from small_text_comal.experiments.running.experiment import compare as run_comparison

        settings = merged_config(read_toml(config) if config else {}, given_tables(options), preset_name=preset)
        compared = run_comparison(settings, verbose=verbose, say=_say)
    for run, error in compared.failed.items():
        typer.echo(f"failed: {run}: {error}", err=True)
    typer.echo(f"{len(compared.finished)} runs finished, {len(compared.failed)} failed; records in {settings.output}")
    if compared.finished:
        _say_where_nothing_is_predicted(compared)
        typer.echo(f"figures: small-text-comal plot {settings.output}")
    if compared.failed:
        typer.echo("the same command tries the failed runs again", err=True)
        raise typer.Exit(FAILED)


def _say_where_nothing_is_predicted(compared: Any) -> None:
    """Name the run whose last classifier leaves most test documents without a label, when that is more than half."""
    share, run = max((share, str(run)) for run, share in compared.nothing_predicted.items())
    if share > 0.5:
        typer.echo(
            f"note: {run} predicts no label for {share:.0%} of the test documents: see threshold, classifier and "
            "learning_rate in docs/experiments.md",
            err=True,
        )


def _say(message: str) -> None:
    """Print to standard error, so that a pipe gets results only."""
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
    """Print what kind of documents the strategies queried: how many labels and words they have."""
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
        from small_text_comal.experiments.data.dataset_spec import DatasetSpec, dataset_table
        from small_text_comal.experiments.data.statistics_table import statistics_table

        specs = [DatasetSpec(**dataset_table(text), test_size=test_size) for text in dataset]  # type: ignore[arg-type]
        typer.echo(statistics_table(specs, say=_say))

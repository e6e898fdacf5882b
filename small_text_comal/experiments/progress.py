"""A bar for each run on a terminal; nothing in pipes and log files."""

from __future__ import annotations

import sys

from tqdm import tqdm

__all__ = ["RunProgress"]


class RunProgress:
    """The bar of one run.

    Parameters
    ----------
    title : what the run is
    rounds : in all, the first training included
    done : rounds that the records hold already
    position : line of the terminal, counted from 0

    The bar shows only where standard error is a terminal.
    """

    def __init__(self, title: str, rounds: int, *, done: int = 0, position: int = 0) -> None:
        self._bar = tqdm(
            desc=title,
            total=rounds,
            initial=done,
            position=position,
            unit="round",
            leave=False,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )

    def before_round(self, number: int, labels: int) -> None:
        """Tell that a round starts."""
        self._bar.set_postfix_str(f"round {number}, {labels} labels", refresh=True)

    def after_round(self, record: dict) -> None:
        """Tell that a round was recorded."""
        score = record["metrics"].get("micro_f1")
        shown = "" if score is None else f", micro-F1 {score:.3f}"
        self._bar.set_postfix_str(f"round {record['round']}, {record['labels']} labels{shown}", refresh=False)
        self._bar.update()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

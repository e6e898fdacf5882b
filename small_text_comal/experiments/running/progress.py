"""A progress bar per run on a terminal; nothing in pipes and log files."""

from __future__ import annotations

import re
import sys
from multiprocessing import current_process
from typing import Any

from tqdm import tqdm

__all__ = ["RunProgress"]

# what may be cut on a narrow terminal comes last; rounds per second would not be informative
LAYOUT = "{desc}{postfix} |{bar}| {remaining} left"


class RunProgress:
    """The bar of one run.

    Parameters
    ----------
    title : what the run is
    rounds : total number, including the first training
    done : rounds that are already recorded

    The bar shows only where standard error is a terminal.
    """

    def __init__(self, title: str, rounds: int, *, done: int = 0) -> None:
        self._last, self._score = rounds - 1, ""
        self._bar = tqdm(
            desc=title,
            total=rounds,
            initial=done,
            position=_line(),
            bar_format=LAYOUT,
            leave=False,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )

    def before_round(self, number: int, labels: int) -> None:
        """Show the round that starts, and the score of the previous one."""
        self._show(number, labels)
        self._bar.refresh()

    def after_round(self, record: dict[str, Any]) -> None:
        """Advance by a round that was recorded."""
        if "micro_f1" in record["metrics"]:
            self._score = f"micro-F1 {record['metrics']['micro_f1']:.3f}, "
        self._show(record["round"], record["labels"])
        self._bar.update()

    def _show(self, number: int, labels: int) -> None:
        self._bar.set_postfix_str(f"{self._score}round {number}/{self._last}, {labels} labels", refresh=False)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()


def _line() -> int:
    """The terminal's line of this process: joblib numbers its workers (LokyProcess-1, -2, ...)."""
    number = re.search(r"-(\d+)$", current_process().name)
    return int(number.group(1)) - 1 if number else 0

"""Tables and targets as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from timing import Seconds, Spread, spread

__all__ = ["Table", "Target", "markdown", "seconds_cells", "target_lines"]


class Target(NamedTuple):
    """A number that was promised: `value` at least (or, with ``at_most``, at most) `limit`."""

    name: str
    value: float
    limit: float
    at_most: bool = False

    @property
    def kept(self) -> bool:
        """Whether the promise holds."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def __str__(self) -> str:
        """One line."""
        verdict = "kept" if self.kept else "MISSED"
        return f"{verdict}: {self.name}: {self.value:.3g}, {'at most' if self.at_most else 'at least'} {self.limit:g}"


class Table(NamedTuple):
    """Rows of cells under a title, the targets that they decide, and lines of remarks."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = ()


def markdown(table: Table) -> str:
    """Return the table as Markdown, remarks below.

    Examples
    --------
    >>> print(markdown(Table("t", ["a", "b"], [["x", 1.5]])))
    ### t
    <BLANKLINE>
    | a | b |
    |---|---|
    | x | 1.5 |
    """
    lines = [f"### {table.title}", "", _line(table.header), "|" + "---|" * len(table.header)]
    lines += [_line(row) for row in table.rows]
    if table.notes:
        lines += ["", *table.notes]
    return "\n".join(lines)


def target_lines(tables: Sequence[Table]) -> list[str]:
    """Return a line a target, the missed ones first."""
    targets = [target for table in tables for target in table.targets]
    return [str(target) for target in sorted(targets, key=lambda target: target.kept)]


def seconds_cells(measured: Sequence[Seconds]) -> list[Spread]:
    """Return the main seconds (process time; device time on CUDA) and the wall seconds of all repeats."""
    return [spread([seconds.main for seconds in measured]), spread([seconds.wall for seconds in measured])]


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells) + " |"

"""Process time, wall time and, on CUDA, device time of actions that take turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

__all__ = ["Seconds", "Spread", "measure", "ratio", "spread", "take_turns"]


class Seconds(NamedTuple):
    """What an action took: this process on all its cores, the clock, and the CUDA stream between two events."""

    process: float
    wall: float
    device: float | None = None

    @property
    def main(self) -> float:
        """The number that others on the machine disturb least: device time on CUDA, else process time."""
        return self.process if self.device is None else self.device

    def __add__(self, other: object) -> Seconds:
        """Seconds of one action after another."""
        if not isinstance(other, Seconds):
            return NotImplemented
        device = None if self.device is None or other.device is None else self.device + other.device
        return Seconds(self.process + other.process, self.wall + other.wall, device)


class Spread(NamedTuple):
    """Median, smallest and largest of the repeats."""

    median: float
    smallest: float
    largest: float

    def __str__(self) -> str:
        """Median [smallest to largest], three digits."""
        if self.smallest == self.largest:
            return f"{self.median:.3g}"
        return f"{self.median:.3g} [{self.smallest:.3g} to {self.largest:.3g}]"


def spread(values: Sequence[float]) -> Spread:
    """Return median and range.

    Examples
    --------
    >>> str(spread([1.0, 3.0, 2.0]))
    '2 [1 to 3]'
    """
    return Spread(statistics.median(values), min(values), max(values))


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Spread:
    """Return the spread of the ratios of each repeat: what slows a whole repeat down cancels.

    Examples
    --------
    >>> ratio([4.0, 6.0], [2.0, 2.0]).median
    2.5
    """
    return spread([a / b for a, b in zip(numerator, denominator, strict=True)])


def measure(action: Callable[[], Any], device: str) -> tuple[Seconds, Any]:
    """Run `action` once; return its seconds and its result."""
    if not device.startswith("cuda"):
        process, wall = time.process_time(), time.perf_counter()
        result = action()
        return Seconds(time.process_time() - process, time.perf_counter() - wall), result
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    process, wall = time.process_time(), time.perf_counter()
    start.record()
    result = action()
    stop.record()
    torch.cuda.synchronize(device)
    seconds = Seconds(time.process_time() - process, time.perf_counter() - wall, start.elapsed_time(stop) / 1000)
    return seconds, result


def take_turns(
    variants: dict[str, Callable[[], Any]], repeats: int, device: str, *, warm_up: bool = True
) -> dict[str, list[Seconds]]:
    """Measure each variant once in every repeat, in turn, such that noise hits all alike.

    With `warm_up` each runs once before, unmeasured: kernels are chosen and memory is allocated in a first run.
    """
    if warm_up:
        for action in variants.values():
            action()
    measured: dict[str, list[Seconds]] = {name: [] for name in variants}
    for _ in range(repeats):
        for name, action in variants.items():
            measured[name].append(measure(action, device)[0])
    return measured

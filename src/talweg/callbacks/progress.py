"""The progress bar: a live line on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from talweg.callbacks import console
from talweg.core import errors


class Progbar:
    """Shows how far a loop is, how long it will take, and its metrics.

    On a terminal the line is redrawn in place, at most every `interval` seconds, and not
    before one has passed. Elsewhere only the final line is printed, without control
    characters.

    Args:
        target: the number of steps; None where it is not known.
        width: the width of the bar in characters.
        verbose: 0 silent, 1 a bar, 2 one line at the end.
        interval: the least time between two redraws, in seconds.
        stateful_metrics: names shown as given; all others are averaged over the steps.
        stateless_metrics: names averaged over the steps; all others are shown as given.
        unit_name: what is counted.

    Raises:
        ValueError: both lists of names are given.

    >>> bar = Progbar(3, verbose=2)
    >>> bar.update(1, [("loss", 4.0)])
    >>> bar.update(3, [("loss", 1.0)])  # doctest: +ELLIPSIS
    3/3 - 0s - ... - loss: 1.0000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise errors.invalid(
                "Progbar", "stateless_metrics", "None with stateful_metrics", stateless_metrics
            )
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = None if stateful_metrics is None else set(stateful_metrics)
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._live = verbose == 1 and console.is_terminal()
        self._sums: dict[str, tuple[Any, int]] = {}
        self._seen = 0
        self._start = time.perf_counter()
        self._drawn = self._start
        self._first: tuple[int, float] | None = None

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Tell how far the loop is.

        Args:
            current: the number of steps done.
            values: (name, value) pairs; a value is that of the steps since the last update.
            finalize: whether this is the end; by default, whether the target is reached.
        """
        now = time.perf_counter()
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            self._take(name, value, current, finalize)
        self._seen = current
        if self._first is None and current > 0:
            self._first = (current, now)
        if finalize:
            self._finish(current, now)
        elif self._live and now - self._drawn >= self.interval:
            self._drawn = now
            console.draw(self._line(current, now))

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Tell that `n` more steps are done."""
        self.update(self._seen + n, values)

    def _take(self, name: str, value: Any, current: int, finalize: bool) -> None:
        if self.stateless_metrics is None:
            averaged = name not in (self.stateful_metrics or ())
        else:
            averaged = name in self.stateless_metrics
        if not averaged or finalize:
            self._sums[name] = (value, 1)
            return
        steps = max(current - self._seen, 1)
        total, count = self._sums.get(name, (0.0, 0))
        self._sums[name] = (total + value * steps, count + steps)

    def _finish(self, current: int, now: float) -> None:
        if self.verbose not in (1, 2):
            return
        dash = " -" if self.verbose == 2 else ""
        bar = f" {'━' * self.width}" if self.verbose == 1 else dash
        line = f"{self._count(current)}{bar} {now - self._start:.0f}s{dash} {self._pace(now)}"
        console.say(line + self._metrics())

    def _line(self, current: int, now: float) -> list[tuple[str, str]]:
        if not self.target:
            head = [(f"{current:7d}/Unknown", "bold"), (f" {now - self._start:.0f}s", "bold")]
        else:
            filled = min(int(self.width * current / self.target), self.width)
            left = self._seconds_per_unit(now) * (self.target - current)
            head = [
                (f"{self._count(current)} ", "bold"),
                ("━" * filled, "green"),
                ("━" * (self.width - filled), "bright_black"),
                (f" {clock(left)}", "bold"),
            ]
        return [*head, (f" {self._pace(now)}{self._metrics()}", "")]

    def _count(self, current: int) -> str:
        target = self.target or current
        return f"{current:{len(str(target))}d}/{target}"

    def _seconds_per_unit(self, now: float) -> float:
        """The time of a step, without the first update: it holds the compilation."""
        if self._first is None:
            return 0.0
        steps, moment = self._first
        if self._seen > steps:
            return (now - moment) / (self._seen - steps)
        return (now - self._start) / self._seen

    def _pace(self, now: float) -> str:
        return f"{duration(self._seconds_per_unit(now))}/{self.unit_name}"

    def _metrics(self) -> str:
        return "".join(
            f" - {name}: {number(value, count)}" for name, (value, count) in self._sums.items()
        )


def number(value: Any, count: int = 1) -> str:
    """A metric's value, or the average of `count` values that add up to it, in four digits.

    >>> number(0.91234), number(0.001), number("n/a")
    ('0.9123', '1.0000e-03', 'n/a')
    """
    if type(value) is not float:
        try:
            value = float(np.mean(value))
        except (TypeError, ValueError):
            return str(value)
    average = value / count
    return f"{average:.4e}" if abs(average) <= 1e-3 else f"{average:.4f}"


def duration(seconds: float) -> str:
    """The time of a step.

    >>> duration(2.0), duration(0.025), duration(25e-6)
    ('2s', '25ms', '25us')
    """
    if seconds >= 1.0 or seconds == 0.0:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def clock(seconds: float) -> str:
    """The time that is left.

    >>> clock(5), clock(65), clock(3665)
    ('5s', '1:05', '1:01:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    if seconds > 3600:
        return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if seconds > 60 else f"{rest + 60 * minutes}s"

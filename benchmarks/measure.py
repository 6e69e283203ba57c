"""Measuring: A B C C B A A B C …, medians, and ratios repeat by repeat."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from benchmarks.contestants import Failure, Running
from benchmarks.machine import facts
from benchmarks.rows import Demand, Row


@dataclass
class Result:
    """What a row gave.

    Attributes:
        seconds: per contestant, per repeat.
        losses: `row.check` after the warm-up, of contestants that have one.
        skipped: per contestant, what is not installed.
        failed: per contestant, how it ended.
        date: when.
        machine: `machine.facts()` of then.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    date: str = ""
    machine: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """A subject beside a peer.

    Attributes:
        subject, peer: keys of contestants.
        best: the peer is the fastest of those that are asked for.
        ratio: median of the peer's time / the subject's time.
        low, high: the smallest and largest of these ratios.
        at_least: what the ratio must be; None where nothing is asked.
    """

    subject: str
    peer: str
    best: bool
    ratio: float
    low: float
    high: float
    at_least: float | None

    @property
    def met(self) -> bool | None:
        """Whether it is reached; None where nothing is asked."""
        return None if self.at_least is None else self.ratio >= self.at_least


def measure(row: Row, repeats: int, quick: bool, tell: Callable[[str], Any]) -> Result:
    """Start all contestants of a row, then measure them in turn."""
    result = Result(date=datetime.now(UTC).strftime("%Y-%m-%d"), machine=facts())
    running: dict[str, Running] = {}
    repeats = min(repeats, row.repeats) * row.rounds
    with contextlib.ExitStack() as stack:
        for key, contestant in row.contestants.items():
            missing = contestant.missing()
            if missing:
                result.skipped[key] = missing
                continue
            tell(f"warming {contestant.label}")
            try:
                running[key] = stack.enter_context(contestant.start(quick))
            except Failure as failure:
                result.failed[key] = str(failure)
                continue
            loss = running[key].loss
            if loss is not None:
                result.losses[key] = loss
        result.seconds = {key: [] for key in running}
        for repeat in range(repeats):
            # Forth and back: whoever comes after another, or as the machine warms, does so in turn.
            for key in list(running)[:: -1 if repeat % 2 else 1]:
                tell(f"{row.contestants[key].label}, {repeat + 1} of {repeats}")
                try:
                    result.seconds[key].append(running[key].measure())
                except Failure as failure:
                    result.failed[key] = str(failure)
                    del running[key], result.seconds[key]
    _take_off(row.baseline, result.seconds)
    return result


def _take_off(baseline: str, seconds: dict[str, list[float]]) -> None:
    if baseline in seconds:
        taken = seconds.pop(baseline)
        for times in seconds.values():
            times[:] = [t - b for t, b in zip(times, taken, strict=True)]


def compare(row: Row, result: Result) -> list[Comparison]:
    """Every subject beside every peer that was measured, and beside the best where asked."""
    seconds = result.seconds
    comparisons = []
    for subject in row.subjects:
        if subject not in seconds:
            continue
        single = {d.against[0]: d.at_least for d in row.demands if len(d.against) == 1}
        for peer in seconds:
            if peer not in row.subjects:
                comparisons.append(_beside(seconds, subject, peer, False, single.get(peer)))
        for demand in row.demands:
            best = _best(seconds, demand)
            if best and len(demand.against) > 1:
                comparisons.append(_beside(seconds, subject, best, True, demand.at_least))
    return comparisons


def _best(seconds: dict[str, list[float]], demand: Demand) -> str:
    present = [peer for peer in demand.against if peer in seconds]
    return min(present, key=lambda peer: median(seconds[peer]), default="")


def _beside(
    seconds: dict[str, list[float]], subject: str, peer: str, best: bool, at_least: float | None
) -> Comparison:
    ratios = [p / s for p, s in zip(seconds[peer], seconds[subject], strict=True)]
    return Comparison(subject, peer, best, median(ratios), min(ratios), max(ratios), at_least)

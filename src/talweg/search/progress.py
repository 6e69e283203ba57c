"""What a comparison shows while it runs: a bar on a terminal, a line per optimizer elsewhere."""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Self


class Progress:
    """Counts the epochs of all members.

    Args:
        verbose: 0 silent; 1 or "auto" shows.
        optimizers: their labels.
        grids: the rates of each.
        starts: members per rate.
        epochs: epochs per member.
    """

    def __init__(
        self,
        verbose: int | str,
        optimizers: Iterable[str],
        grids: Mapping[str, Any],
        starts: int,
        epochs: int,
    ):
        self._shown = bool(verbose)
        self._total = sum(len(grids[label]) * starts * epochs for label in optimizers)
        self._label = ""
        self._began = 0.0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            console = Console()
            if console.is_terminal:
                self._bar = Bar(
                    TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
                    TimeRemainingColumn(), console=console, transient=True,
                )  # fmt: skip
                self._bar.start()
                self._task = self._bar.add_task("compare", total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        self._close_line()
        if self._bar is not None:
            self._bar.stop()

    def begin(self, label: str) -> None:
        """The next optimizer starts; its program is compiled first."""
        self._close_line()
        self._label, self._began = label, time.perf_counter()
        if self._bar is not None:
            self._bar.update(self._task, description=f"{label}: compiling")

    def advance(self, member_epochs: int, diverged: int) -> None:
        """Some epochs of members are done."""
        if self._bar is not None:
            gone = f", {diverged} diverged" if diverged else ""
            self._bar.update(self._task, advance=member_epochs, description=f"{self._label}{gone}")

    def _close_line(self) -> None:
        if self._shown and self._bar is None and self._label:
            print(f"{self._label}: {time.perf_counter() - self._began:.1f} s", flush=True)
        self._label = ""

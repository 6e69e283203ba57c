"""What a comparison shows while it runs: a bar on a terminal, a line per optimizer elsewhere.

Several optimizers report at once, from threads of their own.
"""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import CancelledError
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
        self._states: dict[str, str] = {}
        self._began = time.perf_counter()
        self._bar: Any = None
        self._task: Any = None
        self._cancelled = False

    def __enter__(self) -> Self:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            console = Console()
            if console.is_terminal:
                self._bar = Bar(
                    BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
                    TextColumn("{task.description}"), console=console, transient=True,
                )  # fmt: skip
                self._bar.start()
                self._task = self._bar.add_task("", total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def cancel(self) -> None:
        """Have all workers stop at their next epoch."""
        self._cancelled = True

    def begin(self, label: str) -> None:
        """An optimizer starts; its program is compiled first."""
        self._tell(label, "compiling", 0)

    def advance(self, label: str, member_epochs: int, diverged: int) -> None:
        """Some epochs of an optimizer's members are done.

        Raises:
            CancelledError: the comparison was given up.
        """
        if self._cancelled:
            raise CancelledError
        self._tell(label, f"{diverged} diverged" if diverged else "", member_epochs)

    def end(self, label: str) -> None:
        """An optimizer is done."""
        self._states.pop(label, None)
        if self._shown and self._bar is None:
            print(f"{label}: done after {time.perf_counter() - self._began:.1f} s", flush=True)

    def _tell(self, label: str, state: str, member_epochs: int) -> None:
        self._states[label] = state
        if self._bar is not None:
            shown = ", ".join(f"{k} ({v})" if v else k for k, v in self._states.copy().items())
            self._bar.update(self._task, advance=member_epochs, description=shown)

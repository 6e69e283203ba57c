"""What a search shows while it runs: a bar on a terminal, a line per optimizer elsewhere.

Several optimizers report at once, from threads of their own.
"""

import threading
import time
from concurrent.futures import CancelledError
from typing import Any, Self


class Progress:
    """Counts the epochs, or steps, of all members.

    Args:
        verbose: 0 silent; 1 or "auto" shows.
        total: how many epochs or steps all members have together.
        patience: seconds before anything is shown; what is done by then stays silent.
    """

    def __init__(self, verbose: int | str, total: int, patience: float = 0.0):
        self._shown = bool(verbose)
        self._total, self._patience = total, patience
        self._done = 0
        self._states: dict[str, str] = {}
        self._began = time.perf_counter()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._bar: Any = None
        self._task: Any = None
        self._cancelled = False

    def __enter__(self) -> Self:
        if self._shown and not self._patience:
            self._open()
        elif self._shown:
            self._timer = threading.Timer(self._patience, self._open)
            self._timer.daemon = True
            self._timer.start()
        return self

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        console = Console()
        with self._lock:
            if not console.is_terminal or not self._shown:
                return
            self._bar = Bar(
                BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
                TextColumn("{task.description}"), console=console, transient=True,
            )  # fmt: skip
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total)
            self._update()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._shown = False
            if self._timer is not None:
                self._timer.cancel()
            if self._bar is not None:
                self._bar.stop()

    def cancel(self) -> None:
        """Have all workers stop at their next epoch."""
        self._cancelled = True

    def begin(self, label: str) -> None:
        """An optimizer starts; its program is compiled first."""
        self._tell(label, "compiling", 0)

    def advance(self, label: str, done: int, diverged: int) -> None:
        """Some epochs or steps of an optimizer's members are done.

        Raises:
            CancelledError: the search was given up.
        """
        if self._cancelled:
            raise CancelledError
        self._tell(label, f"{diverged} diverged" if diverged else "", done)

    def end(self, label: str) -> None:
        """An optimizer is done."""
        self._states.pop(label, None)
        seconds = time.perf_counter() - self._began
        if self._shown and self._bar is None and seconds >= self._patience:
            print(f"{label}: done after {seconds:.1f} s", flush=True)

    def _tell(self, label: str, state: str, done: int) -> None:
        with self._lock:
            self._states[label] = state
            self._done += done
            self._update()

    def _update(self) -> None:
        if self._bar is not None:
            shown = ", ".join(f"{k} ({v})" if v else k for k, v in self._states.items())
            self._bar.update(self._task, completed=self._done, description=shown)

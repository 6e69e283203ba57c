"""Ctrl-C between blocks, never inside one: weights and history stay whole."""

import contextlib
import signal
import threading
from collections.abc import Generator
from typing import Any


class Interrupt:
    """A Ctrl-C that waits for the block to end.

    Attributes:
        pending: whether it was pressed.
    """

    def __init__(self) -> None:
        self.pending = False
        self._answering = False

    def __call__(self, *_: Any) -> None:
        if self.pending or self._answering:  # pressed again: the user insists
            self.pending = False
            raise KeyboardInterrupt
        self.pending = True

    def raise_if_pending(self) -> None:
        """Raise the KeyboardInterrupt that was held back."""
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def answered(self) -> Generator[None]:
        """Let Ctrl-C through at once: while waiting for the user's data."""
        self.raise_if_pending()
        self._answering = True
        try:
            yield
        finally:
            self._answering = False


@contextlib.contextmanager
def deferred_interrupt() -> Generator[Interrupt]:
    """Hold Ctrl-C back until `raise_if_pending`.

    Outside the main thread, and where the program handles the signal itself, nothing is
    changed.
    """
    interrupt = Interrupt()
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    if before is not signal.default_int_handler and not isinstance(before, Interrupt):
        yield interrupt
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
    interrupt.raise_if_pending()

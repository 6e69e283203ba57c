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

    def __call__(self, *_: Any) -> None:
        if self.pending:  # pressed again: the user insists
            raise KeyboardInterrupt
        self.pending = True

    def raise_if_pending(self) -> None:
        """Raise the KeyboardInterrupt that was held back."""
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt


@contextlib.contextmanager
def deferred_interrupt() -> Generator[Interrupt]:
    """Hold Ctrl-C back until `raise_if_pending`; outside the main thread, do nothing."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)

"""Prefetching: a thread makes the next items while the last one is in use."""

import contextlib
import queue
import threading
from collections.abc import Generator
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_END = object()
_PATIENCE = 5.0


def prefetched(
    items: Generator[Item, None, Result], ahead: int = 2
) -> Generator[Item, None, Result]:
    """The same items and result, made by a thread that is at most `ahead` items in front.

    An exception in `items` is raised here, with its own traceback. When the reader stops
    early the thread ends too: it is waited for, so that nobody else is reading the source
    afterwards, though no longer than five seconds, and not at all after a Ctrl-C.
    """
    ready: queue.Queue[tuple[Any, Any, BaseException | None]] = queue.Queue(maxsize=ahead)
    closed = threading.Event()

    def put(item: Any, result: Any = None, error: BaseException | None = None) -> None:
        while not closed.is_set():
            with contextlib.suppress(queue.Full):
                ready.put((item, result, error), timeout=0.1)
                return

    def work() -> None:
        try:
            while not closed.is_set():
                try:
                    put(next(items))
                except StopIteration as end:
                    put(_END, end.value)
                    return
        except BaseException as error:  # handed to the reader, whatever it is
            put(_END, error=error)

    thread = threading.Thread(target=work, daemon=True, name="talweg-data")
    thread.start()
    patience = _PATIENCE
    try:
        while True:
            item, result, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return result
            yield item
    except KeyboardInterrupt:
        patience = 0.0
        raise
    finally:
        closed.set()
        while not ready.empty():  # lets a waiting thread go on at once
            ready.get_nowait()
        thread.join(timeout=patience)

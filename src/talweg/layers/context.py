"""What a call of nested layers shares: the training flag and the losses they add."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass
class CallContext:
    """One outermost call.

    Attributes:
        training: the flag that inner layers inherit; None where nobody said.
        losses: what `add_loss` and activity regularizers contributed.
    """

    training: bool | None = None
    losses: list[Any] = field(default_factory=list)


_context: ContextVar[CallContext | None] = ContextVar("talweg_call_context", default=None)


def current() -> CallContext | None:
    """The call that is under way."""
    return _context.get()


@contextlib.contextmanager
def call_context(training: bool | None, losses: list[Any] | None = None) -> Iterator[CallContext]:
    """Open a call: inner layers see `training` and add to `losses`."""
    context = CallContext(training, [] if losses is None else losses)
    token = _context.set(context)
    try:
        yield context
    finally:
        _context.reset(token)

"""Loans: arrays that stand in for variables while code is traced, and how variables are read.

All of it lives in context variables, so threads do not meet; it nests.
"""

import contextlib
from collections.abc import Callable, Generator, Iterable
from contextvars import ContextVar
from typing import Any


class Loan:
    """The arrays that stand in for some variables' own, inside one trace."""

    def __init__(
        self,
        parent: "Loan | None",
        arrays: dict[int, Any],
        catch_all: bool = False,
        only_shapes: bool = False,
    ):
        self.parent = parent
        self.arrays = arrays
        # What was assigned, held, so that no other variable gets an id of theirs.
        self.written: dict[int, Any] = {}
        self.catch_all = catch_all
        self.only_shapes = only_shapes

    def reader(self, variable: Any) -> "Loan | None":
        """The innermost loan that has a value for `variable`."""
        loan: Loan | None = self
        while loan is not None and id(variable) not in loan.arrays:
            loan = loan.parent
        return loan

    def writer(self, variable: Any) -> "Loan | None":
        """The innermost loan that takes what is assigned to `variable`."""
        loan: Loan | None = self
        while loan is not None and id(variable) not in loan.arrays and not loan.catch_all:
            loan = loan.parent
        return loan

    def write(self, variable: Any, value: Any) -> None:
        """Let `value` stand in for `variable` from now on."""
        self.arrays[id(variable)] = value
        self.written[id(variable)] = variable

    def values(self, variables: Iterable[Any]) -> list[Any]:
        """What the loan holds for `variables` now, updates included."""
        return [self.arrays[id(variable)] for variable in variables]


current_loan: ContextVar[Loan | None] = ContextVar("talweg_loan", default=None)
current_autocast: ContextVar[str | None] = ContextVar("talweg_autocast", default=None)
# Asked with the shape before a variable is made; a file that is read allows only so much.
current_bound: ContextVar[Callable[[tuple[int, ...]], None] | None] = ContextVar(
    "talweg_bound", default=None
)


@contextlib.contextmanager
def bounded(check: Callable[[tuple[int, ...]], None]) -> Generator[None]:
    """Call `check` with the shape of every variable before it is made, until the block ends."""
    token = current_bound.set(check)
    try:
        yield
    finally:
        current_bound.reset(token)


@contextlib.contextmanager
def discard_assignments() -> Generator[None]:
    """Whatever is assigned until the block ends is forgotten: for tracing shapes only."""
    token = current_loan.set(Loan(current_loan.get(), {}, catch_all=True, only_shapes=True))
    try:
        yield
    finally:
        current_loan.reset(token)


def only_shapes() -> bool:
    """Whether what is computed now is forgotten but for its shape."""
    loan = current_loan.get()
    while loan is not None and not loan.only_shapes:
        loan = loan.parent
    return loan is not None


@contextlib.contextmanager
def autocast(dtype: str | None) -> Generator[None]:
    """Read floating variables as `dtype` until the block ends (mixed precision)."""
    token = current_autocast.set(dtype)
    try:
        yield
    finally:
        current_autocast.reset(token)

"""StatelessScope: code that assigns variables, run as a pure function."""

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import jax.numpy as jnp

from talweg.core import errors
from talweg.core.loans import Loan, current_loan
from talweg.core.variables import Variable

_stateless: ContextVar["StatelessScope | None"] = ContextVar("talweg_stateless", default=None)


class StatelessScope:
    """While it is open, variables stay as they were: what is assigned is kept in the scope.

    Args:
        state_mapping: pairs of a variable and the array that stands in for its value.
        collect_losses: whether `losses` gathers what layers add with `add_loss`.
        initialize_variables: accepted as Keras does; variables made inside are real at once.

    Raises:
        ValueError: a pair without a variable, or with an array of another shape.

    >>> v = Variable([1.0, 2.0])
    >>> with StatelessScope([(v, jnp.zeros(2))]) as scope:
    ...     _ = v.assign_add([3.0, 4.0])
    >>> v.numpy().tolist(), scope.get_current_value(v).tolist()
    ([1.0, 2.0], [3.0, 4.0])
    """

    def __init__(
        self,
        state_mapping: Iterable[tuple[Any, Any]] | None = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
    ):
        self.collect_losses = collect_losses
        self.losses: list[Any] = []
        self._arrays: dict[int, Any] = {}
        self._variables: list[Variable] = []  # held, so that no other gets an id of theirs
        self._tokens: list[Any] = []
        for variable, value in state_mapping or ():
            if not isinstance(variable, Variable):
                raise errors.invalid(
                    "StatelessScope", "state_mapping", "pairs (variable, array)", variable
                )
            given = value.value if isinstance(value, Variable) else value
            array = jnp.asarray(given, variable._value.dtype)
            if array.shape != variable.shape:
                raise errors.invalid(
                    "StatelessScope", f"the value of {variable.path!r}",
                    f"of shape {variable.shape}", array.shape,
                )  # fmt: skip
            self.add_update((variable, array))

    def add_update(self, update: tuple[Variable, Any]) -> None:
        """Let an array stand in for the value of a variable."""
        self._variables.append(update[0])
        self._arrays[id(update[0])] = update[1]

    def add_loss(self, loss: Any) -> None:
        """Add to `losses`."""
        self.losses.append(loss)

    def get_current_value(self, variable: Variable) -> Any:
        """What stands in for a variable now; None where it was neither given nor assigned."""
        return self._arrays.get(id(variable))

    def __enter__(self) -> "StatelessScope":
        loan = Loan(current_loan.get(), self._arrays, catch_all=True)
        self._tokens.append((current_loan.set(loan), _stateless.set(self)))
        return self

    def __exit__(self, *_: Any) -> None:
        loan, scope = self._tokens.pop()
        current_loan.reset(loan)
        _stateless.reset(scope)


def stateless_scope() -> StatelessScope | None:
    """The innermost `StatelessScope` that is open."""
    return _stateless.get()

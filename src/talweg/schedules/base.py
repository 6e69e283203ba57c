"""The base of schedules: a learning rate as a pure function of the step.

A schedule of talweg is a frozen dataclass whose numbers are declared with the interval
they must lie in; the declaration checks them and names them in the message. Calling it
with an array of steps gives the array of rates, which is its plot.
"""

import numbers
from dataclasses import MISSING, field, fields, is_dataclass, replace
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.core.hyperparameters import Hyper, Interval

RATE = "[0, 1e10]"


def number(interval: str, default: Any = MISSING, *, hint: str = "", optional: bool = False) -> Any:
    """Declare a number of a schedule.

    Args:
        interval: what is accepted, as "[0, 1)".
        default: its value where the user gives none; without it the argument is required.
        hint: the remedy, the last sentence of the error message.
        optional: whether None is accepted.
    """
    declaration = _declare(interval, hint, optional)
    return field(default=default, metadata={"declaration": declaration})


def flag(default: bool = False) -> Any:
    """Declare an argument that is True or False."""
    return field(default=default, metadata={"declaration": Hyper(default)})


def check_number(owner: str, name: str, value: Any, interval: str, hint: str = "") -> float | int:
    """`value` as a Python number inside `interval`; integers stay integers.

    Raises:
        ValueError: outside the interval, NaN or infinite.
        TypeError: not a number.
    """
    declaration = replace(_declare(interval, hint), name=name)
    return _plain(value, declaration.check(owner, value))


def _declare(interval: str, hint: str, optional: bool = False) -> Hyper:
    parsed = Interval.parse(interval)
    return Hyper(None, interval=parsed, notation=interval, hint=hint, optional=optional)


def _plain(value: Any, checked: Any) -> Any:
    whole = isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))
    return int(value) if whole else checked


def _listed(value: Any) -> Any:
    return [*value] if isinstance(value, tuple) else value


def as_float(step: Any) -> jax.Array:
    """A step, or an array of steps, as float32."""
    return jnp.asarray(step).astype(jnp.float32)


class LearningRateSchedule:
    """A learning rate that depends on the step; the base to derive from.

    A subclass defines `__call__(step)`, and `get_config()` where it is to be saved. It is
    pure: the same step gives the same rate, in `jax.numpy`, since it runs inside the
    compiled step with `step` a traced integer. Written so that arrays of steps work too, it
    can be plotted by `schedule(jnp.arange(n))`. A subclass that is a dataclass has its
    `get_config` for free.

    Raises:
        NotImplementedError: the subclass lacks `__call__`, or `get_config` when saved.

    >>> class Inverse(LearningRateSchedule):
    ...     def __init__(self, rate):
    ...         self.rate = rate
    ...     def __call__(self, step):
    ...         return self.rate / (step + 1)
    ...     def get_config(self):
    ...         return {"rate": self.rate}
    >>> [float(rate) for rate in Inverse(1.0)(jnp.arange(4))][1:4:2]
    [0.5, 0.25]
    """

    def __post_init__(self) -> None:
        owner = type(self).__name__
        for entry in fields(self):  # type: ignore[arg-type]
            declaration: Hyper | None = entry.metadata.get("declaration")
            if declaration is not None:
                value = getattr(self, entry.name)
                checked = replace(declaration, name=entry.name).check(owner, value)
                object.__setattr__(self, entry.name, _plain(value, checked))

    def __call__(self, step: Any) -> jax.Array:
        """The rate at `step` (a scalar or an array), float32 of the same shape."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, step).")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, ready for JSON."""
        if not is_dataclass(self):
            raise NotImplementedError(
                f"{type(self).__name__} must define get_config(self) to be saved."
            )
        return {
            entry.name: _listed(getattr(self, entry.name)) for entry in fields(self) if entry.init
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The schedule whose `get_config` gave `config`."""
        return cls(**config)


def check_sequence(owner: str, name: str, values: Any, interval: str) -> tuple[float | int, ...]:
    """`values` as a tuple of numbers inside `interval`."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise errors.wrong_type(owner, name, "a list of numbers", values)
    return tuple(
        check_number(owner, f"{name}[{index}]", value, interval)
        for index, value in enumerate(values)
    )

"""The base of schedules: a learning rate as a pure function of the step.

A schedule of talweg is a frozen dataclass whose numbers are declared with the interval
they must lie in; the declaration checks them and names them in the message. Calling it
with an array of steps gives the array of rates, which is its plot.
"""

import itertools
import numbers
from collections.abc import Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.core.hyperparameters import Hyper, Interval
from talweg.core.serialization import deserialize_keras_object, serialize_keras_object

if TYPE_CHECKING:
    from talweg.schedules.product import Product

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


def choice(options: Sequence[str], default: str) -> Any:
    """Declare an argument that is one of a few words."""
    return field(default=default, metadata={"options": tuple(options)})


def sequence(interval: str, *, increasing: bool = False) -> Any:
    """Declare a list of numbers of a schedule, each in the interval; kept as a tuple."""
    return field(metadata={"each": interval, "increasing": increasing})


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
    if isinstance(value, tuple):
        return [_listed(item) for item in value]
    return serialize_keras_object(value) if isinstance(value, LearningRateSchedule) else value


def as_float(step: Any) -> jax.Array:
    """A step, or an array of steps, as float32."""
    return jnp.asarray(step).astype(jnp.float32)


class LearningRateSchedule:
    """A learning rate that depends on the step; the base to derive from.

    A subclass defines `__call__(step)`, and `get_config()` where it is to be saved. It is
    pure: the same step gives the same rate, in `jax.numpy`, since it runs inside the
    compiled step with `step` a traced integer. Written so that arrays of steps work too, it
    can be plotted by `schedule(jnp.arange(n))`. A subclass that is a dataclass has its
    `get_config` for free. Schedules and numbers multiply: `0.5 * schedule * other`.

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
        for entry in fields(self):  # type: ignore[arg-type]
            checked = _checked(type(self).__name__, entry, getattr(self, entry.name))
            object.__setattr__(self, entry.name, checked)

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
        return cls(**{name: deserialize_keras_object(value) for name, value in config.items()})

    def __mul__(self, other: Any) -> "Product":
        """The product with another schedule or a number."""
        from talweg.schedules.product import Product

        if not isinstance(other, LearningRateSchedule) and np.ndim(other):
            return NotImplemented
        return Product([self, other])

    def __rmul__(self, other: Any) -> "Product":
        from talweg.schedules.product import Product

        return NotImplemented if np.ndim(other) else Product([other, self])


def _checked(owner: str, entry: "Field[Any]", value: Any) -> Any:
    """The value of an argument, checked against its declaration where it has one."""
    declared = entry.metadata
    if "declaration" in declared:
        declaration: Hyper = replace(declared["declaration"], name=entry.name)
        return _plain(value, declaration.check(owner, value))
    if "each" in declared:
        return _check_sequence(owner, entry.name, value, declared["each"], declared["increasing"])
    if value not in declared.get("options", (value,)):
        expected = " or ".join(map(repr, declared["options"]))
        raise errors.invalid(owner, entry.name, expected, value)
    return value


def _check_sequence(
    owner: str, name: str, values: Any, interval: str, increasing: bool
) -> tuple[float | int, ...]:
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise errors.wrong_type(owner, name, "a list of numbers", values)
    checked = tuple(
        check_number(owner, f"{name}[{index}]", value, interval)
        for index, value in enumerate(values)
    )
    if increasing and any(high <= low for low, high in itertools.pairwise(checked)):
        raise errors.invalid(owner, name, "strictly increasing", list(checked))
    return checked


def check_parts(owner: str, name: str, parts: Any) -> tuple["LearningRateSchedule | float", ...]:
    """`parts` as a tuple of schedules and numbers, at least one.

    Raises:
        ValueError: none, or a number that is no rate.
        TypeError: something else.
    """
    if isinstance(parts, (str, bytes)) or not hasattr(parts, "__iter__"):
        raise errors.wrong_type(owner, name, "a list of schedules and numbers", parts)
    checked = tuple(
        part
        if isinstance(part, LearningRateSchedule)
        else check_number(
            owner, f"{name}[{index}]", part, RATE, "A schedule is as good as a number here."
        )
        for index, part in enumerate(parts)
    )
    if not checked:
        raise errors.invalid(owner, name, "a list of at least one schedule or number", list(parts))
    return checked


def value_at(part: "LearningRateSchedule | float", step: jax.Array) -> jax.Array:
    """A schedule's value at `step`, or a number, as float32 of the shape of `step`."""
    value = part(step) if isinstance(part, LearningRateSchedule) else part
    return jnp.broadcast_to(jnp.asarray(value, jnp.float32), step.shape)

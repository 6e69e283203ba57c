"""Projections of weights, applied after each step of the optimizer."""

from typing import Any, Self

import jax.numpy as jnp

from talweg.core import config, errors
from talweg.core.variables import Variable


class Constraint:
    """Base of constraints: `constraint(w)` is `w` moved to where it may be.

    Subclass it, define `__call__`, and `get_config` where there are arguments.

    >>> class Clipped(Constraint):
    ...     def __call__(self, w):
    ...         return jnp.clip(w, -1.0, 1.0)
    >>> Clipped()(jnp.array([3.0])).tolist()
    [1.0]
    """

    def __call__(self, w: Any) -> Any:
        """The allowed weight for `w`, of its shape and type."""
        return w

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal constraint."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The constraint that `get_config` described."""
        return cls(**config)


class MaxNorm(Constraint):
    """Shrinks vectors whose L2 norm is above `max_value`.

    Args:
        max_value: the largest norm, 2 by default; not negative.
        axis: the axis (or axes) along which a vector lies: 0, the inputs of each unit, for
            a dense kernel; (0, 1, 2) for a two-dimensional convolution's.

    Raises:
        ValueError: `max_value` is negative or NaN.

    Srivastava et al., JMLR 2014.

    >>> MaxNorm(1.0)(jnp.array([[3.0], [4.0]])).round(3).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """

    def __init__(self, max_value: float = 2, axis: int | tuple[int, ...] = 0):
        self.max_value = _not_negative(self, "max_value", max_value)
        self.axis = _axis(axis)

    def __call__(self, w: Any) -> Any:
        w = _array(w)
        norms = _norms(w, self.axis)
        return w * (jnp.minimum(norms, self.max_value) / (config.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class MinMaxNorm(Constraint):
    """Brings the L2 norms of vectors into [min_value, max_value].

        w <- w ((1 - rate) + rate clip(‖w‖, min, max) / ‖w‖)

    Args:
        min_value: the smallest norm, 0.0 by default; not negative.
        max_value: the largest, 1.0 by default.
        rate: how much of the way is gone at each step, in [0, 1]; 1.0 by default.
        axis: as in `MaxNorm`.

    Raises:
        ValueError: a bound is negative or above the other, or the rate is not in [0, 1].

    >>> MinMaxNorm(0.0, 1.0)(jnp.array([[3.0], [4.0]])).round(3).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | tuple[int, ...] = 0,
    ):
        self.min_value = _not_negative(self, "min_value", min_value)
        self.max_value = _not_negative(self, "max_value", max_value)
        if max_value < min_value:
            raise errors.invalid(
                "MinMaxNorm", "max_value", f"at least min_value ({min_value})", max_value
            )
        if not 0 <= rate <= 1:
            raise errors.invalid("MinMaxNorm", "rate", "in [0, 1]", rate)
        self.rate = rate
        self.axis = _axis(axis)

    def __call__(self, w: Any) -> Any:
        w = _array(w)
        norms = _norms(w, self.axis)
        inside = jnp.clip(norms, self.min_value, self.max_value)
        desired = self.rate * inside + (1 - self.rate) * norms
        return w * (desired / (config.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


class NonNeg(Constraint):
    """Negative weights become 0.

    >>> NonNeg()(jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __call__(self, w: Any) -> Any:
        return jnp.maximum(_array(w), 0)


class UnitNorm(Constraint):
    """Vectors are scaled to an L2 norm of 1.

    Args:
        axis: as in `MaxNorm`.

    >>> UnitNorm()(jnp.array([[3.0], [4.0]])).round(3).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """

    def __init__(self, axis: int | tuple[int, ...] = 0):
        self.axis = _axis(axis)

    def __call__(self, w: Any) -> Any:
        w = _array(w)
        return w / (config.epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


def _array(w: Any) -> Any:
    return w.value if isinstance(w, Variable) else jnp.asarray(w)


def _norms(w: Any, axis: int | tuple[int, ...]) -> Any:
    # A tuple comes back from a file as a list, which JAX does not take as axes.
    axis = tuple(axis) if isinstance(axis, list) else axis
    return jnp.sqrt(jnp.sum(jnp.square(w), axis=axis, keepdims=True))


def _axis(axis: Any) -> Any:
    whole = [axis] if isinstance(axis, int) else axis
    if not isinstance(whole, (list, tuple)) or not all(isinstance(i, int) for i in whole):
        raise errors.wrong_type("A norm constraint", "axis", "an integer or a tuple of them", axis)
    return axis


def _not_negative(owner: object, name: str, value: float) -> float:
    if not value >= 0:
        raise errors.invalid(type(owner).__name__, name, "a number, not negative", value)
    return value

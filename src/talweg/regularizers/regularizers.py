"""Penalties on weights, added to the loss.

L1: l1 Σ|x|        L2: l2 Σx²        orthogonal: the mean |cosine| between rows (columns)
"""

import math
from typing import Any, Self

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.variables import Variable


class Regularizer:
    """Base of regularizers: `regularizer(x)` is a scalar penalty.

    Subclass it, define `__call__` and `get_config`.

    >>> class Mean(Regularizer):
    ...     def __call__(self, x):
    ...         return jnp.abs(jnp.mean(x))
    >>> float(Mean()(jnp.array([1.0, 3.0])))
    2.0
    """

    def __call__(self, x: Any) -> Any:
        """The penalty on `x`, a scalar."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal regularizer."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_config().")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The regularizer that `get_config` described."""
        return cls(**config)


class L1L2(Regularizer):
    """l1 Σ|x| + l2 Σx².

    Args:
        l1: the weight of the absolute values, 0.0 by default; not negative, finite.
        l2: that of the squares, 0.0 by default; not negative, finite.

    Raises:
        ValueError: a weight is negative, NaN or infinite.

    >>> round(float(L1L2(0.1, 0.01)(jnp.array([1.0, -2.0]))), 4)
    0.35
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0):
        self.l1 = 0.0 if l1 is None else _checked(self, "l1", l1)
        self.l2 = 0.0 if l2 is None else _checked(self, "l2", l2)

    def __call__(self, x: Any) -> Any:
        x = _array(x)
        penalty = jnp.zeros((), x.dtype)
        if self.l1:
            penalty += self.l1 * jnp.sum(jnp.abs(x))
        if self.l2:
            penalty += self.l2 * jnp.sum(jnp.square(x))
        return penalty

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """l1 Σ|x|.

    Args:
        l1: the weight, 0.01 by default; not negative, finite.

    Raises:
        ValueError: the weight is negative, NaN or infinite.

    >>> round(float(L1(0.1)(jnp.array([1.0, -2.0]))), 4)
    0.3
    """

    def __init__(self, l1: float | None = 0.01):
        self.l1 = 0.01 if l1 is None else _checked(self, "l1", l1)

    def __call__(self, x: Any) -> Any:
        return self.l1 * jnp.sum(jnp.abs(_array(x)))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(Regularizer):
    """l2 Σx².

    Args:
        l2: the weight, 0.01 by default; not negative, finite.

    Raises:
        ValueError: the weight is negative, NaN or infinite.

    >>> round(float(L2(0.1)(jnp.array([1.0, -2.0]))), 4)
    0.5
    """

    def __init__(self, l2: float | None = 0.01):
        self.l2 = 0.01 if l2 is None else _checked(self, "l2", l2)

    def __call__(self, x: Any) -> Any:
        return self.l2 * jnp.sum(jnp.square(_array(x)))

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """factor × the mean absolute cosine between different rows (or columns) of a matrix.

    Args:
        factor: the weight, 0.01 by default; not negative, finite.
        mode: between "rows" or "columns".

    Raises:
        ValueError: the factor is negative, NaN or infinite, the mode is neither, or the
            weight is not a matrix of two rows (columns) or more; with a single one Keras
            returns NaN.

    >>> round(float(OrthogonalRegularizer(1.0)(jnp.array([[1.0, 0.0], [1.0, 1.0]]))), 4)
    0.7071
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        self.factor = _checked(self, "factor", factor)
        if mode not in ("rows", "columns"):
            raise errors.invalid("OrthogonalRegularizer", "mode", "'rows' or 'columns'", mode)
        self.mode = mode

    def __call__(self, x: Any) -> Any:
        x = _array(x)
        if x.ndim != 2:
            raise errors.invalid("OrthogonalRegularizer", "the weight", "a matrix", x.shape)
        rows = x if self.mode == "rows" else x.T
        n = rows.shape[0]
        if n < 2:
            raise errors.invalid(
                "OrthogonalRegularizer", "the weight", f"of two {self.mode} or more", x.shape
            )
        square = jnp.sum(jnp.square(rows), axis=1, keepdims=True)
        # A row of zeros has no angle: it counts 0 and gets no gradient (in Keras NaN).
        some = square > 0
        unit = rows * jnp.where(some, jax.lax.rsqrt(jnp.where(some, square, 1)), 0)
        cosines = unit @ unit.T
        off_diagonal = jnp.abs(cosines * (1 - jnp.eye(n, dtype=x.dtype)))
        return self.factor * jnp.sum(off_diagonal) / (n * (n - 1))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


def _array(x: Any) -> Any:
    return x.value if isinstance(x, Variable) else jnp.asarray(x)


def _checked(owner: object, name: str, value: Any) -> float:
    plain = isinstance(value, (int, float)) or hasattr(value, "__float__")
    number = float(value) if plain and not isinstance(value, (bool, str)) else math.nan
    if not (math.isfinite(number) and number >= 0):
        raise errors.invalid(type(owner).__name__, name, "a finite number, not negative", value)
    return number

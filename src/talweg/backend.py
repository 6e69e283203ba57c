"""Keras's `backend`: settings, and values of variables by function."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from talweg.core import names
from talweg.core.config import (
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from talweg.core.dtypes import standardize_dtype
from talweg.core.variables import Variable

__all__ = [
    "Variable",
    "backend",
    "batch_get_value",
    "batch_set_value",
    "clear_session",
    "epsilon",
    "floatx",
    "get_value",
    "image_data_format",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_value",
    "standardize_dtype",
    "variable",
]


def backend() -> str:
    """The name of what computes: "jax"."""
    return "jax"


def get_value(variable: Any) -> Any:
    """The value of a variable as NumPy; anything else as it is."""
    return variable.numpy() if isinstance(variable, Variable) else np.asarray(variable)


def set_value(variable: Variable, value: Any) -> None:
    """Set a variable, for example a learning rate; a running fit follows at the next block."""
    variable.assign(value)


def batch_get_value(variables: Iterable[Variable]) -> list[Any]:
    """The values of several variables."""
    return [get_value(variable) for variable in variables]


def batch_set_value(tuples: Iterable[tuple[Variable, Any]]) -> None:
    """Set several variables from pairs (variable, value)."""
    for variable, value in tuples:
        set_value(variable, value)


def variable(value: Any, dtype: Any = None, name: str | None = None) -> Variable:
    """A trainable variable, as Keras 2 made it."""
    return Variable(value, dtype=dtype, name=name)


def clear_session(free_memory: bool = True) -> None:
    """Start the numbering of names again."""
    names.reset()

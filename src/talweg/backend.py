"""Keras's `backend`: settings, and values of variables by function."""

import functools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import config, names
from talweg.core.config import (
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from talweg.core.dtypes import is_float, standardize_dtype
from talweg.core.variables import Variable
from talweg.ops.keras_tensor import KerasTensor

__all__ = [
    "Variable",
    "backend",
    "batch_get_value",
    "batch_set_value",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "get_value",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "result_type",
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


def result_type(*dtypes: Any) -> str:
    """The type in which values of these types are computed with each other.

    Args:
        dtypes: types; Python's `float` and `int` give way to those of arrays, None is `floatx()`.

    >>> result_type("int8", "bfloat16"), result_type("float16", float), result_type(int)
    ('bfloat16', 'float16', 'int32')
    """
    known = [config.floatx() if dtype is None else dtype for dtype in dtypes]
    arrays = [dtype for dtype in known if dtype not in (float, int)]
    if float in known and not any(map(is_float_dtype, arrays)):
        arrays.append(config.floatx())
    if int in known and not any(is_float_dtype(d) or is_int_dtype(d) for d in arrays):
        arrays.append("int32")
    if not arrays:
        return config.floatx()
    found = functools.reduce(jnp.promote_types, arrays, arrays[0])
    return standardize_dtype(jax.dtypes.canonicalize_dtype(found))


def is_float_dtype(dtype: Any) -> bool:
    """Whether `dtype` is a floating type.

    >>> is_float_dtype("bfloat16"), is_float_dtype("int32")
    (True, False)
    """
    return is_float(dtype)


def is_int_dtype(dtype: Any) -> bool:
    """Whether `dtype` is an integer type, with a sign or without.

    >>> is_int_dtype("uint8"), is_int_dtype("bool")
    (True, False)
    """
    return "int" in standardize_dtype(dtype)


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is symbolic: a tensor with a shape and a type, without values.

    >>> is_keras_tensor(KerasTensor((None, 3)))
    True
    """
    return isinstance(x, KerasTensor)


def get_uid(prefix: str = "") -> int:
    """How often this was asked for a prefix, this time included; names begin again with it.

    >>> get_uid("branch"), get_uid("branch"), get_uid("trunk")
    (1, 2, 1)
    """
    return names.count(prefix)


def clear_session(free_memory: bool = True) -> None:
    """Start the numbering of names again."""
    names.reset()

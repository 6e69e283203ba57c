"""Types of numbers: their names, the default cast, and the policy of a layer."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from talweg.core import config, errors

_PYTHON = {bool: "bool", int: "int32", float: None, str: "string"}
_KNOWN = frozenset(
    [
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "int8",
        "int16",
        "int32",
        "int64",
        "bool",
        "string",
        "complex64",
        "complex128",
    ]
)


def standardize_dtype(dtype: Any) -> str:
    """The name of a type, whatever it came as; None is `floatx()`.

    Raises:
        ValueError: the type is none that talweg computes with.
    """
    if dtype is None:
        return config.floatx()
    if dtype in _PYTHON:
        return _PYTHON[dtype] or config.floatx()
    if isinstance(dtype, str):
        name = "int32" if dtype == "int" else dtype
    elif hasattr(dtype, "name"):  # numpy, jax, ml_dtypes, tf.DType
        name = str(dtype.name)
    else:
        try:
            name = str(jnp.dtype(dtype).name)
        except TypeError:
            name = str(dtype).removeprefix("torch.")
    if name not in _KNOWN:
        raise errors.unknown("dtype", name, _KNOWN)
    return name


def is_float(dtype: Any) -> bool:
    """Whether `dtype` is a floating type, bfloat16 included."""
    return "float" in standardize_dtype(dtype)


def as_float(array: np.ndarray) -> np.ndarray:
    """Floating arrays in `floatx()`, all others as they are."""
    if np.issubdtype(array.dtype, np.floating) and array.dtype != config.floatx():
        return array.astype(jnp.dtype(config.floatx()))
    return array


class DTypePolicy:
    """What a layer computes in and what it keeps its weights in.

    Args:
        name: a dtype, or "mixed_float16" / "mixed_bfloat16": compute in the half
            type, keep weights in float32.

    >>> DTypePolicy("mixed_bfloat16").variable_dtype
    'float32'
    """

    def __init__(self, name: str):
        self.name = str(name)
        if self.name.startswith("mixed_"):
            self.compute_dtype = standardize_dtype(self.name.removeprefix("mixed_"))
            self.variable_dtype = "float32"
        else:
            self.compute_dtype = self.variable_dtype = standardize_dtype(self.name)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DTypePolicy":
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


_policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The policy that layers take when they are given none; `floatx()` unless set."""
    return _policy or DTypePolicy(config.floatx())


def set_dtype_policy(policy: str | DTypePolicy | None) -> None:
    """Set the default policy; None returns to `floatx()`."""
    global _policy
    _policy = None if policy is None else get_policy(policy)


def get_policy(identifier: Any) -> DTypePolicy:
    """A policy from a policy, its name, its serialized record, or None."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return DTypePolicy(identifier["config"]["name"])
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    return DTypePolicy(standardize_dtype(identifier))

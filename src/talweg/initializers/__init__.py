"""Initializers: the first values of weights, drawn on the host."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from talweg.core import errors
from talweg.core.serialization import Catalog
from talweg.initializers.base import Initializer, RandomInitializer, numpy_dtype
from talweg.initializers.constant import STFT, Constant, Identity, Ones, Zeros
from talweg.initializers.random import Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
from talweg.initializers.variance_scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)

constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = IdentityInitializer = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = OrthogonalInitializer = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
stft = STFTInitializer = STFT
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

__all__ = [
    "Initializer",
    "RandomInitializer",
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "STFT",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "IdentityInitializer",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "OrthogonalInitializer",
    "random_normal",
    "random_uniform",
    "stft",
    "STFTInitializer",
    "truncated_normal",
    "variance_scaling",
    "zeros",
    "get",
    "serialize",
    "deserialize",
]

_catalog = Catalog(
    "initializer",
    globals(),
    Initializer,
    aliases={
        "normal": "RandomNormal",
        "uniform": "RandomUniform",
        "one": "Ones",
        "zero": "Zeros",
    },
)


def get(identifier: Any) -> Callable[..., Any] | None:
    """An initializer from a name, a record, a class, an object or a fixed array.

    Raises:
        ValueError: the name is unknown; or, later, a fixed array is asked for in another
            shape.

    >>> get("glorot_uniform")((2, 3), dtype="float32").shape
    (2, 3)
    """
    if isinstance(identifier, (np.ndarray, np.generic, jax.Array)):
        return _fixed(identifier)
    return _catalog.get(identifier)


def _fixed(values: Any) -> Callable[..., np.ndarray]:
    def initialize(shape: Any, dtype: Any = None) -> np.ndarray:
        if tuple(shape) != tuple(values.shape):
            raise errors.invalid(
                "An array as initializer", "shape", f"{tuple(values.shape)}", tuple(shape)
            )
        return np.asarray(values).astype(numpy_dtype(dtype))

    return initialize


def serialize(initializer: Any) -> Any:
    """The record of an initializer."""
    return _catalog.serialize(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer that a record or a name describes."""
    found = _catalog.deserialize(config, custom_objects)
    return found() if isinstance(found, type) else found

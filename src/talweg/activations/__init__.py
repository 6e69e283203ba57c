"""Activations: the nonlinear functions of layers, by name."""

import types
from collections.abc import Callable, Mapping
from typing import Any

from talweg.activations.activations import (
    celu,
    elu,
    exponential,
    gelu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh,
    tanh_shrink,
    threshold,
)
from talweg.core.serialization import Catalog

hard_swish = hard_silu
swish = silu

__all__ = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
    "get",
    "serialize",
    "deserialize",
]

_catalog = Catalog("activation", globals(), types.FunctionType)


def get(identifier: Any) -> Callable[..., Any]:
    """An activation from a name, a record or a callable; None is `linear`.

    >>> get("relu") is relu, get(None) is linear
    (True, True)
    """
    return linear if identifier is None else _catalog.get(identifier)


def serialize(activation: Any) -> Any:
    """The name of an activation of this package, or the record of the user's own.

    >>> serialize(swish)
    'silu'
    """
    return _catalog.serialize(activation)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The activation that a record or a name describes."""
    return _catalog.deserialize(config, custom_objects)

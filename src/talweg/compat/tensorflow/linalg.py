"""`tf.linalg`: matrices and norms."""

# ruff: noqa: F401 (names are imported to be exported)

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from talweg import ops
from talweg.ops import (
    cholesky,
    det,
    diag,
    einsum,
    inv,
    matmul,
    solve,
    tensordot,
    trace,
)


def norm(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """The norm along `axis`, of all entries where None.

    >>> float(norm([[3.0], [4.0]]))
    5.0
    """
    if ord == "euclidean":
        return ops.sqrt(ops.sum(ops.square(tensor), axis=axis, keepdims=keepdims))
    return ops.norm(tensor if axis is not None else ops.ravel(tensor), ord, axis, keepdims)


def matvec(a: Any, b: Any, **_: Any) -> Any:
    """A matrix times a vector."""
    return ops.einsum("...ij,...j->...i", a, b)


def global_norm(t_list: Sequence[Any], name: Any = None) -> Any:
    """The joint Euclidean norm of several tensors."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(jnp.asarray(t))) for t in t_list))


def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: Any = None) -> Any:
    """Scaled down to the norm `clip_norm` where it is longer."""
    t = jnp.asarray(t)
    length = norm(t, axis=axes, keepdims=True)
    return t * clip_norm / jnp.maximum(length, clip_norm)


def clip_by_global_norm(
    t_list: Sequence[Any], clip_norm: Any, use_norm: Any = None, name: Any = None
) -> tuple[list[Any], Any]:
    """All scaled down together to the joint norm `clip_norm`; and the norm before.

    >>> float(clip_by_global_norm([[3.0, 4.0]], 1.0)[1])
    5.0
    """
    length = global_norm(t_list) if use_norm is None else use_norm
    return [jnp.asarray(t) * clip_norm / jnp.maximum(length, clip_norm) for t in t_list], length

"""Products of arrays and linear algebra."""

from typing import Any

import jax.numpy as jnp
import jax.scipy as jsp
from jax.core import Tracer

from talweg.core import errors

# Keras has it in this namespace, too.
from talweg.ops.control import jvp as jvp
from talweg.ops.keras_tensor import Tensor, op


def _product_type(*operands: Any) -> Any:
    """int32 for products of int8 matrices, which would overflow; else JAX's choice."""
    return jnp.int32 if all(x.dtype == jnp.int8 for x in operands) else None


@op
def matmul(x1: Tensor, x2: Tensor) -> Any:
    """The matrix product; leading axes are batches.

    >>> matmul([[1.0, 2.0]], [[3.0], [4.0]]).tolist()
    [[11.0]]
    """
    x1, x2 = jnp.asarray(x1), jnp.asarray(x2)
    return jnp.matmul(x1, x2, preferred_element_type=_product_type(x1, x2))


@op
def einsum(subscripts: str, *operands: Tensor, **kwargs: Any) -> Any:
    """Sums of products in Einstein's notation.

    >>> einsum("ij,j->i", [[1.0, 2.0]], [3.0, 4.0]).tolist()
    [11.0]
    """
    arrays = [jnp.asarray(x) for x in operands]
    kwargs.setdefault("preferred_element_type", _product_type(*arrays))
    return jnp.einsum(subscripts, *arrays, **kwargs)


@op
def dot(x1: Tensor, x2: Tensor) -> Any:
    """The product over the last axis of x1 and the last but one of x2."""
    return jnp.dot(x1, x2)


@op
def tensordot(x1: Tensor, x2: Tensor, axes: Any = 2) -> Any:
    """The product over the given axes."""
    return jnp.tensordot(x1, x2, axes)


@op
def inner(x1: Tensor, x2: Tensor) -> Any:
    """The product over both last axes."""
    return jnp.inner(x1, x2)


@op
def outer(x1: Tensor, x2: Tensor) -> Any:
    """All products of two flattened arrays."""
    return jnp.outer(x1, x2)


@op
def vdot(x1: Tensor, x2: Tensor) -> Any:
    """The product of two flattened arrays, the first conjugated."""
    return jnp.vdot(x1, x2)


@op
def kron(x1: Tensor, x2: Tensor) -> Any:
    """The Kronecker product."""
    return jnp.kron(x1, x2)


@op
def cross(
    x1: Tensor,
    x2: Tensor,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Any:
    """The cross product."""
    return jnp.cross(x1, x2, axisa, axisb, axisc, axis)


@op
def trace(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of the diagonal."""
    return jnp.trace(x, offset, axis1, axis2)


@op
def cdist(x: Tensor, y: Tensor) -> Any:
    """The Euclidean distances between rows of x and rows of y.

    >>> cdist([[0.0, 0.0]], [[3.0, 4.0]]).tolist()
    [[5.0]]
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    return jnp.sqrt(jnp.sum(jnp.square(x[..., :, None, :] - y[..., None, :, :]), axis=-1))


@op
def norm(x: Tensor, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of vectors or matrices along `axis`.

    >>> float(norm([3.0, 4.0]))
    5.0
    """
    return jnp.linalg.norm(x, ord, tuple(axis) if isinstance(axis, list) else axis, keepdims)


@op
def cholesky(x: Tensor, upper: bool = False) -> Any:
    """The triangular L with x = L Lᵀ (its transpose where `upper`).

    Raises:
        ValueError: outside a trace, x is not positive definite.
    """
    _require_square("cholesky", x)
    factor = jnp.linalg.cholesky(x, upper=upper)
    if not isinstance(factor, Tracer) and bool(jnp.isnan(factor).any()):
        raise errors.invalid("cholesky", "x", "positive definite", x)
    return factor


@op
def cholesky_inverse(x: Tensor, upper: bool = False) -> Any:
    """The inverse of the matrix whose Cholesky factor is x."""
    _require_square("cholesky_inverse", x)
    identity = jnp.broadcast_to(jnp.eye(x.shape[-1], dtype=x.dtype), x.shape)
    inverse = jsp.linalg.solve_triangular(x, identity, lower=not upper)
    return inverse @ inverse.mT if upper else inverse.mT @ inverse


def _require_square(owner: str, x: Any) -> None:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise errors.invalid(owner, "x", "square matrices, of shape (…, n, n)", x.shape)


@op
def det(x: Tensor) -> Any:
    """The determinant."""
    return jnp.linalg.det(x)


@op
def slogdet(x: Tensor) -> Any:
    """The sign and the logarithm of the absolute value of the determinant."""
    return tuple(jnp.linalg.slogdet(x))


@op
def logdet(x: Tensor) -> Any:
    """The logarithm of the absolute value of the determinant."""
    return jnp.linalg.slogdet(x)[1]


@op
def eig(x: Tensor) -> Any:
    """The eigenvalues and eigenvectors (on the processor only)."""
    return tuple(jnp.linalg.eig(x))


@op
def eigh(x: Tensor) -> Any:
    """The eigenvalues, ascending, and eigenvectors of a symmetric matrix."""
    _require_square("eigh", x)
    return tuple(jnp.linalg.eigh(x))


@op
def inv(x: Tensor) -> Any:
    """The inverse."""
    return jnp.linalg.inv(x)


@op
def pinv(x: Tensor, rcond: float | None = None) -> Any:
    """The pseudo-inverse."""
    return jnp.linalg.pinv(x, rcond)


@op
def lstsq(a: Tensor, b: Tensor, rcond: float | None = None) -> Any:
    """The x of least ‖a x - b‖."""
    return jnp.linalg.lstsq(a, b, rcond)[0]


@op
def lu_factor(x: Tensor) -> Any:
    """The LU decomposition with its pivots."""
    return tuple(jsp.linalg.lu_factor(x))


@op
def matrix_rank(x: Tensor, tol: float | None = None) -> Any:
    """The rank."""
    if x.ndim < 2:
        raise errors.invalid("matrix_rank", "x", "matrices, of shape (…, m, n)", x.shape)
    return jnp.linalg.matrix_rank(x, tol).astype("int32")


@op
def qr(x: Tensor, mode: str = "reduced") -> Any:
    """The orthogonal Q and the upper triangular R with x = Q R."""
    if mode not in ("reduced", "complete"):
        raise errors.invalid("qr", "mode", "'reduced' or 'complete'", mode)
    return tuple(jnp.linalg.qr(x, mode))


@op
def solve(a: Tensor, b: Tensor) -> Any:
    """The x with a x = b, where b is (…, n, k), or (…, n) with one axis less than a."""
    if b.ndim == a.ndim - 1:
        return jnp.linalg.solve(a, b[..., None])[..., 0]
    return jnp.linalg.solve(a, b)


@op
def solve_triangular(a: Tensor, b: Tensor, lower: bool = False) -> Any:
    """The x with a x = b, for a triangular a."""
    return jsp.linalg.solve_triangular(a, b, lower=lower)


@op
def svd(x: Tensor, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """U, the singular values S, and Vᵀ with x = U S Vᵀ; S alone without `compute_uv`."""
    parts = jnp.linalg.svd(x, full_matrices, compute_uv)
    return tuple(parts) if compute_uv else parts

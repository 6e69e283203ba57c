"""What the matrix methods share: tensors seen axis by axis."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

# The most axes that a tensor is preconditioned along; of more, the first are merged.
AXES = 5
# Below so many numbers, a CPU multiplies matrices of one shape faster together; above, one
# product fills it, and a batch is slower by half.
SMALL = 2**15
# A root or a basis of products in TF32 or bfloat16 would be that of another matrix.
_PRECISION = jax.lax.Precision.HIGHEST


def axes_of(shape: Sequence[int], limit: int | None = None) -> tuple[int, ...]:
    """The shape that a tensor is preconditioned in: without axes of size 1, at most `AXES`.

    Args:
        shape: the shape of the tensor.
        limit: merge neighbouring axes while their product is at most this. The last axis, the
            outputs of a layer, stays by itself.

    >>> axes_of((3, 3, 64, 128), limit=1000)
    (576, 128)
    >>> axes_of((3, 1, 4))
    (3, 4)
    """
    sizes = [size for size in shape if size > 1]
    if limit is not None and len(sizes) > 2:
        merged = sizes[:1]
        for size in sizes[1:-1]:
            if merged[-1] * size <= limit:
                merged[-1] *= size
            else:
                merged.append(size)
        sizes = [*merged, sizes[-1]]
    while len(sizes) > AXES:
        sizes[:2] = [sizes[0] * sizes[1]]
    return tuple(sizes)


def gram(x: jax.Array, axis: int, batch: int = 0) -> jax.Array:
    """`X Xᵀ` of the tensor unfolded along one axis, of which the first `batch` do not count."""
    rows = _unfolded(x, axis, batch)
    rows = rows if axis == 0 else written_out(rows)
    shared, last = tuple(range(batch)), (batch + 1,)
    return jax.lax.dot_general(rows, rows, ((last, last), (shared, shared)), precision=_PRECISION)


def times(
    x: jax.Array, matrix: jax.Array, axis: int, batch: int = 0, transposed: bool = False
) -> jax.Array:
    """`M`, or `Mᵀ`, times the tensor unfolded along one axis; `batch` as in `gram`."""
    if axis + batch == x.ndim - 1 and axis > 0:
        shared = tuple(range(batch))
        dims = (((x.ndim - 1,), (batch + (not transposed),)), (shared, shared))
        return jax.lax.dot_general(x, matrix, dims, precision=_PRECISION)
    left = written_out(matrix.mT) if transposed else matrix
    product = jnp.matmul(left, _unfolded(x, axis, batch), precision=_PRECISION)
    moved = jnp.moveaxis(x, axis + batch, batch).shape
    return jnp.moveaxis(product.reshape(moved), batch, axis + batch)


def _unfolded(x: jax.Array, axis: int, batch: int) -> jax.Array:
    """The rows of a tensor along one axis, over the leading `batch` axes."""
    moved = jnp.moveaxis(x, axis + batch, batch)
    return moved.reshape(*moved.shape[: batch + 1], -1)


def written_out(x: jax.Array) -> jax.Array:
    """A transposed matrix as an array of its own, on a CPU.

    XLA would read the other one across: its product of two matrices of 512 then takes 1.4 ms in
    place of 0.6, and to write one anew takes 0.1 (jaxlib 0.10.2, 2 cores). What is not
    transposed it copies all the same.
    """
    return jax.lax.optimization_barrier(x) if jax.default_backend() == "cpu" else x


def by_shape(
    function: Callable[..., Any], *columns: Sequence[jax.Array], always: bool = False
) -> list[Any]:
    """`function` of each row of the columns; rows of one shape go through it in one batch.

    Args:
        function: takes arrays with any leading axes; returns such an array, or a tuple.
        columns: parallel lists of arrays.
        always: batch large matrices on a CPU, too: eigenvalues gain by it, products do not.
    """
    alone = not always and jax.default_backend() == "cpu"
    groups: dict[Any, list[int]] = {}
    for i, row in enumerate(zip(*columns, strict=True)):
        own = i if alone and row[0].size > SMALL else None
        key = (own, *((array.shape, array.dtype) for array in row))
        groups.setdefault(key, []).append(i)
    results: list[Any] = [None] * len(columns[0])
    for members in groups.values():
        if len(members) == 1:
            results[members[0]] = function(*(column[members[0]] for column in columns))
            continue
        together = function(*(jnp.stack([column[i] for i in members]) for column in columns))
        for k, i in enumerate(members):
            results[i] = jax.tree.map(lambda array, k=k: array[k], together)
    return results


def decomposed(
    function: Callable[..., Any], *columns: Sequence[jax.Array],
    after: Any = (), always: bool = False,
) -> list[Any]:  # fmt: skip
    """`by_shape` for a `function` that decomposes matrices, in LAPACK: batches take turns.

    Two batches at once can wait for each other for ever on a CPU: each calls the threads that the
    other holds (jaxlib 0.10.2). A barrier does not part them, since XLA drops it before it runs the
    program; a sum with what is 0 for any number it keeps. A matrix alone calls no threads and waits
    for nobody; those of a population go one by one.

    Args:
        function: takes arrays with any leading axes; returns such an array, or a tuple.
        columns: parallel lists of arrays, those of the first matrices.
        after: what earlier decompositions made.
        always: as in `by_shape`; single matrices then take their turn as well.
    """
    by_itself = jax.custom_batching.sequential_vmap(function)
    last = jax.tree.leaves(after)

    def in_turn(first: jax.Array, *others: jax.Array) -> Any:
        nonlocal last
        if first.ndim == 2 and not always:
            return by_itself(first, *others)
        if last:
            number = jnp.ravel(last[-1])[0]
            first += (jnp.isnan(number) & (number < 0)).astype(first.dtype)
        made = function(first, *others)
        last = jax.tree.leaves(made)[:1]
        return made

    return by_shape(in_turn, *columns, always=always)

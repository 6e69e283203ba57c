"""NumPy's functions that reshape, join, split and index arrays."""

import math
import operator
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.ops.core import shape
from talweg.ops.keras_tensor import KerasTensor, Tensor, op

Shape = int | Sequence[int]


@op
def reshape(x: Tensor, newshape: Shape) -> Any:
    """x in another shape; -1 stands for what is left over.

    A symbolic x of unknown size is taken to fit.

    Raises:
        ValueError: a symbolic x has another number of entries; -1 is given twice.

    >>> reshape([[1, 2], [3, 4]], (-1,)).tolist()
    [1, 2, 3, 4]
    """
    return jnp.reshape(x, newshape)


def _reshaped(x: KerasTensor, newshape: Shape) -> KerasTensor:
    sizes = [newshape] if isinstance(newshape, (int, np.integer)) else list(newshape)
    if None in sizes:
        raise errors.wrong_type("reshape", "newshape", "integers, -1 what is unknown", newshape)
    sizes = [operator.index(size) for size in sizes]
    if sizes.count(-1) > 1:
        raise errors.invalid("reshape", "newshape", "of at most one -1", newshape)
    known = math.prod(size for size in sizes if size != -1)
    total = None if None in x.shape else math.prod(size for size in x.shape if size is not None)
    fits = total == known or (-1 in sizes and total is not None and known and total % known == 0)
    if total is not None and not fits:
        raise errors.invalid(
            "reshape", "newshape", f"for the {total} entries of {x.shape}", newshape
        )
    left = None if total is None or not known else total // known
    return KerasTensor([left if size == -1 else size for size in sizes], x.dtype)


reshape.output_spec = _reshaped  # pyright: ignore[reportFunctionMemberAccess]


@op
def transpose(x: Tensor, axes: Sequence[int] | None = None) -> Any:
    """x with its axes in another order, reversed by default."""
    return jnp.transpose(x, axes)


@op
def squeeze(x: Tensor, axis: int | Sequence[int] | None = None) -> Any:
    """x without its axes of size 1."""
    return jnp.squeeze(x, tuple(axis) if isinstance(axis, list) else axis)


@op
def expand_dims(x: Tensor, axis: int | Sequence[int]) -> Any:
    """x with a new axis of size 1."""
    return jnp.expand_dims(x, axis)


@op
def ravel(x: Tensor) -> Any:
    """x as a vector."""
    return jnp.ravel(x)


@op
def moveaxis(x: Tensor, source: Any, destination: Any) -> Any:
    """x with axes moved from `source` to `destination`."""
    return jnp.moveaxis(x, source, destination)


@op
def swapaxes(x: Tensor, axis1: int, axis2: int) -> Any:
    """x with two axes exchanged."""
    return jnp.swapaxes(x, axis1, axis2)


@op
def broadcast_to(x: Tensor, shape: Sequence[int]) -> Any:
    """x repeated to `shape`."""
    return jnp.broadcast_to(x, shape)


@op
def tile(x: Tensor, repeats: Any) -> Any:
    """x repeated as a whole along each axis."""
    return jnp.tile(x, repeats)


@op
def repeat(x: Tensor, repeats: Any, axis: int | None = None) -> Any:
    """Each slice along `axis` repeated in place."""
    if not isinstance(repeats, (list, tuple, np.ndarray)):
        return jnp.repeat(x, repeats, axis)
    # Counts that are known stay known while the call is traced: the shape follows from them.
    counts = np.asarray(repeats)
    if counts.size == 1:
        return jnp.repeat(x, int(counts.item()), axis)
    return jnp.repeat(x, counts, axis, total_repeat_length=int(counts.sum()))


@op
def flip(x: Tensor, axis: Any = None) -> Any:
    """x reversed along `axis`, along all where None."""
    return jnp.flip(x, axis)


@op
def fliplr(x: Tensor) -> Any:
    """x reversed along its second axis."""
    return jnp.fliplr(x)


@op
def flipud(x: Tensor) -> Any:
    """x reversed along its first axis."""
    return jnp.flipud(x)


@op
def roll(x: Tensor, shift: Any, axis: Any = None) -> Any:
    """x shifted along `axis`, what leaves on one side coming in on the other."""
    return jnp.roll(x, shift, axis)


@op
def rot90(array: Tensor, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Turned by k quarters in the plane of `axes`."""
    return jnp.rot90(array, k, axes)


@op
def pad(x: Tensor, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """x with so many entries added before and after along each axis."""
    if constant_values is None:
        return jnp.pad(x, pad_width, mode)
    if mode != "constant":
        raise errors.invalid("pad", "mode", "'constant' with constant_values", mode)
    return jnp.pad(x, pad_width, mode, constant_values=constant_values)


def _arrays(xs: Any) -> Any:
    return [jnp.asarray(x) for x in xs]


@op
def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """The arrays one after the other along `axis`.

    >>> concatenate([[1, 2], [3]]).tolist()
    [1, 2, 3]
    """
    return jnp.concatenate(_arrays(xs), axis)


@op
def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """The arrays along a new axis."""
    return jnp.stack(_arrays(x), axis)


@op
def hstack(xs: Sequence[Any]) -> Any:
    """The arrays side by side."""
    return jnp.hstack(_arrays(xs))


@op
def vstack(xs: Sequence[Any]) -> Any:
    """The arrays on top of each other."""
    return jnp.vstack(_arrays(xs))


@op
def dstack(xs: Sequence[Any]) -> Any:
    """The arrays behind each other."""
    return jnp.dstack(_arrays(xs))


@op
def append(x1: Tensor, x2: Tensor, axis: int | None = None) -> Any:
    """x1, then x2 along `axis`; flattened where None."""
    return jnp.append(x1, x2, axis)


@op
def split(x: Tensor, indices_or_sections: Any, axis: int = 0) -> Any:
    """x cut along `axis`: into equal parts, or at indices."""
    return list(jnp.split(x, indices_or_sections, axis))


@op
def array_split(x: Tensor, indices_or_sections: Any, axis: int = 0) -> Any:
    """x cut along `axis` into parts that may differ by one."""
    return list(jnp.array_split(x, indices_or_sections, axis))


@op
def hsplit(x: Tensor, indices_or_sections: Any) -> Any:
    """x cut side by side."""
    return jnp.hsplit(x, indices_or_sections)


@op
def vsplit(x: Tensor, indices_or_sections: Any) -> Any:
    """x cut from top to bottom."""
    return jnp.vsplit(x, indices_or_sections)


@op
def dsplit(x: Tensor, indices_or_sections: Any) -> Any:
    """x cut from front to back."""
    return jnp.dsplit(x, indices_or_sections)


@op
def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Any:
    """The slices of x at `indices` along `axis`; outside the range they are NaN.

    >>> take([10, 20, 30], [2, 0]).tolist()
    [30, 10]
    """
    return jnp.take(x, jnp.asarray(indices), axis)


@op
def take_along_axis(x: Tensor, indices: Tensor, axis: int | None = None) -> Any:
    """The entries of x at `indices` along `axis`, one index per entry."""
    return jnp.take_along_axis(x, indices, axis)


@op
def unravel_index(indices: Tensor, shape: Sequence[int]) -> Any:
    """The coordinates in `shape` of flat indices."""
    return jnp.unravel_index(indices, shape)


@op
def diag(x: Tensor, k: int = 0) -> Any:
    """The k-th diagonal of a matrix, or the matrix with that diagonal."""
    return jnp.diag(x, k)


@op
def diagflat(x: Tensor, k: int = 0) -> Any:
    """The matrix with x, flattened, as its k-th diagonal."""
    return jnp.diagflat(x, k)


@op
def diagonal(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonals of the matrices along two axes."""
    return jnp.diagonal(x, offset, axis1, axis2)


@op
def tril(x: Tensor, k: int = 0) -> Any:
    """x with zeros above the k-th diagonal."""
    return jnp.tril(x, k)


@op
def triu(x: Tensor, k: int = 0) -> Any:
    """x with zeros below the k-th diagonal."""
    return jnp.triu(x, k)


def size(x: Any) -> int | None:
    """The number of entries; None where it is not known.

    >>> size([[1, 2], [3, 4]])
    4
    """
    known = [size for size in shape(x) if size is not None]
    return math.prod(known) if len(known) == len(shape(x)) else None

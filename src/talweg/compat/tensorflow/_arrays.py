"""Making, joining, cutting and indexing tensors, with TensorFlow's arguments."""

import builtins
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from talweg import ops
from talweg.core.errors import invalid
from talweg.data.elements import worn


def convert_to_tensor(
    value: Any, dtype: Any = None, dtype_hint: Any = None, name: Any = None
) -> Any:
    """A tensor from numbers, lists, arrays and variables; text stays with NumPy.

    >>> convert_to_tensor([["a"], ["b"]]).shape
    (2, 1)
    """
    return text_of(value) if is_text(value) else ops.convert_to_tensor(value, dtype)


def is_text(value: Any) -> bool:
    """Whether a value is text or an array or list of texts, which stay on the host."""
    if isinstance(value, (list, tuple)):
        return len(value) > 0 and is_text(value[0])
    kind = getattr(value, "dtype", None)
    return isinstance(value, (str, bytes)) or getattr(kind, "kind", "") in ("O", "U", "S", "T")


def text_of(value: Any) -> Any:
    """Texts as an array that has the methods of a tensor."""
    array = np.asarray(value)
    return worn(array if array.dtype.kind in "US" and array.ndim == 0 else array.astype(object))


def reshape(tensor: Any, shape: Sequence[int], name: Any = None) -> Any:
    """The same entries in another shape; one size may be -1."""
    sizes = tuple(int(size) for size in shape)
    return text_of(tensor).reshape(sizes) if is_text(tensor) else ops.reshape(tensor, sizes)


def concat(values: Sequence[Any], axis: int, name: Any = None) -> Any:
    """The tensors one after the other along `axis`."""
    return ops.concatenate(values, axis)


def stack(values: Sequence[Any], axis: int = 0, name: Any = None) -> Any:
    """The tensors side by side along a new `axis`."""
    return ops.stack(values, axis)


def unstack(value: Any, num: int | None = None, axis: int = 0, name: Any = None) -> Any:
    """The slices along `axis`, as a list."""
    return ops.unstack(value, num, axis)


def split(
    value: Any, num_or_size_splits: Any, axis: int = 0, num: Any = None, name: Any = None
) -> Any:
    """Equal parts along `axis`, or parts of the sizes given (one may be -1).

    >>> [part.tolist() for part in split([1, 2, 3], [1, 2])]
    [[1], [2, 3]]
    """
    if np.ndim(num_or_size_splits) == 0:
        return ops.split(value, int(num_or_size_splits), axis)
    sizes = [int(size) for size in num_or_size_splits]
    if -1 in sizes:
        sizes[sizes.index(-1)] = shape(value)[axis] - sum(sizes) - 1
    return ops.split(value, np.cumsum(sizes)[:-1].tolist(), axis)


def tile(input: Any, multiples: Any, name: Any = None) -> Any:
    """The tensor repeated so many times along each axis."""
    return ops.tile(input, multiples)


def repeat(input: Any, repeats: Any, axis: int | None = None, name: Any = None) -> Any:
    """Each slice along `axis` repeated in place."""
    return ops.repeat(input, repeats, axis)


def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: Any = None) -> Any:
    """The axes in another order, reversed by default."""
    return ops.transpose(ops.conj(a) if conjugate else a, perm)


def expand_dims(input: Any, axis: int, name: Any = None) -> Any:
    """A new axis of size 1."""
    if is_text(input):
        return worn(np.expand_dims(text_of(input), axis))
    return ops.expand_dims(input, axis)


def squeeze(input: Any, axis: Any = None, name: Any = None) -> Any:
    """Without its axes of size 1."""
    return text_of(input).squeeze(axis) if is_text(input) else ops.squeeze(input, axis)


def reverse(tensor: Any, axis: Any, name: Any = None) -> Any:
    """Reversed along each of the axes listed."""
    return ops.flip(tensor, tuple(axis) if isinstance(axis, (list, tuple)) else axis)


def roll(input: Any, shift: Any, axis: Any, name: Any = None) -> Any:
    """Entries moved on along `axis`, the last ones to the front."""
    return ops.roll(input, shift, axis)


def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: Any = None
) -> Any:
    """So many entries added before and after along each axis."""
    if mode.upper() == "CONSTANT":
        return ops.pad(tensor, paddings, "constant", constant_values)
    return ops.pad(tensor, paddings, mode.lower())


def gather(
    params: Any, indices: Any, validate_indices: Any = None, axis: int | None = None,
    batch_dims: int = 0, name: Any = None,
) -> Any:  # fmt: skip
    """The slices at `indices` along `axis`, the first by default.

    Raises:
        ValueError: `batch_dims` other than 0.
    """
    if batch_dims:
        raise invalid(
            "tf.gather", "batch_dims", "0", batch_dims, "Write tf.keras.ops.take_along_axis."
        )
    return ops.take(params, indices, axis or 0)


def boolean_mask(tensor: Any, mask: Any, axis: int | None = None, name: Any = None) -> Any:
    """The entries where `mask` holds; not inside a compiled step, where sizes are fixed.

    >>> boolean_mask([1, 2, 3], [True, False, True]).tolist()
    [1, 3]
    """
    index = (builtins.slice(None),) * (axis or 0)
    return jnp.asarray(tensor)[(*index, np.asarray(mask, bool))]


def where(condition: Any, x: Any = None, y: Any = None, name: Any = None) -> Any:
    """x where `condition` holds, y elsewhere; without them the indices, a row each."""
    if x is None and y is None:
        return jnp.stack(jnp.nonzero(jnp.asarray(condition)), axis=-1)
    return ops.where(condition, x, y)


def one_hot(
    indices: Any, depth: int, on_value: Any = 1, off_value: Any = 0, axis: int | None = None,
    dtype: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """`on_value` at the place of the index along a new `axis`, `off_value` elsewhere.

    >>> one_hot([1], 2).tolist()
    [[0.0, 1.0]]
    """
    code = ops.one_hot(indices, int(depth), -1 if axis is None else axis, dtype or "float32")
    return code if (on_value, off_value) == (1, 0) else off_value + code * (on_value - off_value)


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: Any = None) -> Any:
    """Cut to the interval."""
    return ops.clip(t, clip_value_min, clip_value_max)


def broadcast_to(input: Any, shape: Any, name: Any = None) -> Any:
    """Repeated along axes of size 1 up to `shape`."""
    return ops.broadcast_to(input, tuple(shape))


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: Any = None) -> Any:
    """The entries along `axis` in order."""
    ascending = ops.sort(values, axis)
    return ascending if direction.upper() == "ASCENDING" else ops.flip(ascending, axis)


def unique(x: Any, out_idx: Any = "int32", name: Any = None) -> tuple[Any, Any]:
    """The distinct values in the order of their coming, and for each entry which it is.

    >>> [part.tolist() for part in unique([3, 1, 3])]
    [[3, 1], [0, 1, 0]]
    """
    values, first, index = np.unique(np.asarray(x), return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.argsort(order)
    return jnp.asarray(values[order]), jnp.asarray(place[index.reshape(-1)], dtype="int32")


def slice(input_: Any, begin: Any, size: Any, name: Any = None) -> Any:
    """The block of `size` that begins at `begin`; -1 takes all that is left."""
    sizes = [
        whole - int(first) if int(part) == -1 else int(part)
        for part, first, whole in zip(size, begin, shape(input_), strict=True)
    ]
    return ops.slice(input_, begin, sizes)


def shape(input: Any, out_type: Any = None, name: Any = None) -> tuple[Any, ...]:
    """The sizes: a tuple, None where one is not known."""
    return ops.shape(input)


def rank(input: Any, name: Any = None) -> int:
    """The number of axes."""
    return len(shape(input))


def size(input: Any, out_type: Any = None, name: Any = None) -> Any:
    """The number of entries."""
    return ops.size(input)


def identity(input: Any, name: Any = None) -> Any:
    """The tensor itself."""
    return ops.convert_to_tensor(input)


def zeros(shape: Any, dtype: Any = "float32", name: Any = None) -> Any:
    """Zeros."""
    return ops.zeros(shape, dtype)


def ones(shape: Any, dtype: Any = "float32", name: Any = None) -> Any:
    """Ones."""
    return ops.ones(shape, dtype)


def zeros_like(input: Any, dtype: Any = None, name: Any = None) -> Any:
    """Zeros in the shape of another tensor."""
    return ops.zeros_like(input, dtype)


def ones_like(input: Any, dtype: Any = None, name: Any = None) -> Any:
    """Ones in the shape of another tensor."""
    return ops.ones_like(input, dtype)


def fill(dims: Any, value: Any, name: Any = None) -> Any:
    """One value everywhere."""
    return ops.full(tuple(dims), value)


def eye(
    num_rows: int,
    num_columns: int | None = None,
    batch_shape: Any = None,
    dtype: Any = "float32",
    name: Any = None,
) -> Any:
    """The identity matrix."""
    matrix = ops.eye(num_rows, num_columns, dtype=dtype)
    return (
        matrix if batch_shape is None else ops.broadcast_to(matrix, (*batch_shape, *matrix.shape))
    )


def range(
    start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: Any = None
) -> Any:
    """Numbers from `start` (0 where only one is given) up to `limit`, not included."""
    first, last = (0, start) if limit is None else (start, limit)
    return ops.arange(first, last, delta, dtype)


def linspace(start: Any, stop: Any, num: int, name: Any = None, axis: int = 0) -> Any:
    """`num` numbers from `start` to `stop`, both included."""
    return ops.linspace(start, stop, num, axis=axis)


def meshgrid(*arrays: Any, indexing: str = "xy", name: Any = None) -> Any:
    """The coordinates of a grid."""
    return ops.meshgrid(*arrays, indexing=indexing)

"""Adaptive pooling: windows sized for the output that is wanted."""

import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.config import standardize_data_format
from talweg.layers.arguments import fields, integers
from talweg.layers.base import Layer
from talweg.layers.input_spec import InputSpec


class AdaptivePooling(Layer):
    """Base of adaptive pooling: window i of m over n entries is ⌊i n/m⌋ … ⌈(i+1) n/m⌉ - 1.

    Args:
        output_size: the spatial shape of the output; one integer for all axes.
        data_format: "channels_last" or "channels_first"; None is the process's setting.
    """

    rank: ClassVar[int]

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.output_size = integers(type(self).__name__, "output_size", output_size, self.rank)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._build_at_init()

    def reduce(self, x: Any, axis: int) -> Any:
        """One number for the entries along `axis`."""
        raise NotImplementedError

    def reduce_uneven(self, x: Any, axis: int, starts: Any, ends: Any) -> Any:
        """One number for each window along `axis`; windows may overlap."""
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        first = 1 if self.data_format == "channels_last" else 2
        for axis, count in enumerate(self.output_size, first):
            size = inputs.shape[axis]
            if size % count == 0:
                before, after = inputs.shape[:axis], inputs.shape[axis + 1 :]
                folded = inputs.reshape(*before, count, size // count, *after)
                inputs = self.reduce(folded, axis + 1)
                continue
            places = np.arange(count)
            starts, ends = places * size // count, -(-(places + 1) * size // count)
            inputs = self.reduce_uneven(inputs, axis, starts, ends)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.data_format == "channels_last":
            return input_shape[0], *self.output_size, input_shape[-1]
        return *input_shape[:2], *self.output_size

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "output_size", "data_format")}


class AdaptiveAveragePooling(AdaptivePooling):
    """Base of adaptive means: a product with the matrix of each window's weights."""

    def reduce(self, x: Any, axis: int) -> Any:
        return jnp.mean(x, axis)

    def reduce_uneven(self, x: Any, axis: int, starts: Any, ends: Any) -> Any:
        entries = np.arange(x.shape[axis])
        inside = (entries >= starts[:, None]) & (entries < ends[:, None])
        weights = jnp.asarray(inside / (ends - starts)[:, None], x.dtype)
        return jnp.moveaxis(jnp.tensordot(x, weights, ((axis,), (1,))), -1, axis)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _largest(x: Any, axis: int) -> Any:
    """`jnp.max`; its gradient goes to the first of equals, as Keras's does."""
    return jnp.max(x, axis)


@_largest.defjvp
def _to_the_first(axis: int, primals: Any, tangents: Any) -> Any:
    (x,), (moved,) = primals, tangents
    first = jnp.argmax(x, axis, keepdims=True)
    chosen = jax.lax.broadcasted_iota(first.dtype, x.shape, axis) == first
    return _largest(x, axis), jnp.sum(jnp.where(chosen, moved, 0), axis)


class AdaptiveMaxPooling(AdaptivePooling):
    """Base of adaptive maxima: shorter windows see their last entry again."""

    def reduce(self, x: Any, axis: int) -> Any:
        return _largest(x, axis)

    def reduce_uneven(self, x: Any, axis: int, starts: Any, ends: Any) -> Any:
        offsets = np.arange(np.max(ends - starts))
        seen = np.minimum(starts[:, None] + offsets, ends[:, None] - 1)
        return _largest(jnp.take(x, seen, axis), axis + 1)


class AdaptiveAveragePooling1D(AdaptiveAveragePooling):
    """The means of `output_size` windows of a sequence.

    Args: as of `AdaptiveAveragePooling2D`, with one axis.

    >>> import numpy as np
    >>> AdaptiveAveragePooling1D(2)(np.array([[[1.0], [2.0], [6.0]]])).tolist()
    [[[1.5], [4.0]]]
    """

    rank = 1


class AdaptiveAveragePooling2D(AdaptiveAveragePooling):
    """The means of windows of an image, as many as the output has places.

    Window i of m over n entries goes from ⌊i n/m⌋ up to ⌈(i + 1) n/m⌉; windows overlap
    where m does not divide n.

    Args:
        output_size: rows and columns of the output, or one integer for both.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: `output_size` is not one or as many positive integers as axes.

    >>> import numpy as np
    >>> AdaptiveAveragePooling2D((3, 4))(np.ones((2, 7, 9, 3))).shape
    (2, 3, 4, 3)
    """

    rank = 2


class AdaptiveAveragePooling3D(AdaptiveAveragePooling):
    """The means of windows of a volume.

    Args: as of `AdaptiveAveragePooling2D`, with three axes.

    >>> import numpy as np
    >>> AdaptiveAveragePooling3D(2)(np.ones((2, 4, 5, 6, 3))).shape
    (2, 2, 2, 2, 3)
    """

    rank = 3


class AdaptiveMaxPooling1D(AdaptiveMaxPooling):
    """The largest of each of `output_size` windows of a sequence.

    Args: as of `AdaptiveAveragePooling2D`, with one axis.

    >>> import numpy as np
    >>> AdaptiveMaxPooling1D(2)(np.array([[[1.0], [2.0], [6.0]]])).tolist()
    [[[2.0], [6.0]]]
    """

    rank = 1


class AdaptiveMaxPooling2D(AdaptiveMaxPooling):
    """The largest of each window of an image, as many as the output has places.

    Where several entries of a window are the largest, the first has the gradient, as in Keras.

    Args: as of `AdaptiveAveragePooling2D`.

    >>> import numpy as np
    >>> AdaptiveMaxPooling2D((3, 4))(np.ones((2, 7, 9, 3))).shape
    (2, 3, 4, 3)
    """

    rank = 2


class AdaptiveMaxPooling3D(AdaptiveMaxPooling):
    """The largest of each window of a volume.

    Args: as of `AdaptiveAveragePooling2D`, with three axes.

    >>> import numpy as np
    >>> AdaptiveMaxPooling3D(2)(np.ones((2, 4, 5, 6, 3))).shape
    (2, 2, 2, 2, 3)
    """

    rank = 3

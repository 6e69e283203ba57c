"""Resizing: larger images and sequences, by zeros around or by repetition within."""

from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.config import standardize_data_format
from talweg.layers.arguments import choice, fields, integer, integers
from talweg.layers.base import Layer
from talweg.layers.input_spec import InputSpec


class ZeroPadding2D(Layer):
    """Zeros around images.

    Args:
        padding: rows and columns on each side: one integer, `(rows, columns)`, or
            `((top, bottom), (left, right))`.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: `padding` is none of the three, or negative.

    >>> import numpy as np
    >>> ZeroPadding2D(((1, 0), (2, 2)))(np.ones((1, 4, 4, 3))).shape
    (1, 5, 8, 3)
    """

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        pair = padding if isinstance(padding, (list, tuple)) else (padding, padding)
        if len(pair) != 2:
            raise errors.invalid("ZeroPadding2D", "padding", "an integer or two entries", padding)
        self.padding = tuple(
            integers("ZeroPadding2D", "each entry of padding", side, 2, minimum=0) for side in pair
        )
        self.input_spec = InputSpec(ndim=4)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        around = ((0, 0), *self.padding, (0, 0))
        if self.data_format == "channels_first":
            around = ((0, 0), (0, 0), *self.padding)
        return jnp.pad(inputs, around)

    def compute_output_shape(self, input_shape: Any) -> Any:
        first = 2 if self.data_format == "channels_first" else 1
        sizes = list(input_shape)
        for axis, (before, after) in enumerate(self.padding, first):
            sizes[axis] = None if sizes[axis] is None else sizes[axis] + before + after
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "padding", "data_format")}


class UpSampling1D(Layer):
    """Each time step `size` times: (batch, steps, features) to (batch, size steps, features).

    Args:
        size: how often, a positive integer.

    >>> import numpy as np
    >>> UpSampling1D(3)(np.ones((2, 4, 5))).shape
    (2, 12, 5)
    """

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = integer("UpSampling1D", "size", size)
        self.input_spec = InputSpec(ndim=3)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return jnp.repeat(inputs, self.size, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, steps, features = input_shape
        return batch, None if steps is None else self.size * steps, features

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "size")}


class UpSampling2D(Layer):
    """Images with `size` times as many rows and columns.

    Args:
        size: the factor, or `(rows, columns)`.
        data_format: "channels_last" or "channels_first"; None is the process's setting.
        interpolation: "nearest" repeats pixels; "bilinear", "bicubic", "lanczos3" or
            "lanczos5" interpolate.

    >>> import numpy as np
    >>> UpSampling2D((1, 2))(np.ones((1, 4, 4, 3))).shape
    (1, 4, 8, 3)
    """

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.size = integers("UpSampling2D", "size", size, 2)
        known = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        self.interpolation = choice("UpSampling2D", "interpolation", interpolation, known)
        self.input_spec = InputSpec(ndim=4)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        first = 2 if self.data_format == "channels_first" else 1
        if self.interpolation == "nearest":
            for axis, size in enumerate(self.size, first):
                inputs = jnp.repeat(inputs, size, axis=axis)
            return inputs
        shape = self.compute_output_shape(inputs.shape)
        return jax.image.resize(inputs, shape, self.interpolation, antialias=False)

    def compute_output_shape(self, input_shape: Any) -> Any:
        first = 2 if self.data_format == "channels_first" else 1
        sizes = list(input_shape)
        for axis, size in enumerate(self.size, first):
            sizes[axis] = None if sizes[axis] is None else size * sizes[axis]
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        names = ("size", "data_format", "interpolation")
        return {**super().get_config(), **fields(self, *names)}

"""Resizing: larger images and sequences, by zeros around or by repetition within."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from talweg.core.config import standardize_data_format
from talweg.layers.arguments import choice, fields, integer, integers, sides
from talweg.layers.base import Layer
from talweg.layers.input_spec import InputSpec


class ZeroPadding(Layer):
    """Base of zeros around the spatial axes."""

    rank: ClassVar[int]

    def __init__(self, padding: Any, data_format: str | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.padding: Any = sides(type(self).__name__, "padding", padding, self.rank)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._build_at_init()

    @property
    def _sides(self) -> tuple[tuple[int, int], ...]:
        return self.padding

    def call(self, inputs: Any) -> Any:
        around = ((0, 0), *self._sides, (0, 0))
        if self.data_format == "channels_first":
            around = ((0, 0), (0, 0), *self._sides)
        return jnp.pad(inputs, around)

    def compute_output_shape(self, input_shape: Any) -> Any:
        first = 2 if self.data_format == "channels_first" else 1
        sizes = list(input_shape)
        for axis, (before, after) in enumerate(self._sides, first):
            sizes[axis] = None if sizes[axis] is None else sizes[axis] + before + after
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "padding", "data_format")}


class ZeroPadding1D(ZeroPadding):
    """Zeros before and after a sequence.

    Args:
        padding: steps on each side: one integer, or `(before, after)`.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: `padding` is neither, or negative.

    >>> import numpy as np
    >>> ZeroPadding1D((1, 2))(np.ones((1, 4, 3))).shape
    (1, 7, 3)
    """

    rank = 1

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        padding = integers("ZeroPadding1D", "padding", padding, 2, minimum=0)
        super().__init__((padding,), data_format, **kwargs)
        self.padding = padding

    @property
    def _sides(self) -> tuple[tuple[int, int], ...]:
        return (self.padding,)


class ZeroPadding2D(ZeroPadding):
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

    rank = 2

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any):
        super().__init__(padding, data_format, **kwargs)


class ZeroPadding3D(ZeroPadding):
    """Zeros around volumes.

    Args: as of `ZeroPadding2D`, with three axes.

    >>> import numpy as np
    >>> ZeroPadding3D((1, 0, 2))(np.ones((1, 4, 4, 4, 3))).shape
    (1, 6, 4, 8, 3)
    """

    rank = 3

    def __init__(
        self,
        padding: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(padding, data_format, **kwargs)


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
        self.size = integer("UpSampling1D", "size", size, checks_type=True)
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


class UpSampling3D(Layer):
    """Volumes with each entry repeated `size` times along each axis.

    Args:
        size: the factor, or three of them.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    >>> import numpy as np
    >>> UpSampling3D((1, 2, 3))(np.ones((1, 4, 4, 4, 3))).shape
    (1, 4, 8, 12, 3)
    """

    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.size = integers("UpSampling3D", "size", size, 3)
        self.input_spec = InputSpec(ndim=5)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        first = 2 if self.data_format == "channels_first" else 1
        for axis, size in enumerate(self.size, first):
            inputs = jnp.repeat(inputs, size, axis=axis)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        first = 2 if self.data_format == "channels_first" else 1
        sizes = list(input_shape)
        for axis, size in enumerate(self.size, first):
            sizes[axis] = None if sizes[axis] is None else size * sizes[axis]
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "size", "data_format")}

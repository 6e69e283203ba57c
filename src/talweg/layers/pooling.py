"""Pooling: one number for each window."""

import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from talweg.core.config import standardize_data_format
from talweg.layers.arguments import choice, fields, integers
from talweg.layers.base import Layer
from talweg.layers.input_spec import InputSpec
from talweg.layers.windows import windows_shape

Sizes = int | Sequence[int]


class Pooling(Layer):
    """Base of pooling by windows.

    Where windows do not overlap and a gradient is asked for, the input is folded so that each
    window is an axis, and reduced along it: the gradient of `reduce_window` costs ten times as
    much on a CPU. Forward alone `reduce_window` is what XLA joins with the convolutions around it
    (both of a small CNN, 128 images: 2.6 ms of processor time; folded 4.4, by slices 6.7).
    """

    rank: ClassVar[int]

    def __init__(
        self,
        pool_size: Sizes,
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        owner = type(self).__name__
        self.pool_size = integers(owner, "pool_size", pool_size, self.rank)
        strides = self.pool_size if strides is None else strides
        self.strides = integers(owner, "strides", strides, self.rank)
        self.padding = choice(owner, "padding", padding, ("valid", "same"))
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._build_at_init()

    def reduce_folded(self, folded: Any, axes: tuple[int, ...]) -> Any:
        """The output, from windows that lie along `axes`."""
        raise NotImplementedError

    def reduce_windows(self, inputs: Any, window: Any, strides: Any) -> Any:
        """The output, from windows that overlap or that padding completes."""
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        outputs = self.compute_output_shape(inputs.shape)
        first = 1 if self.data_format == "channels_last" else 2
        spatial = range(first, first + self.rank)
        whole = all(
            inputs.shape[axis] == outputs[axis] * size
            for axis, size in zip(spatial, self.pool_size, strict=True)
        )
        window, strides = [1] * inputs.ndim, [1] * inputs.ndim
        window[first : first + self.rank] = self.pool_size
        strides[first : first + self.rank] = self.strides
        reduce = functools.partial(
            self.reduce_windows, window=tuple(window), strides=tuple(strides)
        )
        if self.strides == self.pool_size and (whole or self.padding == "valid"):
            fold = functools.partial(self._fold, outputs=outputs, spatial=spatial)
            return _with_gradient_of(fold, reduce, inputs)
        return reduce(inputs)

    def _fold(self, inputs: Any, outputs: Any, spatial: range) -> Any:
        shape: list[int] = []
        cut: list[slice] = []
        axes: list[int] = []
        for axis, size in enumerate(inputs.shape):
            if axis not in spatial:
                shape.append(size)
                cut.append(slice(None))
                continue
            window = self.pool_size[axis - spatial.start]
            axes.append(len(shape) + 1)
            shape += [outputs[axis], window]
            cut.append(slice(outputs[axis] * window))
        return self.reduce_folded(inputs[tuple(cut)].reshape(shape), tuple(axes))

    def compute_output_shape(self, input_shape: Any) -> Any:
        padded = self.padding == "same"
        return windows_shape(self, input_shape, self.pool_size, self.strides, padded, None)

    def get_config(self) -> dict[str, Any]:
        names = ("pool_size", "padding", "strides", "data_format")
        return {**super().get_config(), **fields(self, *names)}


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _with_gradient_of(other: Any, function: Any, x: Any) -> Any:
    """`function(x)`; where it is differentiated, `other(x)`, which computes the same."""
    return function(x)


@_with_gradient_of.defjvp
def _by_the_other(other: Any, function: Any, primals: Any, tangents: Any) -> Any:
    return jax.jvp(other, primals, tangents)


@jax.custom_jvp
def _larger(a: Any, b: Any) -> Any:
    """The larger of each pair; its gradient goes to `a` where they are equal, as Keras's does.

    The gradient of `jnp.max` goes where an entry equals the maximum. XLA may compute the two in
    two ways that differ in the last bit, after a normalization say; then it goes nowhere, or is
    0/0. It also takes twice as long.
    """
    return jnp.maximum(a, b)


@_larger.defjvp
def _to_the_larger(primals: Any, tangents: Any) -> Any:
    return jnp.maximum(*primals), jnp.where(primals[0] >= primals[1], *tangents)


class MaxPooling(Pooling):
    """Base of max pooling."""

    def reduce_folded(self, folded: Any, axes: tuple[int, ...]) -> Any:
        # The last axis first, so that of equals the first in the window's order is taken.
        for axis in reversed(axes):
            slices = [lax.index_in_dim(folded, i, axis, False) for i in range(folded.shape[axis])]
            folded = functools.reduce(_larger, slices)
        return folded

    def reduce_windows(self, inputs: Any, window: Any, strides: Any) -> Any:
        floating = jnp.issubdtype(inputs.dtype, jnp.floating)
        lowest = -jnp.inf if floating else jnp.iinfo(inputs.dtype).min
        return lax.reduce_window(inputs, lowest, lax.max, window, strides, self.padding.upper())


class AveragePooling(Pooling):
    """Base of average pooling."""

    def reduce_folded(self, folded: Any, axes: tuple[int, ...]) -> Any:
        return jnp.mean(folded, axis=axes)

    def reduce_windows(self, inputs: Any, window: Any, strides: Any) -> Any:
        padding = self.padding.upper()
        total = lax.reduce_window(inputs, 0.0, lax.add, window, strides, padding)
        if self.padding == "valid":
            return total / math.prod(window)
        shape = [1 if span == 1 else size for size, span in zip(inputs.shape, window, strict=True)]
        ones = jnp.ones(shape, inputs.dtype)
        return total / lax.reduce_window(ones, 0.0, lax.add, window, strides, padding)


class MaxPooling1D(MaxPooling):
    """The largest of each window of time steps.

    Args: as of `MaxPooling2D`, with one axis.

    >>> import numpy as np
    >>> MaxPooling1D()(np.array([[[1.0], [3.0], [2.0], [0.0]]])).tolist()
    [[[3.0], [2.0]]]
    """

    rank = 1

    def __init__(
        self,
        pool_size: Sizes = 2,
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling2D(MaxPooling):
    """The largest of each window of an image.

    Where several entries of a window are the largest, the first has the gradient, as in Keras.

    Args:
        pool_size: rows and columns of the window, or one integer for both.
        strides: distance between windows; `pool_size` where None.
        padding: "valid" leaves out what does not fill a window; "same" pads.
        data_format: "channels_last" or "channels_first"; None is the process's setting.

    Raises:
        ValueError: an argument is out of range, or the input is smaller than the window.

    >>> import numpy as np
    >>> MaxPooling2D()(np.ones((2, 10, 10, 3))).shape
    (2, 5, 5, 3)
    """

    rank = 2

    def __init__(
        self,
        pool_size: Sizes = (2, 2),
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling1D(AveragePooling):
    """The mean of each window of time steps; padding does not count.

    Args: as of `MaxPooling2D`, with one axis; `pool_size` has no default.

    >>> import numpy as np
    >>> AveragePooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0]]])).tolist()
    [[[2.0], [1.0]]]
    """

    rank = 1


class AveragePooling2D(AveragePooling):
    """The mean of each window of an image; padding does not count.

    Args: as of `MaxPooling2D`; `pool_size` has no default.

    >>> import numpy as np
    >>> AveragePooling2D(2)(np.ones((2, 10, 10, 3))).shape
    (2, 5, 5, 3)
    """

    rank = 2


class MaxPooling3D(MaxPooling):
    """The largest of each window of a volume.

    Args: as of `MaxPooling2D`, with three axes.

    >>> import numpy as np
    >>> MaxPooling3D()(np.ones((2, 4, 6, 8, 3))).shape
    (2, 2, 3, 4, 3)
    """

    rank = 3

    def __init__(
        self,
        pool_size: Sizes = (2, 2, 2),
        strides: Sizes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling3D(AveragePooling):
    """The mean of each window of a volume; padding does not count.

    Args: as of `MaxPooling2D`, with three axes; `pool_size` has no default.

    >>> import numpy as np
    >>> AveragePooling3D(2)(np.ones((2, 4, 6, 8, 3))).shape
    (2, 2, 3, 4, 3)
    """

    rank = 3

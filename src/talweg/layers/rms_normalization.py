"""RMSNormalization: activations divided by their root mean square."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from talweg.layers import arguments
from talweg.layers.arguments import fields, number
from talweg.layers.base import Layer
from talweg.layers.normalization import positions


class RMSNormalization(Layer):
    """y = scale x / sqrt(mean(x²) + epsilon), computed in float32 at least.

    The scale lies along `axis`; Keras lays it along the last axes, whatever `axis` says.
    Zhang & Sennrich, NeurIPS 2019, arXiv:1910.07467.

    Args:
        axis: the axis, or the axes, of the mean.
        epsilon: added to the mean square.

    >>> import numpy as np
    >>> [round(float(v), 3) for v in RMSNormalization()(np.array([[1.0, 7.0]]))[0]]
    [0.2, 1.4]
    """

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = arguments.axes("RMSNormalization", axis)
        self.epsilon = number("RMSNormalization", "epsilon", epsilon)

    def build(self, input_shape: Any) -> None:
        axes = positions(self, self.axis, len(input_shape))
        shape = tuple(input_shape[axis] for axis in axes)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones")

    def call(self, x: Any) -> Any:
        wide = x.astype(jnp.result_type(x.dtype, jnp.float32))
        axes = positions(self, self.axis, x.ndim)
        shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
        factor = lax.rsqrt(jnp.mean(wide * wide, axes, keepdims=True) + self.epsilon)
        scale = self.scale.value.reshape(shape).astype(wide.dtype)
        return (wide * factor * scale).astype(x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        positions(self, self.axis, len(input_shape))
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "axis", "epsilon")}

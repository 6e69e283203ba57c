"""A dense layer whose output is gated by its input."""

from typing import Any

import jax

from talweg import initializers
from talweg.layers import Layer


class GatedDense(Layer):
    """`(x @ kernel) * sigmoid(x @ gate)`, on the last axis.

    Args:
        units: the size of the output's last axis.
        kernel_initializer: of both matrices.

    >>> import numpy as np
    >>> GatedDense(2)(np.ones((4, 3))).shape
    (4, 2)

    Source: Dauphin et al., ICML 2017, arXiv:1612.08083.
    """

    def __init__(self, units: int, kernel_initializer: Any = "glorot_uniform", **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.kernel_initializer = initializers.get(kernel_initializer)

    def build(self, input_shape: Any) -> None:
        shape = (input_shape[-1], self.units)
        self.kernel = self.add_weight(
            name="kernel", shape=shape, initializer=self.kernel_initializer
        )
        self.gate = self.add_weight(name="gate", shape=shape, initializer=self.kernel_initializer)

    def call(self, inputs: Any) -> Any:
        return (inputs @ self.kernel.value) * jax.nn.sigmoid(inputs @ self.gate.value)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
        }

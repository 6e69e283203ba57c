"""Masking: time steps that hold nothing are left out."""

from typing import Any

import jax.numpy as jnp

from talweg import ops
from talweg.layers import context
from talweg.layers.arguments import fields
from talweg.layers.base import Layer


class Masking(Layer):
    """Masks the steps at which all features equal `mask_value`, and sets them to 0.

    (batch, steps, …, features) to the same; the mask is (batch, steps, …). Layers behind
    that support masking leave those steps out.

    Args:
        mask_value: the value that means "nothing".

    >>> import numpy as np
    >>> y = Masking(-1.0)(np.array([[[1.0, -1.0], [-1.0, -1.0]]]))
    >>> y.tolist(), y._keras_mask.tolist()
    ([[[1.0, -1.0], [0.0, 0.0]]], [[True, False]])
    """

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True
        self._build_at_init()

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        mask = self.compute_mask(inputs)
        outputs = jnp.where(mask[..., None], inputs, jnp.zeros((), inputs.dtype))
        context.set_mask(outputs, mask)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "mask_value")}

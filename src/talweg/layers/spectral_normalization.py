"""SpectralNormalization: a layer whose kernel has a largest singular value of 1."""

from typing import Any

import jax.numpy as jnp
from jax import lax

from talweg import initializers, ops
from talweg.core import dtypes, errors
from talweg.layers.arguments import fields, integer
from talweg.layers.base import Layer
from talweg.layers.input_spec import InputSpec
from talweg.layers.wrapper import Wrapper


class SpectralNormalization(Wrapper):
    """`layer` with kernel / σ in the place of its kernel, during training.

    σ estimates the largest singular value of the kernel, its last axis against all others,
    by power iteration: v = normalize(u Wᵀ), u = normalize(v W), σ = v W uᵀ. The vector u is
    kept from step to step. Miyato et al., ICLR 2018, arXiv:1802.05957.

    As in Keras on JAX, `fit` moves the kernel itself and inference uses it as it is, while
    a call with `training=True` outside of `fit` leaves kernel / σ in the layer.

    Args:
        layer: a layer with a `kernel`, or with `embeddings`.
        power_iterations: iterations at each call.

    Raises:
        ValueError: the layer has neither, or `power_iterations` is not positive.

    >>> import numpy as np
    >>> from talweg.layers import Dense
    >>> dense = SpectralNormalization(Dense(4), power_iterations=20)
    >>> dense(np.ones((2, 3)), training=True).shape
    (2, 4)
    >>> round(float(np.linalg.norm(dense.layer.kernel.numpy(), 2)), 2)
    1.0
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.power_iterations = integer(
            "SpectralNormalization", "power_iterations", power_iterations
        )

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if getattr(self.layer, "lora_enabled", False):
            raise errors.invalid(
                "SpectralNormalization", "layer", "one without LoRA", self.layer,
                "The weight that it would normalize stands still.",
            )  # fmt: skip
        kernel = getattr(self.layer, "kernel", None)
        if kernel is not None:
            self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        else:
            kernel = getattr(self.layer, "embeddings", None)
        if kernel is None:
            raise errors.invalid(
                "SpectralNormalization", "layer", "one with a kernel or with embeddings",
                self.layer,
            )  # fmt: skip
        self.kernel = kernel
        self.vector_u = self.add_weight(
            name="vector_u",
            shape=(1, kernel.shape[-1]),
            initializer=initializers.TruncatedNormal(stddev=0.02),
            trainable=False,
            dtype=kernel.dtype,
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            u, kernel = self.normalized_weights()
            self.vector_u.assign(u)
            self.kernel.assign(kernel)
        outputs = self.layer(inputs)
        return outputs.astype(inputs.dtype) if dtypes.is_float(inputs.dtype) else outputs

    def normalized_weights(self) -> tuple[Any, Any]:
        """The new `vector_u` and kernel / σ; both unchanged where the kernel is all zeros."""
        kernel, start = self.kernel.value, self.vector_u.value
        weights = kernel.reshape(-1, kernel.shape[-1])
        u = v = start
        for _ in range(self.power_iterations):
            v = ops.normalize(u @ weights.T, axis=None)
            u = ops.normalize(v @ weights, axis=None)
        u, v = lax.stop_gradient(u), lax.stop_gradient(v)
        zero = jnp.all(kernel == 0)
        sigma = jnp.where(zero, 1.0, (v @ weights @ u.T)[0, 0])
        return jnp.where(zero, start, u), (kernel / sigma).astype(kernel.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "power_iterations")}

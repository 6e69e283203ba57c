"""Normalization of activations over their features, and what it shares with the batch's."""

import warnings
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from talweg import constraints, initializers, regularizers
from talweg.core import errors
from talweg.layers import arguments
from talweg.layers.arguments import fields, number
from talweg.layers.base import Layer
from talweg.layers.elementwise import Elementwise


class Normalizing(Layer):
    """Base of layers that normalize with moments, then scale by gamma and shift by beta."""

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.epsilon = float(number(type(self).__name__, "epsilon", epsilon))
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True

    def _add_gamma_and_beta(self, shape: tuple[int, ...], rms: bool = False) -> None:
        self.gamma = self.beta = None
        if self.scale or rms:
            self.gamma = self.add_weight(
                name="gamma",
                shape=shape,
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                autocast=False,
            )
        if self.center and not rms:
            self.beta = self.add_weight(
                name="beta",
                shape=shape,
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                autocast=False,
            )

    def _normalized(
        self, x: Any, mean: Any, variance: Any, shape: Sequence[int], r: Any = 1.0, d: Any = 0.0
    ) -> Any:
        """`(r (x - mean) / sqrt(variance + epsilon) + d) gamma + beta`, as a product and a sum."""
        factor = lax.rsqrt(variance + self.epsilon) * r
        if self.gamma is not None:
            gamma = self.gamma.value.reshape(shape)
            factor, d = factor * gamma, d * gamma
        offset = d - mean * factor
        if self.beta is not None:
            offset = offset + self.beta.value.reshape(shape)
        return (x * factor + offset).astype(self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = [
            "axis",
            "epsilon",
            "center",
            "scale",
            "beta_initializer",
            "gamma_initializer",
            "beta_regularizer",
            "gamma_regularizer",
            "beta_constraint",
            "gamma_constraint",
        ]
        return {**super().get_config(), **fields(self, *names)}


class LayerNormalization(Normalizing):
    """Each sample with the mean and variance of its own features.

        y = gamma (x - mean) / sqrt(variance + epsilon) + beta

    Computed in float32 at least. Ba et al., 2016, arXiv:1607.06450.

    Args:
        axis: the axis, or the axes, of the features.
        epsilon: added to the variance.
        center, scale: whether there is a beta, a gamma.
        beta_initializer, gamma_initializer: zeros, ones.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: projections after each update.
        rms_scaling: by keyword, for old models: gamma x / sqrt(variance + epsilon), with no
            mean and no beta. In spite of its name that is not RMSNormalization; it warns.

    >>> import numpy as np
    >>> [round(float(v), 2) for v in LayerNormalization()(np.array([[1.0, 3.0]]))[0]]
    [-1.0, 1.0]
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ):
        rms_scaling = kwargs.pop("rms_scaling", False)
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer,
            gamma_regularizer, beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        if rms_scaling:
            warnings.warn(
                f"LayerNormalization {self.name!r}: rms_scaling=True divides by the standard "
                "deviation, not by the root mean square. Use RMSNormalization in new models.",
                stacklevel=2,
            )
        self.axis = arguments.axes("LayerNormalization", axis)
        self.rms_scaling = bool(rms_scaling)
        self.autocast = False

    def build(self, input_shape: Any) -> None:
        axes = positions(self, self.axis, len(input_shape))
        self._add_gamma_and_beta(tuple(input_shape[axis] for axis in axes), self.rms_scaling)

    def call(self, inputs: Any) -> Any:
        x = jnp.asarray(inputs)
        x = x.astype(jnp.result_type(x.dtype, jnp.float32))
        axes = positions(self, self.axis, x.ndim)
        shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
        mean, variance = jnp.mean(x, axes, keepdims=True), jnp.var(x, axes, keepdims=True)
        if self.rms_scaling:
            mean = jnp.zeros_like(mean)
        return self._normalized(x, mean, variance, shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        positions(self, self.axis, len(input_shape))
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "rms_scaling")}


class UnitNormalization(Elementwise):
    """x / |x|, with the Euclidean norm along `axis`.

    The zero vector stays zero and has a finite gradient; Keras's is NaN there.

    Args:
        axis: the axis, or the axes, of the norm.

    >>> import numpy as np
    >>> [round(float(v), 6) for v in UnitNormalization()(np.array([[3.0, 4.0]]))[0]]
    [0.6, 0.8]
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = arguments.axes("UnitNormalization", axis)

    def call(self, inputs: Any) -> Any:
        x = inputs.astype(jnp.result_type(inputs.dtype, jnp.float32))
        axes = positions(self, self.axis, x.ndim)
        squares = jnp.sum(x * x, axes, keepdims=True)
        return (x * lax.rsqrt(jnp.maximum(squares, 1e-24))).astype(self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        positions(self, self.axis, len(input_shape))
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "axis")}


def positions(layer: Layer, axis: int | list[int], rank: int) -> tuple[int, ...]:
    """Axes counted from the front, in order."""
    axes = axis if isinstance(axis, list) else [axis]
    if any(not -rank <= one < rank for one in axes):
        raise errors.invalid(f"Layer {layer.name!r}", "axis", f"in [{-rank}, {rank})", axis)
    return tuple(sorted(one % rank for one in axes))

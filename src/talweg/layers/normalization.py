"""Normalization of activations: over the batch, over features, to unit length."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from talweg import constraints, initializers, regularizers
from talweg.core import config, errors
from talweg.layers import arguments
from talweg.layers.arguments import fields, integer, number
from talweg.layers.base import Layer
from talweg.layers.elementwise import Elementwise
from talweg.layers.input_spec import InputSpec


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

    def _add_gamma_and_beta(self, shape: tuple[int, ...]) -> None:
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma",
                shape=shape,
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                autocast=False,
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta",
                shape=shape,
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                autocast=False,
            )

    def _normalized(self, x: Any, mean: Any, variance: Any, shape: Sequence[int]) -> Any:
        """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, as one product and one sum."""
        factor = lax.rsqrt(variance + self.epsilon)
        if self.gamma is not None:
            factor = factor * self.gamma.value.reshape(shape)
        offset = -mean * factor
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


class BatchNormalization(Normalizing):
    """Each feature with the mean and variance of the batch.

        y = gamma (x - mean) / sqrt(variance + epsilon) + beta

    During training the moments are the batch's and the moving ones follow them,
    `moving <- momentum moving + (1 - momentum) batch`; otherwise, and while the layer is
    not trainable, the moving moments are used. Computed in float32 at least.
    Ioffe & Szegedy, ICML 2015, arXiv:1502.03167.

    Args:
        axis: the axis of the features.
        momentum: of the moving moments, in [0, 1].
        epsilon: added to the variance.
        center, scale: whether there is a beta, a gamma.
        beta_initializer, gamma_initializer: zeros, ones.
        moving_mean_initializer, moving_variance_initializer: zeros, ones.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: projections after each update.
        renorm, renorm_clipping, renorm_momentum, synchronized: Keras's; not supported.

    Called with `mask`, of the input's shape without features, only entries where it is
    True enter the batch's moments.

    Raises:
        ValueError: an argument is out of range, or `renorm` or `synchronized` is asked for.

    >>> import numpy as np
    >>> layer = BatchNormalization()
    >>> y = layer(np.array([[1.0], [3.0]]), training=True)
    >>> [round(float(v), 2) for v in y[:, 0]], round(float(layer.moving_mean.value[0]), 4)
    ([-1.0, 1.0], 0.02)
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer,
            gamma_regularizer, beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        arguments.unsupported(
            "BatchNormalization", renorm=renorm or None, synchronized=synchronized or None
        )
        self.axis = integer("BatchNormalization", "axis", axis, minimum=-64)
        self.momentum = float(number("BatchNormalization", "momentum", momentum))
        if self.momentum > 1:
            raise errors.invalid("BatchNormalization", "momentum", "in [0, 1]", momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.renorm = self.synchronized = False
        self.renorm_clipping, self.renorm_momentum = renorm_clipping, renorm_momentum

    def build(self, input_shape: Any) -> None:
        (axis,) = _positions(self, self.axis, len(input_shape))
        shape = (input_shape[axis],)
        self._add_gamma_and_beta(shape)
        moving = {"shape": shape, "trainable": False, "autocast": False}
        self.moving_mean = self.add_weight(
            name="moving_mean", initializer=self.moving_mean_initializer, **moving
        )
        self.moving_variance = self.add_weight(
            name="moving_variance", initializer=self.moving_variance_initializer, **moving
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: shape[0]})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        (axis,) = _positions(self, self.axis, inputs.ndim)
        others = tuple(other for other in range(inputs.ndim) if other != axis)
        x = inputs.astype(jnp.result_type(inputs.dtype, jnp.float32))
        mean, variance = self.moving_mean.value, self.moving_variance.value
        if training and self.trainable:
            batch_mean, batch_variance = self._moments(x, others, mask)
            keep = self.momentum
            self.moving_mean.assign(mean * keep + batch_mean * (1.0 - keep))
            self.moving_variance.assign(variance * keep + batch_variance * (1.0 - keep))
            mean, variance = batch_mean, batch_variance
        shape = [1] * inputs.ndim
        shape[axis] = -1
        return self._normalized(x, mean.reshape(shape), variance.reshape(shape), shape)

    def _moments(self, x: Any, axes: tuple[int, ...], mask: Any) -> tuple[Any, Any]:
        if mask is None:
            return jnp.mean(x, axes), jnp.var(x, axes)
        if mask.ndim != x.ndim - 1:
            raise errors.invalid(
                f"Layer {self.name!r}", "mask", f"of rank {x.ndim - 1}", tuple(mask.shape)
            )
        kept = jnp.broadcast_to(mask[..., None] != 0, x.shape)
        count = jnp.sum(kept, axes, keepdims=True, dtype=x.dtype) + config.epsilon()
        mean = jnp.sum(jnp.where(kept, x, 0), axes, keepdims=True) / count
        squares = jnp.where(kept, x - mean, 0) ** 2
        variance = jnp.sum(squares, axes, keepdims=True) / count
        return mean.reshape(-1), variance.reshape(-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        _positions(self, self.axis, len(input_shape))
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = [
            "momentum",
            "moving_mean_initializer",
            "moving_variance_initializer",
            "renorm",
            "renorm_clipping",
            "renorm_momentum",
            "synchronized",
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
        arguments.unsupported("LayerNormalization", rms_scaling=rms_scaling or None)
        self.axis = arguments.axes("LayerNormalization", axis)
        self.rms_scaling = False
        self.autocast = False

    def build(self, input_shape: Any) -> None:
        axes = _positions(self, self.axis, len(input_shape))
        self._add_gamma_and_beta(tuple(input_shape[axis] for axis in axes))

    def call(self, inputs: Any) -> Any:
        x = jnp.asarray(inputs)
        x = x.astype(jnp.result_type(x.dtype, jnp.float32))
        axes = _positions(self, self.axis, x.ndim)
        shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
        mean, variance = jnp.mean(x, axes, keepdims=True), jnp.var(x, axes, keepdims=True)
        return self._normalized(x, mean, variance, shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        _positions(self, self.axis, len(input_shape))
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
        axes = _positions(self, self.axis, x.ndim)
        squares = jnp.sum(x * x, axes, keepdims=True)
        return (x * lax.rsqrt(jnp.maximum(squares, 1e-24))).astype(self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        _positions(self, self.axis, len(input_shape))
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, "axis")}


def _positions(layer: Layer, axis: int | list[int], rank: int) -> tuple[int, ...]:
    """Axes counted from the front, in order."""
    axes = axis if isinstance(axis, list) else [axis]
    if any(not -rank <= one < rank for one in axes):
        raise errors.invalid(f"Layer {layer.name!r}", "axis", f"in [{-rank}, {rank})", axis)
    return tuple(sorted(one % rank for one in axes))

"""BatchNormalization: activations with the mean and variance of their batch."""

from typing import Any

import jax.numpy as jnp

from talweg import initializers
from talweg.core import config, errors
from talweg.layers.arguments import fields, integer, number, unsupported
from talweg.layers.input_spec import InputSpec
from talweg.layers.normalization import Normalizing, positions


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
        unsupported("BatchNormalization", renorm=renorm or None, synchronized=synchronized or None)
        self.axis = integer("BatchNormalization", "axis", axis, minimum=-64)
        self.momentum = float(number("BatchNormalization", "momentum", momentum))
        if self.momentum > 1:
            raise errors.invalid("BatchNormalization", "momentum", "in [0, 1]", momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.renorm = self.synchronized = False
        self.renorm_clipping, self.renorm_momentum = renorm_clipping, renorm_momentum

    def build(self, input_shape: Any) -> None:
        (axis,) = positions(self, self.axis, len(input_shape))
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
        (axis,) = positions(self, self.axis, inputs.ndim)
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
        positions(self, self.axis, len(input_shape))
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

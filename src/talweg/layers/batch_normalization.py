"""BatchNormalization: activations with the mean and variance of their batch."""

from typing import Any

import jax.numpy as jnp
from jax import lax

from talweg import initializers
from talweg.core import config, errors
from talweg.core.variables import Variable
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
        renorm: whether batches are corrected towards moments of their own that move along,
            so that small batches train what inference computes: y = gamma (r z + d) + beta
            with z the normalized batch, r = sd / renorm_stddev and d = (mean - renorm_mean) /
            renorm_stddev, both constants to the gradient. Ioffe, NIPS 2017, arXiv:1702.03275.
        renorm_clipping: bounds "rmin", "rmax" of r and "dmax" of |d|; none by default.
        renorm_momentum: of the moments of the correction, in [0, 1].
        synchronized: Keras's; not supported.

    Called with `mask`, of the input's shape without features, only entries where it is
    True enter the batch's moments.

    Raises:
        ValueError: an argument is out of range, or `synchronized` is asked for.

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
        unsupported("BatchNormalization", synchronized=synchronized or None)
        self.axis = integer("BatchNormalization", "axis", axis, minimum=-64)
        self.momentum = _momentum("momentum", momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.synchronized = False
        self.renorm = bool(renorm)
        self.renorm_clipping = _clipping(renorm_clipping) if renorm else renorm_clipping
        self.renorm_momentum = _momentum("renorm_momentum", renorm_momentum)

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
        if self.renorm:
            self._add_moments_of_the_correction(moving)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: shape[0]})

    def _add_moments_of_the_correction(self, moving: dict[str, Any]) -> None:
        def stddev(shape: Any, dtype: Any = None) -> Any:
            return jnp.sqrt(self.moving_variance_initializer(shape, dtype))

        # The variance of inference is the square of a deviation that moves, as in the paper.
        self.moving_stddev = self.add_weight(name="moving_stddev", initializer=stddev, **moving)
        self.renorm_mean = self.add_weight(
            name="renorm_mean", initializer=self.moving_mean_initializer, **moving
        )
        self.renorm_stddev = self.add_weight(name="renorm_stddev", initializer=stddev, **moving)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        (axis,) = positions(self, self.axis, inputs.ndim)
        others = tuple(other for other in range(inputs.ndim) if other != axis)
        x = inputs.astype(jnp.result_type(inputs.dtype, jnp.float32))
        mean, variance = self.moving_mean.value, self.moving_variance.value
        correction: tuple[Any, ...] = ()
        if training and self.trainable:
            mean, variance = self._moments(x, others, mask)
            if self.renorm:
                correction = self._correction(mean, variance)
            else:
                _follow(self.moving_variance, variance, self.momentum)
            _follow(self.moving_mean, mean, self.momentum)
        shape = [1] * inputs.ndim
        shape[axis] = -1
        moments = (each.reshape(shape) for each in (mean, variance))
        return self._normalized(x, *moments, shape, *(each.reshape(shape) for each in correction))

    def _correction(self, mean: Any, variance: Any) -> tuple[Any, Any]:
        """r and d for a batch of these moments, which the moving ones then follow."""
        stddev = jnp.sqrt(variance + self.epsilon)
        known = jnp.maximum(self.renorm_stddev.value, jnp.sqrt(self.epsilon))
        r, d = stddev / known, (mean - self.renorm_mean.value) / known
        bounds = self.renorm_clipping or {}
        r = jnp.clip(r, bounds.get("rmin"), bounds.get("rmax"))
        if bounds.get("dmax") is not None:
            d = jnp.clip(d, -bounds["dmax"], bounds["dmax"])
        _follow(self.renorm_mean, mean, self.renorm_momentum)
        _follow(self.renorm_stddev, stddev, self.renorm_momentum)
        moving = _follow(self.moving_stddev, stddev, self.momentum)
        self.moving_variance.assign(jnp.maximum(moving * moving - self.epsilon, 0.0))
        return lax.stop_gradient(r), lax.stop_gradient(d)

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


def _follow(moving: Variable, batch: Any, momentum: float) -> Any:
    value = moving.value * momentum + batch * (1.0 - momentum)
    moving.assign(value)
    return value


def _momentum(name: str, value: Any) -> float:
    momentum = float(number("BatchNormalization", name, value))
    if momentum > 1:
        raise errors.invalid("BatchNormalization", name, "in [0, 1]", value)
    return momentum


def _clipping(given: dict[str, float] | None) -> dict[str, float]:
    """The bounds of the correction, checked."""
    bounds = dict(given or {})
    for name in bounds:
        if name not in ("rmin", "rmax", "dmax"):
            raise errors.unknown("bound in renorm_clipping", name, ("rmin", "rmax", "dmax"))
    low, high, shift = (bounds.get(name) for name in ("rmin", "rmax", "dmax"))
    if low is not None and high is not None and high < low:
        raise errors.invalid("BatchNormalization", "rmax", f"at least rmin, {low}", high)
    if shift is not None and shift < 0:
        raise errors.invalid("BatchNormalization", "dmax", "at least 0", shift)
    return bounds

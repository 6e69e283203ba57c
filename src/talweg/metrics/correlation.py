"""Correlation of predictions and labels along an axis, averaged over the others."""

from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import config
from talweg.metrics.reduction import NamedMean
from talweg.ops import targets

Array = jax.Array


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    """The linear correlation, in [-1, 1]: `cov(y, p) / (σ_y σ_p)`.

    NaN where either is constant along the axis.

    Args:
        y_true, y_pred: arrays of one shape.
        axis: the axis along which they vary together.

    >>> float(pearson_correlation(jnp.array([0.0, 1.0, 2.0]), jnp.array([5.0, 3.0, 1.0])).round(4))
    -1.0
    """
    y_true, y_pred = targets.conform(y_true, y_pred, "pearson_correlation")
    y_true = _centered(y_true, axis)
    y_pred = _centered(y_pred, axis)
    spread = jnp.std(y_true, axis=axis) * jnp.std(y_pred, axis=axis)
    return jnp.mean(y_true * y_pred, axis=axis) / spread


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    """Agreement in place and scale too: `2 cov(y, p) / (σ_y² + σ_p² + (μ_y - μ_p)²)`.

    Lin, "A concordance correlation coefficient to evaluate reproducibility",
    Biometrics 45, 1989.

    Args:
        y_true, y_pred: arrays of one shape.
        axis: the axis along which they vary together.

    >>> y = jnp.array([0.0, 1.0, 2.0])
    >>> round(float(concordance_correlation(y, y + 1)), 4)
    0.5714
    """
    y_true, y_pred = targets.conform(y_true, y_pred, "concordance_correlation")
    distance = jnp.square(jnp.mean(y_true, axis=axis) - jnp.mean(y_pred, axis=axis))
    covariance = jnp.mean(_centered(y_true, axis) * _centered(y_pred, axis), axis=axis)
    spread = jnp.var(y_true, axis=axis) + jnp.var(y_pred, axis=axis)
    return 2 * covariance / (spread + distance + config.epsilon())


class PearsonCorrelation(NamedMean):
    """The mean of `pearson_correlation` over the samples.

    Args:
        name: its name in logs.
        dtype: the type of the mean, `floatx()` where none is given.
        axis: the axis along which labels and predictions vary together.

    >>> round(float(PearsonCorrelation(axis=-1)([[0.0, 1.0, 2.0]], [[1.0, 2.0, 5.0]])), 4)
    0.9608
    """

    _direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1):
        super().__init__(pearson_correlation, name, dtype, axis=axis)
        self.axis = axis


class ConcordanceCorrelation(NamedMean):
    """The mean of `concordance_correlation` over the samples.

    Args:
        name: its name in logs.
        dtype: the type of the mean, `floatx()` where none is given.
        axis: the axis along which labels and predictions vary together.

    >>> round(float(ConcordanceCorrelation()([[0.0, 1.0, 2.0]], [[1.0, 2.0, 3.0]])), 4)
    0.5714
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1
    ):
        super().__init__(concordance_correlation, name, dtype, axis=axis)
        self.axis = axis


def _centered(values: Array, axis: int) -> Array:
    return values - jnp.mean(values, axis=axis, keepdims=True)

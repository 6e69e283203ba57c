"""The largest error so far."""

from typing import Any

import jax
import jax.numpy as jnp

from talweg.metrics import Metric


class MaxError(Metric):
    """`max |y - ŷ|` over all samples whose weight is not 0.

    Args:
        name: its name in logs.
        dtype: the type of the result.

    >>> metric = MaxError()
    >>> metric.update_state([[0.0], [1.0]], [[0.5], [3.0]])
    >>> float(metric.result())
    2.0
    """

    _direction = "down"

    def __init__(self, name: str = "max_error", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.largest = self.add_variable(name="largest")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        errors = jnp.abs(jnp.asarray(y_true) - jnp.asarray(y_pred))
        if sample_weight is not None:
            weights = jnp.asarray(sample_weight)
            counts = weights.reshape(weights.shape + (1,) * (errors.ndim - weights.ndim)) != 0
            errors = jnp.where(counts, errors, 0.0)
        self.largest.assign(jnp.maximum(self.largest.value, jnp.max(errors)))

    def result(self) -> jax.Array:
        return self.largest.value

"""A loss that forgives small errors."""

from typing import Any

import jax
import jax.numpy as jnp

from talweg.losses import Loss


class EpsilonInsensitive(Loss):
    """`mean(max(|y - ŷ| - epsilon, 0))`: errors up to epsilon cost nothing.

    Args:
        epsilon: the width of the free zone.
        name: its name in logs.
        reduction: how the losses of the samples become one number.
        dtype: what it computes in.

    >>> float(EpsilonInsensitive(0.5)([[0.0], [0.0]], [[0.25], [1.5]]))
    0.5

    Source: Vapnik, The Nature of Statistical Learning Theory, 1995.
    """

    def __init__(
        self,
        epsilon: float = 0.1,
        name: str | None = None,
        reduction: Any = "sum_over_batch_size",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.epsilon = epsilon

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return jnp.mean(jnp.maximum(jnp.abs(y_true - y_pred) - self.epsilon, 0.0), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}

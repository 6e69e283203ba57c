"""The rates of all tensors as one rate and each tensor's share of it."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp


def common_rate(rates: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The largest rate, and the rate of each tensor over it.

    Methods that estimate one number for the whole tree need one rate; the parts of a model
    that learn slower than others come in as shares. Where all rates are 0, so is the common
    one, and the shares are 1.
    """
    if all(rate is rates[0] for rate in rates):
        return rates[0], [1.0] * len(rates)
    together = jnp.stack(list(rates))
    largest = jnp.max(together)
    shares = jnp.where(largest > 0, together / largest, 1.0)
    return largest, list(shares)

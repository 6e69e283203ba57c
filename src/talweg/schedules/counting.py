"""Whole steps counted in whole numbers.

float32 is exact up to 2**24 steps only, and a compiled division may round a multiple of
the period to just below it. Where the step is an integer, periods and boundaries are
therefore counted in integers: a change comes at its step, at any step.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def as_steps(step: Any) -> jax.Array:
    """A step, or an array of steps: integers of 32 bits or more, or float32."""
    steps = jnp.asarray(step)
    if jnp.issubdtype(steps.dtype, jnp.integer):
        return steps.astype(jnp.result_type(steps.dtype, jnp.int32))
    return steps.astype(jnp.float32)


def steps_since(steps: jax.Array, begin: float) -> jax.Array:
    """How many steps ago `begin` was; negative before it."""
    return steps - _as(steps, begin)


def split(steps: jax.Array, period: float) -> tuple[jax.Array, jax.Array]:
    """The number of whole periods before each step, and the steps since the last of them."""
    return jnp.divmod(steps, _as(steps, period))


def boundaries_reached(
    step: Any, boundaries: Sequence[float], *, inclusive: bool = True
) -> jax.Array:
    """How many of the boundaries each step has reached; passed, where not inclusive."""
    steps = as_steps(step)
    if jnp.issubdtype(steps.dtype, jnp.integer):
        limits = np.iinfo(steps.dtype)
        exact = np.asarray(boundaries, np.float64)
        first = np.ceil(exact) if inclusive else np.floor(exact) + 1
        first = np.maximum(first[first <= limits.max], limits.min).astype(steps.dtype)
        reached = steps[..., None] >= first
    else:
        limits = np.asarray(boundaries, np.float32)
        reached = steps[..., None] >= limits if inclusive else steps[..., None] > limits
    return jnp.sum(reached, axis=-1)


def _as(steps: jax.Array, count: float) -> float:
    """A count of steps as a number that does not overflow beside `steps`."""
    whole = jnp.issubdtype(steps.dtype, jnp.integer)
    return float(count) if whole and count > np.iinfo(steps.dtype).max else count

"""The curves on which a value goes to another in a given number of steps.

    value(t) = start · f(t / T) + end · (1 - f(t / T)),   0 <= t <= T

f falls from 1 to 0. It and its complement are computed from the time that is left and the
time that is gone, each counted exactly, so that small values keep their digits.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from talweg.schedules.counting import steps_since


def _linear(gone: jax.Array, left: jax.Array) -> tuple[jax.Array, jax.Array]:
    return left, gone


def _cosine(gone: jax.Array, left: jax.Array) -> tuple[jax.Array, jax.Array]:
    # (1 + cos(π x)) / 2 = sin²(π (1 - x) / 2), which has no difference of equals.
    return jnp.square(jnp.sin(0.5 * jnp.pi * left)), jnp.square(jnp.sin(0.5 * jnp.pi * gone))


def _one_minus_root(gone: jax.Array, left: jax.Array) -> tuple[jax.Array, jax.Array]:
    return left / (1.0 + jnp.sqrt(gone)), jnp.sqrt(gone)


def _reflected_exponential(gone: jax.Array, left: jax.Array) -> tuple[jax.Array, jax.Array]:
    return 2.0 * left / (1.0 + left), gone / (1.0 + left)


_CURVES: dict[str, Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]] = {
    "linear": _linear,
    "cos": _cosine,
    "1-sqrt": _one_minus_root,
    "rex": _reflected_exponential,
}


def anneal(
    start: float, end: float, steps: jax.Array, length: float, curve: str = "linear"
) -> jax.Array:
    """From `start` at 0 to `end` at `length`, constant before and after; float32."""
    if length <= 0:
        return jnp.full(steps.shape, end, jnp.float32)
    remaining = jnp.maximum(-steps_since(steps, length), 0)
    elapsed = jnp.maximum(steps, 0)
    gone = jnp.minimum(elapsed.astype(jnp.float32) / length, 1.0)
    left = jnp.minimum(remaining.astype(jnp.float32) / length, 1.0)
    of_start, of_end = _CURVES[curve](gone, left)
    return start * of_start + end * of_end

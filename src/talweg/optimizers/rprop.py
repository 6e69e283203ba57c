"""Rprop: only the sign of the gradient counts; each component has a step of its own.

    where g g' > 0    f <- f grow
    where g g' < 0    f <- f shrink, and g = 0: no step back, no verdict at the next step
    f <- clip(f, step_min / r, step_max / r)
    p <- p - rate f sign(g)

g' is the last gradient, f starts at 1, r is the largest rate so far. At a constant rate,
rate f is the step size of the paper, which the rate only starts. Kept as a factor, it
follows schedules and multipliers as every other optimizer does.

This is iRprop- (Igel & Hüsken 2003), as in PyTorch. optax's rprop applies each step one
call late.

Riedmiller & Braun, ICNN 1993.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper
from talweg.optimizers.base import Optimizer


class Slots(NamedTuple):
    previous_gradient: Any
    factor: Any
    largest_rate: Any


def rprop(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of one tensor."""
    # Signs, because the product of two small gradients is 0 in float32.
    turn = jnp.sign(g) * jnp.sign(s.previous_gradient)
    change = jnp.where(turn > 0, h.grow, jnp.where(turn < 0, h.shrink, 1))
    largest = jnp.maximum(s.largest_rate, h.learning_rate)
    # At a rate of 0 the limits of the factor are unknown.
    unit = jnp.where(largest > 0, largest, 1)
    limited = jnp.clip(s.factor * change, h.step_min / unit, h.step_max / unit)
    f = jnp.where(largest > 0, limited, s.factor)
    g = jnp.where(turn < 0, 0, g)
    return -h.learning_rate * f * jnp.sign(g), Slots(g, f, largest)


class Rprop(Optimizer):
    """Sign descent with a step for each component that grows until the sign turns.

    Args:
        learning_rate: the first step of every component; a number, `Variable`, schedule or
            callable; 0.01. Later it scales all steps.
        shrink: the factor of a step after the gradient changed its sign.
        grow: the factor of a step after it did not.
        step_min: the smallest step at the largest rate.
        step_max: the largest step at the largest rate.

    When to use it: full batches, where the sign of the gradient is no accident; never with
    small ones.

    >>> Rprop(0.1).grow
    1.2

    Source: Riedmiller & Braun, ICNN 1993; torch.optim.Rprop.
    """

    learning_rate: Any = hyper(
        default=0.01, interval="[0, 1e10]", search=(1e-4, 1.0), hint="Usual: 1e-3 to 1e-1."
    )
    shrink: float = hyper(default=0.5, interval="(0, 1)", hint="0.5 is the usual choice.")
    grow: float = hyper(default=1.2, interval="(1, inf)", hint="1.2 is the usual choice.")
    step_min: float = hyper(default=1e-6, interval="[0, inf)")
    step_max: float = hyper(default=50.0, interval="(0, inf)")

    rule = staticmethod(rprop)

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p), jnp.ones_like(p), jnp.zeros((), p.dtype))

"""Gradient accumulation: one step for the mean of several gradients.

s <- s + g;   every k-th time:  step along s / k,   s <- 0
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import static
from talweg.optimizers.composed import Wrapper
from talweg.optimizers.state import Objective, OptimizerState, Tensor, wide


class Slots(NamedTuple):
    accumulated: Any


class GradientAccumulation(Wrapper):
    """Large batches in little memory: any optimizer steps once for so many gradients.

    When to use it: where the batch that a method needs does not fit.

    The optimizer inside, its schedule included, counts the steps that it takes; with the
    option `gradient_accumulation_steps`, as in Keras, schedules count every gradient. What
    looks at the loss again, as `SAM`, sees the last of these batches only: put it around.

    Args:
        inner_optimizer: an optimizer, its name or its record.
        steps: of how many gradients the mean is taken.

    >>> GradientAccumulation("adam", steps=8).steps
    8

    Source: optax.MultiSteps.
    """

    steps: int = static(
        default=None,
        interval="[1, inf)",
        required=True,
        hint="The batch that is meant, over that which fits.",
    )

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p))

    def update_leaves(
        self, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """Add to the sums; every so many times, step along their mean."""
        self.check_gradients(gradients)
        params = [jnp.asarray(p) for p in params]
        sums = tuple(
            s if g is None else Slots(s.accumulated + jnp.asarray(g, wide(p).dtype))
            for g, p, s in zip(gradients, params, state.slots, strict=True)
        )

        def move(operand: Any) -> Any:
            sums, state, params = operand
            means = [
                None if g is None else s.accumulated / self.steps
                for g, s in zip(gradients, sums, strict=True)
            ]
            new, state = self.update_members(means, state, params, tensors, objective)
            return new, state._replace(slots=jax.tree.map(jnp.zeros_like, sums))

        def wait(operand: Any) -> Any:
            sums, state, params = operand
            return params, state._replace(slots=sums, iterations=state.iterations + 1)

        due = (state.iterations + 1) % self.steps == 0
        return jax.lax.cond(due, move, wait, (sums, state, params))

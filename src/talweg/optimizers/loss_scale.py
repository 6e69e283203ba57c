"""Dynamic loss scaling: small gradients of float16 lifted above what it rounds to zero.

    the loss is multiplied by S before it is differentiated, the gradients divided by S
    all gradients finite:   step;  after `dynamic_growth_steps` such steps  S <- 2 S
    otherwise:              no step;                                        S <- S / 2

Micikevicius et al., Mixed Precision Training, ICLR 2018, arXiv:1710.03740, in Keras's form.
S never falls below 1: gradients that are not finite there did not overflow, they are
broken, and are let through to whoever watches the weights. (Keras halves on to zero, after
which no weight ever moves again.)
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.hyperparameters import hyper, static
from talweg.core.variables import Variable
from talweg.optimizers.base import Optimizer
from talweg.optimizers.composed import Wrapper
from talweg.optimizers.state import Objective, OptimizerState, Tensor
from talweg.optimizers.transforms import all_finite

FLOOR = 1.0


class Shared(NamedTuple):
    step_counter: Any
    dynamic_scale: Any


class LossScaleOptimizer(Wrapper):
    """Scales the loss for float16, as high as its gradients stay finite.

    When to use it: with float16, whose smallest numbers gradients fall below; bfloat16 does
    without. `compile` wraps the optimizer of a model with the policy "mixed_float16" by itself.

    Args:
        inner_optimizer: an optimizer, its name or its record.
        initial_scale: the scale at first; too high is soon halved, 32768.
        dynamic_growth_steps: after how many good steps it is doubled.

    Raises:
        ValueError: the optimizer inside has a `loss_scale_factor` already.

    >>> optimizer = LossScaleOptimizer("adam", initial_scale=1024.0)
    >>> state = optimizer.init([1.0])
    >>> _, state = optimizer.update([jnp.float32("inf")], state, [1.0])
    >>> float(state.shared.dynamic_scale)
    512.0

    Source: Micikevicius et al., ICLR 2018, arXiv:1710.03740.
    """

    handles_overflow = True

    initial_scale: float = hyper(default=2.0**15, interval="[1, inf)")
    dynamic_growth_steps: int = static(default=2000, interval="[1, inf)")

    def __init__(self, inner_optimizer: Any, *args: Any, **kwargs: Any):
        super().__init__(inner_optimizer, *args, **kwargs)
        if self.inner_optimizer.loss_scale_factor is not None:
            raise errors.invalid(
                "LossScaleOptimizer", "inner_optimizer", "one without loss_scale_factor",
                self.inner_optimizer, "The gradients would be scaled twice.",
            )  # fmt: skip
        # Keras lists a rate of the wrapper's own, which nothing reads.
        self._unused_rate = Variable(0.0, trainable=False, name="learning_rate")

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """The optimizer that `get_config` described.

        Earlier versions of Keras recorded the arguments of every optimizer here too, all unset.
        """
        unset = {
            name
            for name, argument in Optimizer.hypers.items()
            if name not in cls.hypers and config.get(name) == argument.default
        }
        kept = {name: value for name, value in config.items() if name not in unset}
        return super().from_config(kept, custom_objects)

    def init_shared(self, params: Sequence[Any], h: Any) -> Shared:
        return Shared(jnp.int32(0), jnp.asarray(h.initial_scale, jnp.float32))

    def scaled_loss(self, loss: Any, state: OptimizerState) -> Any:
        scale = state.shared.dynamic_scale if state.shared else state.hyper["initial_scale"]
        loss = jnp.asarray(loss)
        return super().scaled_loss(loss * scale.astype(loss.dtype), state)

    def update_leaves(
        self, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        count, scale = state.shared
        present = [jnp.asarray(g) for g in gradients if g is not None]
        overflow = ~all_finite(present) & (scale > FLOOR)
        grads = [g if g is None else g.astype(jnp.float32) / scale for g in gradients]

        def step(operand: Any) -> Any:
            params, state = operand
            new, state = self.update_part(0, grads, state, params, tensors, objective)
            grown = count + 1 >= self.dynamic_growth_steps
            shared = Shared(jnp.where(grown, 0, count + 1), jnp.where(grown, scale * 2, scale))
            return new, state._replace(shared=shared)

        def skip(operand: Any) -> Any:
            params, state = operand
            lower = jnp.maximum(scale / 2, FLOOR)
            return params, state._replace(shared=Shared(jnp.int32(0), lower))

        start = [jnp.asarray(p) for p in params]
        new, state = jax.lax.cond(overflow, skip, step, (start, state))
        return new, state._replace(iterations=state.iterations + 1)

    @property
    def iterations(self) -> Any:
        """How many steps were taken; those that overflowed were not."""
        return self.inner_optimizer.iterations

    @property
    def dynamic_scale(self) -> Any:
        """The present scale: a variable once built."""
        return self.state.shared.dynamic_scale

    @property
    def variables(self) -> list[Variable]:
        own = [] if self._state is None else list(self._state.shared)
        return [self._iterations, self._unused_rate, *own, *self.inner_optimizer.variables]

"""Wrappers that keep a point beside the trained weights, and evaluate there.

Kept is the way from the trained weights p to that point, `offset`. When a step moves p by
d, the point stays where it is, so `offset <- offset - d`; then

    p <- p + jump * offset,    offset <- keep * offset

With keep = 1 the point stands still; with keep = k the weights pull it by 1 - k of the
way; with jump the weights go towards it. From p and the offset follows the point, and from
the point and the offset follows p: a model that was saved at the point can be trained on.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.optimizers.composed import Wrapper
from talweg.optimizers.state import Objective, OptimizerState, Tensor, wide


class Slots(NamedTuple):
    offset: Any


class Beside(Wrapper):
    """Base of these wrappers; they define `pull`.

    Args:
        inner_optimizer: an optimizer, its name or its record.
    """

    trains_elsewhere = True

    def pull(self, values: dict[str, Any], t: jax.Array) -> tuple[Any, Any]:
        """(jump, keep) of step `t`, an int32 from 1; jump is None where the weights stay."""
        raise NotImplementedError

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        return Slots(jnp.zeros_like(p))

    def update_leaves(
        self, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """Step the optimizer inside, then pull; what did not step is not pulled."""
        jump, keep = self.pull(self.values_at(state), state.iterations + 1)
        new, after = self.update_members(gradients, state, params, tensors, objective)
        slots = list(state.slots)
        for i, tensor in enumerate(tensors):
            if gradients[i] is None:
                continue
            stepped = wide(new[i])
            offset = slots[i].offset - (stepped - wide(jnp.asarray(params[i])))
            moved = stepped if jump is None else stepped + jump.astype(offset.dtype) * offset
            kept = keep.astype(offset.dtype) * offset
            if tensor.factors is not None:
                moved = jnp.where(tensor.factors.frozen, stepped, moved)
                kept = jnp.where(tensor.factors.frozen, slots[i].offset, kept)
            new[i], slots[i] = moved.astype(new[i].dtype), Slots(kept)
        return new, after._replace(slots=tuple(slots))

    def evaluation_leaves(
        self, params: Sequence[Any], state: OptimizerState, tensors: Sequence[Tensor]
    ) -> list[Any]:
        return [_plus(p, s.offset) for p, s in zip(params, state.slots, strict=True)]

    def training_leaves(
        self, params: Sequence[Any], state: OptimizerState, tensors: Sequence[Tensor]
    ) -> list[Any]:
        return [_plus(p, -s.offset) for p, s in zip(params, state.slots, strict=True)]


def _plus(p: Any, offset: jax.Array) -> jax.Array:
    p = jnp.asarray(p)
    return (wide(p) + offset).astype(p.dtype)

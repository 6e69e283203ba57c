"""The pure face: a state, and the step from one state to the next.

    state = optimizer.init(params)
    params, state = optimizer.update(grads, state, params)

The order of a step: drop missing gradients, unscale, accumulate, clip, decay the weights,
apply the rule, average, count. Tensors of less than 32 bits are stepped in float32 and
rounded once at the end: small updates of long averages would vanish in them.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.optimizers import transforms
from talweg.optimizers.hyperparameters import Hyperparameters, Scheduled


class OptimizerState(NamedTuple):
    """All that an optimizer knows, a pytree.

    Attributes:
        iterations: how many gradients came, int32.
        hyper: the numeric hyperparameters, the constant rate and its multiplier.
        slots: what the rule keeps for each tensor, a NamedTuple of arrays each.
        shared: what the rule keeps once for all tensors.
        average: the exponential average of each tensor; empty without `use_ema`.
        accumulated: the sum of gradients; empty without accumulation.
        schedule: the schedule of the rate, static; None where the rate is constant.
    """

    iterations: Any
    hyper: dict[str, Any]
    slots: tuple[Any, ...]
    shared: Any
    average: tuple[Any, ...]
    accumulated: tuple[Any, ...]
    schedule: Scheduled | None = None


class GradientTransformation(NamedTuple):
    """The pair of functions that optax composes."""

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


class Functional(Hyperparameters):
    """An optimizer as pure functions over any pytree of arrays."""

    rule: ClassVar[Callable[..., tuple[Any, Any]]]
    # Slots that Keras lists after those of all tensors, in place of interleaved.
    trailing_slots: ClassVar[tuple[str, ...]] = ()

    # -- what a subclass defines, beside `rule` --------------------------------------

    def init_slots(self, p: Any, h: Any) -> Any:
        """What the rule keeps for one tensor before the first step, a NamedTuple."""
        return ()

    def init_shared(self, params: Sequence[Any], h: Any) -> Any:
        """What the rule keeps for all tensors before the first step, a NamedTuple."""
        return ()

    def advance(self, shared: Any, h: Any, t: Any) -> Any:
        """The shared state of step `t`; its fields are given to the rule in `h`."""
        return shared

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Any, h: Any, t: Any,
    ) -> tuple[list[Any], list[Any], Any]:  # fmt: skip
        """Apply the rule to every tensor. Methods that need the whole tree override this.

        Args:
            grads: clipped gradients.
            params: parameters, decayed already.
            slots: what the rule kept for each tensor.
            shared: what it kept for all.
            h: hyperparameters by name; `h.learning_rate` is the rate to apply and
                `h.positions` says which tensors of the tree these are.
            t: the number of this step, from 1, a float32 scalar.

        Returns:
            New parameters, slots, and shared state.
        """
        shared = self.advance(shared, h, t)
        new: list[Any] = []
        kept: list[Any] = []
        for g, p, s in zip(grads, params, slots, strict=True):
            update, slot = type(self).rule(g, p, s, _cast(h, shared, p.dtype), t.astype(p.dtype))
            new.append(p + update)
            kept.append(slot)
        return new, kept, shared

    # -- init, update ----------------------------------------------------------------

    def init(self, params: Any, hyper: dict[str, Any] | None = None) -> OptimizerState:
        """The state before the first step.

        Args:
            params: any pytree of arrays.
            hyper: hyperparameters that differ from the optimizer's own, as arrays; over
                their leading axis `jax.vmap` makes a population.
        """
        leaves = [wide(jnp.asarray(leaf)) for leaf in jax.tree.leaves(params)]
        values = {**self.hyper_state(), **(hyper or {})}
        h = self._namespace(values, jnp.float32(0))
        accumulate = self.gradient_accumulation_steps is not None
        return OptimizerState(
            iterations=jnp.int32(0),
            hyper=values,
            slots=tuple(self.init_slots(leaf, h) for leaf in leaves),
            shared=self.init_shared(leaves, h),
            # Copies: the average must not share a buffer that a step may reuse.
            average=tuple(leaf.copy() for leaf in leaves) if self.use_ema else (),
            accumulated=tuple(jnp.zeros_like(leaf) for leaf in leaves) if accumulate else (),
            schedule=self.scheduled,
        )

    @property
    def scheduled(self) -> Scheduled | None:
        """The schedule as it stands in the pure state."""
        return None if self.schedule is None else Scheduled(self.schedule)

    def update(self, grads: Any, state: OptimizerState, params: Any) -> tuple[Any, OptimizerState]:
        """One step: new parameters and new state.

        Args:
            grads: the gradients, a tree like `params`; None where there is none.
            state: what `init` or the last `update` returned.
            params: any pytree of arrays.

        Raises:
            ValueError: no gradient at all.
        """
        leaves, tree = jax.tree.flatten(params)
        gradients = tree.flatten_up_to(grads)
        new, state = self.update_leaves(gradients, state, leaves, [True] * len(leaves))
        return jax.tree.unflatten(tree, new), state

    def as_optax(self) -> GradientTransformation:
        """The optimizer as an optax transformation: `init(params)`, `update(g, s, params)`.

        The updates are to be added to the parameters (`optax.apply_updates`).
        """

        def update(grads: Any, state: OptimizerState, params: Any = None, **_: Any) -> Any:
            if params is None:
                raise errors.invalid(type(self).__name__, "params", "given to update", params)
            new, state = self.update(grads, state, params)
            return jax.tree.map(jnp.subtract, new, params), state

        return GradientTransformation(self.init, update)

    def update_leaves(
        self,
        gradients: Sequence[Any],
        state: OptimizerState,
        params: Sequence[Any],
        decayed: Sequence[bool],
    ) -> tuple[list[Any], OptimizerState]:
        """One step over lists; `decayed` says which tensors weight decay applies to."""
        if not gradients:  # a model without trainable weights
            return [], state
        present = [i for i, gradient in enumerate(gradients) if gradient is not None]
        if not present:
            raise ValueError(
                f"{type(self).__name__}: No gradients provided for any variable. Does the loss "
                "depend on them?"
            )
        params = [jnp.asarray(p) for p in params]
        grads = [jnp.asarray(gradients[i], wide(params[i]).dtype) for i in present]
        if "loss_scale_factor" in state.hyper:
            grads = [g / state.hyper["loss_scale_factor"].astype(g.dtype) for g in grads]
        if self.gradient_accumulation_steps is None:
            new, state = self._step(present, grads, state, params, decayed)
        else:
            new, state = self._accumulate(present, grads, state, params, decayed)
        if self.use_ema:
            new, state = self._average(new, state)
        return new, state._replace(iterations=state.iterations + 1)

    # -- the parts of a step ---------------------------------------------------------

    def _step(
        self, present: Sequence[int], gradients: Sequence[Any], state: OptimizerState,
        params: Sequence[Any], decayed: Sequence[bool],
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """Clip, decay and apply the rule to the tensors that have a gradient."""
        rate = self.rate_at(state)
        t = (state.iterations // (self.gradient_accumulation_steps or 1) + 1).astype(jnp.float32)
        moved = [wide(params[i]) for i in present]
        grads = self._clip(gradients, state.hyper)
        if "weight_decay" in state.hyper:
            mask = [decayed[i] for i in present]
            moved = transforms.decay(moved, mask, rate, state.hyper["weight_decay"])
        h = self._namespace(state.hyper, rate)
        h.positions = present
        slots = [state.slots[i] for i in present] if state.slots else [()] * len(present)
        moved, slots, shared = self.apply_rule(grads, moved, slots, state.shared, h, t)
        moved = [m.astype(params[i].dtype) for i, m in zip(present, moved, strict=True)]
        if state.slots:
            state = state._replace(slots=tuple(_replaced(state.slots, present, slots)))
        return _replaced(params, present, moved), state._replace(shared=shared)

    def _accumulate(
        self, present: Sequence[int], gradients: Sequence[Any], state: OptimizerState,
        params: Sequence[Any], decayed: Sequence[bool],
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """Add to the sums; every so many times, step along their mean."""
        steps = self.gradient_accumulation_steps or 1
        sums = [state.accumulated[i] + g for i, g in zip(present, gradients, strict=True)]

        def move(operand: Any) -> Any:
            sums, state, params = operand
            means = [total / steps for total in sums]
            new, state = self._step(present, means, state, params, decayed)
            zeros = [jnp.zeros_like(total) for total in sums]
            kept = tuple(_replaced(state.accumulated, present, zeros))
            return new, state._replace(accumulated=kept)

        def wait(operand: Any) -> Any:
            sums, state, params = operand
            kept = tuple(_replaced(state.accumulated, present, sums))
            return params, state._replace(accumulated=kept)

        due = (state.iterations + 1) % steps == 0
        return jax.lax.cond(due, move, wait, (sums, state, list(params)))

    def _average(
        self, params: Sequence[Any], state: OptimizerState
    ) -> tuple[list[Any], OptimizerState]:
        """Move the averages; every so many steps, the weights become them."""
        count = state.iterations // (self.gradient_accumulation_steps or 1)
        average = transforms.moving_average(
            state.average, params, state.hyper["ema_momentum"], count
        )
        new = list(params)
        if self.ema_overwrite_frequency:
            due = (count + 1) % self.ema_overwrite_frequency == 0
            new = [jnp.where(due, a.astype(p.dtype), p) for a, p in zip(average, new, strict=True)]
        return new, state._replace(average=tuple(average))

    def _clip(self, gradients: Sequence[Any], hyper: dict[str, Any]) -> list[Any]:
        if "clipnorm" in hyper:
            limit = hyper["clipnorm"]
            return [transforms.clip_by_norm(g, limit.astype(g.dtype)) for g in gradients]
        if "global_clipnorm" in hyper:
            return transforms.clip_by_global_norm(gradients, hyper["global_clipnorm"])
        if "clipvalue" in hyper:
            limit = hyper["clipvalue"]
            return [jnp.clip(g, -limit.astype(g.dtype), limit.astype(g.dtype)) for g in gradients]
        return list(gradients)

    def _namespace(self, hyper: dict[str, Any], rate: Any) -> SimpleNamespace:
        statics = {
            name: self._values[name] for name, value in self.hypers.items() if not value.traced
        }
        return SimpleNamespace(**{**statics, **hyper, "learning_rate": rate})


def wide(array: jax.Array) -> jax.Array:
    """Half and quarter types as float32, all others as they are."""
    narrow = jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize < 4
    return array.astype(jnp.float32) if narrow else array


def _replaced(items: Sequence[Any], positions: Sequence[int], new: Sequence[Any]) -> list[Any]:
    result = list(items)
    for position, item in zip(positions, new, strict=True):
        result[position] = item
    return result


def _cast(h: SimpleNamespace, shared: Any, dtype: Any) -> SimpleNamespace:
    """Hyperparameters and shared values as scalars of the tensor's own type."""
    fields = {**vars(h), **(shared._asdict() if shared != () else {})}
    return SimpleNamespace(
        **{k: v.astype(dtype) if isinstance(v, jax.Array) else v for k, v in fields.items()}
    )

"""The pure face: a state, and the step from one state to the next.

    state = optimizer.init(params)
    params, state = optimizer.update(grads, state, params)

The order of a step: drop missing gradients, unscale, accumulate, clip, decay the weights,
apply the rule, average, count. Tensors of less than 32 bits are stepped in float32 and
rounded once at the end: small updates of long averages would vanish in them.

To step in place, jit a function that takes parameters and state in the order in which it
returns them, and donate both. JAX pairs donated buffers with results of one shape in order:
another order makes XLA copy all of them, at ten times the time.

    step = jax.jit(lambda params, state, grads: optimizer.update(grads, state, params),
                   donate_argnums=(0, 1))

Longer than other files: the order of a step is read in one place.
"""

import functools
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core import errors, one_pass
from talweg.optimizers import transforms
from talweg.optimizers.conditions import anywhere
from talweg.optimizers.hyperparameters import Hyperparameters
from talweg.optimizers.state import (
    Factors,
    Objective,
    OptimizerState,
    Tensor,
    among,
    replaced,
    tensors_of,
    wide,
)


class GradientTransformation(NamedTuple):
    """The pair of functions that optax composes."""

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


class Functional(Hyperparameters):
    """An optimizer as pure functions over any pytree of arrays."""

    rule: ClassVar[Callable[..., tuple[Any, Any]]]
    # Slots that Keras lists after those of all tensors, in place of interleaved.
    trailing_slots: ClassVar[tuple[str, ...]] = ()
    # Whether a step asks for the loss or the gradient again, by `h.objective`.
    needs_objective: ClassVar[bool] = False
    # Whether weight decay is part of the rule, by `h.decays`, and not done before it.
    decays_itself: ClassVar[bool] = False
    # Whether gradients that are not finite are part of its business.
    handles_overflow: ClassVar[bool] = False
    # Whether the weights to evaluate are others than those that are trained.
    trains_elsewhere: ClassVar[bool] = False

    # -- what a subclass defines, beside `rule` --------------------------------------

    def init_slots(self, p: Any, h: Any) -> Any:
        """What the rule keeps for the tensor `h.name` before the first step, a NamedTuple."""
        return ()

    def init_shared(self, params: Sequence[Any], h: Any) -> Any:
        """What the rule keeps for all tensors before the first step, a NamedTuple."""
        return ()

    def advance(self, shared: Any, h: Any, t: Any) -> Any:
        """The shared state of step `t`; its fields are given to the rule in `h`."""
        return shared

    def rules(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        own: Sequence[Any], t: Any,
    ) -> list[tuple[Any, Any]]:  # fmt: skip
        """`rule` of several tensors, each with hyperparameters of its own.

        Methods that are quicker with tensors of one shape together override this; what becomes
        of a tensor must not depend on the others.
        """
        rows = zip(grads, params, slots, own, strict=True)
        return [self.rule(g, p, s, h, t.astype(p.dtype)) for g, p, s, h in rows]

    def decay_of(self, p: Any, name: str, values: dict[str, Any]) -> Any:
        """The weight decay of a tensor, out of the hyperparameters; None for none."""
        return values.get("weight_decay")

    def evaluated(self, p: Any, s: Any, h: Any) -> Any:
        """The tensor to evaluate with, from the one that is trained."""
        return p

    def trained(self, x: Any, s: Any, h: Any) -> Any:
        """The tensor to train, from the one to evaluate with: the inverse of `evaluated`."""
        return x

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Any, h: Any, t: Any,
    ) -> tuple[list[Any], list[Any], Any]:  # fmt: skip
        """Apply the rule to every tensor. Methods that need the whole tree override this.

        Args:
            grads: clipped gradients.
            params: parameters, decayed already unless it `decays_itself`.
            slots: what the rule kept for each tensor.
            shared: what it kept for all.
            h: hyperparameters by name. Lists parallel to `params`: `h.rates`, the rate of
                each tensor, `h.decays`, its weight decay or None, `h.names`, its path, and
                `h.positions`, its place in the tree.
                `h.objective(params)` gives the loss and the gradients for other values of
                these tensors; None where the caller cannot.
            t: the number of this step, from 1, a float32 scalar.

        Returns:
            New parameters, slots, and shared state.
        """
        shared = self.advance(shared, h, t)

        def moved(members: Sequence[int], params: Sequence[Any], slots: Sequence[Any]) -> Any:
            own = [
                of_tensor(h, shared, p.dtype, h.names[i], h.rates[i])
                for i, p in zip(members, params, strict=True)
            ]
            steps = self.rules([grads[i] for i in members], params, slots, own, t)
            new = [p + update for p, (update, _) in zip(params, steps, strict=True)]
            return new, [slot for _, slot in steps]

        everything = list(range(len(params)))
        if not any(f is not None for f in h.frozen):
            return *moved(everything, params, slots), shared
        flags = {id(flag): flag for flag in h.frozen}

        def by_part(params: Sequence[Any], slots: Sequence[Any]) -> Any:
            new, kept = list(params), list(slots)
            for key, flag in flags.items():
                members = [i for i in everything if id(h.frozen[i]) == key]
                old = [params[i] for i in members], [slots[i] for i in members]
                step = functools.partial(moved, members)
                done = step(*old) if flag is None else jax.lax.cond(~flag, step, _stay, *old)
                for i, p, s in zip(members, *done, strict=True):
                    new[i], kept[i] = p, s
            return new, kept

        if one_pass.at_work():  # a loop sees by itself what is frozen, and does all parts at once
            return *by_part(params, slots), shared
        # All at once where nothing is frozen, for a condition for each part takes a fifth longer.
        # Choosing number by number makes XLA keep copies of both; and it copies unless what stands
        # still is the branch for False: hence two conditions, one after the other.
        some = anywhere(jnp.any(jnp.stack([flag for flag in flags.values() if flag is not None])))
        state = list(params), list(slots)
        state = jax.lax.cond(~some, functools.partial(moved, everything), _stay, *state)
        new, kept = jax.lax.cond(some, by_part, _stay, *state)
        return new, kept, shared

    # -- init, update ----------------------------------------------------------------

    def init(self, params: Any, hyper: dict[str, Any] | None = None) -> OptimizerState:
        """The state before the first step.

        Args:
            params: any pytree of arrays.
            hyper: hyperparameters that differ from the optimizer's own, as arrays; over
                their leading axis `jax.vmap` makes a population.
        """
        state = self.init_leaves(jax.tree.leaves(params), tensors_of(params), hyper)
        return _apart(state, params)

    def init_leaves(
        self, params: Sequence[Any], tensors: Sequence[Tensor], hyper: dict[str, Any] | None = None
    ) -> OptimizerState:
        """`init` over lists."""
        leaves = [wide(jnp.asarray(leaf)) for leaf in params]
        stored = {**self.hyper_state(), **(hyper or {})}
        h = self._namespace({**stored, **self.scheduled.at(jnp.int32(0))}, jnp.float32(0))
        h.names = [tensor.name for tensor in tensors]
        accumulate = self.gradient_accumulation_steps is not None
        return OptimizerState(
            iterations=jnp.int32(0),
            hyper=stored,
            slots=tuple(
                self.init_slots(leaf, SimpleNamespace(**{**vars(h), "name": name}))
                for leaf, name in zip(leaves, h.names, strict=True)
            ),
            shared=self.init_shared(leaves, h),
            # Copies: the average must not share a buffer that a step may reuse.
            average=tuple(leaf.copy() for leaf in leaves) if self.use_ema else (),
            accumulated=tuple(jnp.zeros_like(leaf) for leaf in leaves) if accumulate else (),
            schedules=self.scheduled,
        )

    def update(
        self, grads: Any, state: OptimizerState, params: Any, objective: Objective | None = None
    ) -> tuple[Any, OptimizerState]:
        """One step: new parameters and new state.

        Args:
            grads: the gradients, a tree like `params`; None where there is none.
            state: what `init` or the last `update` returned.
            params: any pytree of arrays.
            objective: `(params) -> (loss, grads)` on the same batch, for optimizers that
                look at it again.

        Raises:
            ValueError: no gradient at all, or no objective where one is needed.
        """
        return self._update_by(self.step_leaves, grads, state, params, objective)

    def _update_by(
        self, step: Callable[..., Any], grads: Any, state: OptimizerState, params: Any,
        objective: Objective | None,
    ) -> tuple[Any, OptimizerState]:  # fmt: skip
        """`update` by a `step` over lists."""
        leaves, tree = jax.tree.flatten(params)

        def among_leaves(leaves: Any) -> tuple[Any, Any]:
            assert objective is not None
            loss, grads = objective(jax.tree.unflatten(tree, leaves))
            return loss, tree.flatten_up_to(grads)

        new, state = step(
            tree.flatten_up_to(grads), state, leaves, tensors_of(params),
            among_leaves if objective else None,
        )  # fmt: skip
        return jax.tree.unflatten(tree, new), state

    def as_optax(self) -> GradientTransformation:
        """The optimizer as an optax transformation: `init(params)`, `update(g, s, params)`.

        The updates are to be added to the parameters (`optax.apply_updates`).
        """

        def update(
            grads: Any, state: OptimizerState, params: Any = None,
            objective: Objective | None = None, **_: Any,
        ) -> Any:  # fmt: skip
            if params is None:
                raise errors.invalid(type(self).__name__, "params", "given to update", params)
            # The parameters are needed once more: a loop over them would make XLA copy them.
            step = self.update_leaves
            new, state = self._update_by(step, grads, state, params, objective)
            return jax.tree.map(jnp.subtract, new, params), state

        return GradientTransformation(self.init, update)

    def step_leaves(
        self, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """`update_leaves` as a whole, in one pass over memory where that is set and helps."""

        def step(params: Any, state: Any, gradients: Any) -> Any:
            return self.update_leaves(gradients, state, params, tensors, objective)

        # One that looks at the loss again has the model inside.
        in_one_pass = not self.needs_objective and one_pass.in_use(params)
        run = one_pass.in_one_pass(step) if in_one_pass else step
        return run(list(params), state, list(gradients))

    def update_leaves(
        self,
        gradients: Sequence[Any],
        state: OptimizerState,
        params: Sequence[Any],
        tensors: Sequence[Tensor],
        objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:
        """`update` over lists."""
        if not gradients:  # a model without trainable weights
            return [], state
        self.check_objective(objective)
        self.check_gradients(gradients)
        present = [i for i, gradient in enumerate(gradients) if gradient is not None]
        params = [jnp.asarray(p) for p in params]
        grads = [jnp.asarray(gradients[i], wide(params[i]).dtype) for i in present]
        if "loss_scale_factor" in state.hyper:
            grads = [g / state.hyper["loss_scale_factor"].astype(g.dtype) for g in grads]
        step = self._step if self.gradient_accumulation_steps is None else self._accumulate
        new, state = step(present, grads, state, params, tensors, objective)
        if self.use_ema:
            new, state = self._average(new, state)
        return new, state._replace(iterations=state.iterations + 1)

    def check_gradients(self, gradients: Sequence[Any]) -> None:
        """Refuse a step over tensors none of which has a gradient."""
        if gradients and all(gradient is None for gradient in gradients):
            raise ValueError(
                f"{type(self).__name__}: No gradients provided for any variable. Does the loss "
                "depend on them?"
            )

    def check_objective(self, objective: Objective | None) -> None:
        """Refuse a step that cannot look at the loss again, where it must."""
        if self.needs_objective and objective is None:
            raise errors.invalid(
                type(self).__name__, "objective", "`(params) -> (loss, grads)`", objective,
                "It looks at the loss more than once a step: train with fit(), or pass "
                "objective= to update() or apply().",
            )  # fmt: skip

    def scaled_loss(self, loss: Any, state: OptimizerState) -> Any:
        """The loss as it is to be differentiated; pure."""
        factor = state.hyper.get("loss_scale_factor")
        return loss if factor is None else loss * factor

    def evaluation_leaves(
        self, params: Sequence[Any], state: OptimizerState, tensors: Sequence[Tensor]
    ) -> list[Any]:
        """The weights to evaluate with, from those that are trained; pure."""
        return self._elsewhere(self.evaluated, params, state, tensors)

    def training_leaves(
        self, params: Sequence[Any], state: OptimizerState, tensors: Sequence[Tensor]
    ) -> list[Any]:
        """The weights to train, from those to evaluate with; pure."""
        return self._elsewhere(self.trained, params, state, tensors)

    def _elsewhere(
        self, way: Callable[..., Any], params: Sequence[Any], state: OptimizerState,
        tensors: Sequence[Tensor],
    ) -> list[Any]:  # fmt: skip
        if not self.trains_elsewhere:
            return list(params)
        h = self._namespace(self.values_at(state), self.rate_at(state))
        moved: list[Any] = []
        for p, s, tensor in zip(map(jnp.asarray, params), state.slots, tensors, strict=True):
            dtype = wide(p).dtype
            own = of_tensor(h, state.shared, dtype, tensor.name, h.learning_rate)
            moved.append(way(wide(p), s, own).astype(p.dtype))
        return moved

    @property
    def by_tensor(self) -> bool:
        """Whether nothing but `rule` makes the step: it sees one tensor at a time."""
        own = type(self)
        return own.apply_rule is Functional.apply_rule and own.rules is Functional.rules

    def number_of_step(self, iterations: Any) -> Any:
        """The number of the step that so many gradients came before, from 1, a float32."""
        return (iterations // (self.gradient_accumulation_steps or 1) + 1).astype(jnp.float32)

    # -- the parts of a step ---------------------------------------------------------

    def _step(
        self, present: Sequence[int], gradients: Sequence[Any], state: OptimizerState,
        params: Sequence[Any], tensors: Sequence[Tensor], objective: Objective | None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """Clip, decay and apply the rule to the tensors that have a gradient."""
        rate, values = self.rate_at(state), self.values_at(state)
        t = self.number_of_step(state.iterations)
        before = [wide(params[i]) for i in present]
        factors = [tensors[i].factors for i in present]
        frozen = [None if f is None or f.frozen is False else f.frozen for f in factors]
        if "global_clipnorm" in values or not self.by_tensor:
            # A frozen part has no say in a joint norm.
            gradients = [
                g if f is None else jnp.where(f, jnp.zeros_like(g), g)
                for g, f in zip(gradients, frozen, strict=True)
            ]
        rates = [rate if f is None else rate * f.rate for f in factors]
        grads = self._clip(gradients, values, factors)
        decays = [
            None if not tensors[i].decays else self.decay_of(p, tensors[i].name, values)
            for i, p in zip(present, before, strict=True)
        ]
        decays = [
            d if d is None or f is None else d * jnp.where(f.frozen, 0.0, f.decay)
            for d, f in zip(decays, factors, strict=True)
        ]
        moved = before if self.decays_itself else transforms.decay(before, rates, decays)
        h = self._namespace(values, rate)
        h.positions, h.rates, h.decays = present, rates, decays
        h.names = [tensors[i].name for i in present]
        h.objective = objective and among(objective, params, present)
        h.frozen = frozen if self.by_tensor else []
        old_slots = [state.slots[i] for i in present] if state.slots else [()] * len(present)
        moved, slots, shared = self.apply_rule(grads, moved, old_slots, state.shared, h, t)
        for k, f in enumerate([] if self.by_tensor else frozen):
            if f is not None:
                moved[k] = jnp.where(f, before[k], moved[k])
                slots[k] = _held(f, old_slots[k], slots[k])
        moved = [m.astype(params[i].dtype) for i, m in zip(present, moved, strict=True)]
        if state.slots:
            state = state._replace(slots=tuple(replaced(state.slots, present, slots)))
        return replaced(params, present, moved), state._replace(shared=shared)

    def _accumulate(
        self, present: Sequence[int], gradients: Sequence[Any], state: OptimizerState,
        params: Sequence[Any], tensors: Sequence[Tensor], objective: Objective | None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """Add to the sums; every so many times, step along their mean."""
        steps = self.gradient_accumulation_steps or 1
        sums = [state.accumulated[i] + g for i, g in zip(present, gradients, strict=True)]

        def move(operand: Any) -> Any:
            sums, state, params = operand
            means = [total / steps for total in sums]
            new, state = self._step(present, means, state, params, tensors, objective)
            zeros = [jnp.zeros_like(total) for total in sums]
            kept = tuple(replaced(state.accumulated, present, zeros))
            return new, state._replace(accumulated=kept)

        def wait(operand: Any) -> Any:
            sums, state, params = operand
            kept = tuple(replaced(state.accumulated, present, sums))
            return params, state._replace(accumulated=kept)

        due = (state.iterations + 1) % steps == 0
        return jax.lax.cond(due, move, wait, (sums, state, list(params)))

    def _average(
        self, params: Sequence[Any], state: OptimizerState
    ) -> tuple[list[Any], OptimizerState]:
        """Move the averages; every so many steps, the weights become them."""
        count = state.iterations // (self.gradient_accumulation_steps or 1)
        momentum = self.values_at(state)["ema_momentum"]
        average = transforms.moving_average(state.average, params, momentum, count)
        new = list(params)
        if self.ema_overwrite_frequency:
            due = (count + 1) % self.ema_overwrite_frequency == 0
            new = [jnp.where(due, a.astype(p.dtype), p) for a, p in zip(average, new, strict=True)]
        return new, state._replace(average=tuple(average))

    def _clip(
        self, gradients: Sequence[Any], values: dict[str, Any], factors: Sequence[Factors | None]
    ) -> list[Any]:
        kind = next((k for k in ("clipnorm", "global_clipnorm", "clipvalue") if k in values), None)
        if kind is None:
            return list(gradients)
        limits = [values[kind] if f is None else values[kind] * f.clip for f in factors]
        if kind == "global_clipnorm":
            return transforms.clip_by_global_norm(gradients, limits)
        clip = transforms.clip_by_norm if kind == "clipnorm" else transforms.clip_by_value
        return [clip(g, limit.astype(g.dtype)) for g, limit in zip(gradients, limits, strict=True)]

    def _namespace(self, hyper: dict[str, Any], rate: Any) -> SimpleNamespace:
        statics = {
            name: self._values[name] for name, value in self.hypers.items() if not value.traced
        }
        return SimpleNamespace(**{**statics, **hyper, "learning_rate": rate})


def _apart(state: OptimizerState, params: Any) -> OptimizerState:
    """Every array in a buffer of its own, so that a jitted step may overwrite the state."""
    taken = {id(leaf) for leaf in jax.tree.leaves((params, state.hyper))}

    def own(leaf: Any) -> Any:
        if id(leaf) in taken:
            return jnp.copy(leaf)
        taken.add(id(leaf))
        return leaf

    return jax.tree.map(own, state)


def _stay(params: Any, slots: Any) -> Any:
    return params, slots


def _held(frozen: Any, old: Any, new: Any) -> Any:
    return jax.tree.map(lambda o, n: jnp.where(frozen, o, n), old, new)


def of_tensor(h: SimpleNamespace, shared: Any, dtype: Any, name: str, rate: Any) -> SimpleNamespace:
    """Hyperparameters and shared values as scalars of one tensor's own type."""
    fields = {**vars(h), **(shared._asdict() if shared != () else {})}
    own = {
        key: value.astype(dtype)
        if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.floating)
        else value
        for key, value in fields.items()
    }
    return SimpleNamespace(**{**own, "name": name, "learning_rate": rate.astype(dtype)})

"""Optimizer: what all optimizers share, written once.

A subclass declares its hyperparameters and gives a pure rule for one tensor; the base
adds the rate law, clipping, decoupled weight decay, averaging, accumulation, and three
faces over the same rule:

    pure    state = optimizer.init(params)
            params, state = optimizer.update(grads, state, params)
    Keras   optimizer.build(variables); optimizer.apply(grads); optimizer.variables
    optax   optimizer.as_optax()

The law of the rate:  rate(step) = (constant or schedule(step)) * rate_multiplier.
Every numeric hyperparameter is an array in the state: it can change at any step without
recompiling, it is saved with the state, and vmap over it trains a population.

The order of a step: drop missing gradients, unscale, accumulate, clip, decay the
weights, apply the rule, average, constrain, count.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple, cast

import jax
import jax.numpy as jnp

from talweg.core import errors, names
from talweg.core.hyperparameters import Declared, Hyper, hyper, static
from talweg.core.serialization import deserialize_keras_object, serialize_keras_object
from talweg.core.variables import Variable, lend
from talweg.optimizers import transforms
from talweg.schedules import LearningRateSchedule

Array = jax.Array


class OptimizerState(NamedTuple):
    """All that an optimizer knows, a pytree.

    Attributes:
        iterations: how many gradients came, int32.
        hyper: the numeric hyperparameters, the constant rate and its multiplier.
        slots: what the rule keeps for each tensor, a NamedTuple of arrays each.
        shared: what the rule keeps once for all tensors.
        average: the exponential average of each tensor; empty without `use_ema`.
        accumulated: the sum of gradients; empty without accumulation.
    """

    iterations: Any
    hyper: dict[str, Any]
    slots: tuple[Any, ...]
    shared: Any
    average: tuple[Any, ...]
    accumulated: tuple[Any, ...]


class GradientTransformation(NamedTuple):
    """The pair of functions that optax composes."""

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


class Optimizer(Declared):
    """Base of all optimizers.

    Args:
        learning_rate: a number, a `Variable` (stays live), a schedule, or a callable
            without arguments that is asked before every step.
        weight_decay: decoupled decay, `p -= p * weight_decay * rate` before the rule.
        clipnorm: the largest norm of each gradient.
        clipvalue: the largest magnitude of each component.
        global_clipnorm: the largest joint norm; at most one of the three.
        use_ema: keep an exponential average of the weights, applied when `fit` ends.
        ema_momentum: its momentum.
        ema_overwrite_frequency: every how many steps the weights become the average.
        loss_scale_factor: what the loss was multiplied by; gradients are divided by it.
        gradient_accumulation_steps: apply the mean of so many gradients at a time.
        name: the name of the optimizer.

    Raises:
        ValueError: a value outside its interval, at construction or by assignment.
    """

    learning_rate: Any = hyper(0.001, "[0, 1e10]", search=(1e-5, 1e-1), hint="Usual: 1e-4 to 1e-1.")
    weight_decay: float | None = hyper(None, "[0, inf)", kw_only=True)
    clipnorm: float | None = hyper(None, "(0, inf)", kw_only=True)
    clipvalue: float | None = hyper(None, "(0, inf)", kw_only=True)
    global_clipnorm: float | None = hyper(None, "(0, inf)", kw_only=True)
    use_ema: bool = static(False, kw_only=True)
    ema_momentum: float = hyper(0.99, "[0, 1]", kw_only=True)
    ema_overwrite_frequency: int | None = static(None, "[1, inf)", kw_only=True)
    loss_scale_factor: float | None = hyper(None, "(0, inf)", kw_only=True)
    gradient_accumulation_steps: int | None = static(None, "[2, inf)", kw_only=True)
    name: str | None = static(None, kw_only=True)
    # The factor on the rate, over any schedule; state, not an argument.
    rate_multiplier: float = hyper(1.0, "[0, 1e10]", init=False, kw_only=True)

    rule: ClassVar[Callable[..., tuple[Any, Any]]]
    # Slots that Keras lists after those of all tensors, in place of interleaved.
    trailing_slots: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any):
        self._cells: dict[str, Variable] = {}
        self.schedule: LearningRateSchedule | None = None
        self._rate_callable: Callable[[], Any] | None = None
        self._excluded: tuple[frozenset[int], str | None] = (frozenset(), None)
        self._extra_variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._switched_off: frozenset[str] = frozenset()
        self._state: OptimizerState | None = None
        self._compiled: Callable[..., Any] | None = None
        super().__init__(*args, **kwargs)
        if self._values["name"] is None:
            self._values["name"] = names.auto_name(type(self).__name__)
        clippers = {
            name: self._values[name]
            for name in ("clipnorm", "clipvalue", "global_clipnorm")
            if self._values[name] is not None
        }
        if len(clippers) > 1:
            raise errors.invalid(
                type(self).__name__, "clipping", "one of clipnorm, clipvalue, global_clipnorm",
                clippers,
            )  # fmt: skip
        for name, cell in self._cells.items():
            if cell.name == name:  # not a Variable of the user's
                cell.path = f"{self.name}/{name}"
        with names.name_scope(str(self.name)):
            self._iterations = Variable(0, dtype="int32", trainable=False, name="iteration")

    # -- hyperparameters -------------------------------------------------------------

    def read_hyper(self, declaration: Hyper) -> Any:
        """A number as given, the Variable of a constant rate, or the schedule's rate now."""
        name = declaration.name
        if name == "learning_rate":
            if self.schedule is not None:
                return self.schedule(self._iterations.value)
            self._ask_callable()
            return self._cells[name]
        given = self._values.get(name)
        if name not in self._cells:
            return given
        value = self._cells[name].value
        if isinstance(value, jax.core.Tracer):
            return value
        # The number as the user wrote it, unless the cell has moved on since.
        return given if jnp.float32(given) == value else float(value)

    def write_hyper(self, declaration: Hyper, value: Any) -> None:
        """Check and set; takes effect at the next step, without recompiling."""
        name = declaration.name
        if name == "learning_rate" and not self._take_rate(value):
            return
        number = declaration.check(type(self).__name__, value)
        known = name in self._values
        if known and (number is None) != (self._values[name] is None):
            raise errors.invalid(
                type(self).__name__, name, "given at construction to be changed later", value
            )
        if known and not declaration.traced and self._state is not None:
            raise errors.invalid(
                type(self).__name__, name, "set before the optimizer is built", value,
                "It is part of the structure of the program.",
            )  # fmt: skip
        if number and name in self._switched_off:
            raise errors.invalid(
                type(self).__name__, name, "above 0 at construction to be changed later", value
            )
        self._values[name] = number
        if not declaration.traced or number is None:
            return
        if name in self._cells:
            self._cells[name].assign(number)
        else:
            self._cells[name] = self._cell(declaration, number)

    def _cell(self, declaration: Hyper, number: float) -> Variable:
        owner = type(self).__name__
        return Variable(
            jnp.float32(number),
            trainable=False,
            name=declaration.name,
            validator=lambda value: declaration.check(owner, value),
        )

    def _take_rate(self, value: Any) -> bool:
        """Adopt a schedule, a callable or a Variable; True if `value` is a plain number."""
        if isinstance(value, dict):
            value = deserialize_keras_object(cast(Any, value))
        if isinstance(value, LearningRateSchedule):
            self.schedule, self._rate_callable = value, None
            self._cells.pop("learning_rate", None)
            self._values["learning_rate"] = value
            return False
        if self.schedule is not None and not callable(value):
            raise TypeError(
                f"{type(self).__name__}: learning_rate follows {type(self.schedule).__name__} and "
                f"cannot be set to {errors.shown(value)}. Set rate_multiplier to scale the "
                "schedule, or assign another schedule."
            )
        declaration = self.hypers["learning_rate"]
        owner = type(self).__name__
        if isinstance(value, Variable) and "learning_rate" not in self._cells:
            declaration.check(owner, value)
            value.validator = lambda new: declaration.check(owner, new)
            self._cells["learning_rate"] = value
            self._values["learning_rate"] = float(value)
            return False
        if callable(value) and not isinstance(value, Variable):
            self.schedule, self._rate_callable = None, value
            number = declaration.check(owner, value())
            self._cells["learning_rate"] = self._cell(declaration, number)
            self._values["learning_rate"] = number
            return False
        self._rate_callable = None
        return True

    def _ask_callable(self) -> None:
        if self._rate_callable is not None:
            self._cells["learning_rate"].assign(self._rate_callable())

    @property
    def rate(self) -> float:
        """The rate that the next step applies: (constant or schedule) * multiplier."""
        return float(self.rate_at(self.cells_now()))

    lr = property(
        lambda self: self.learning_rate,
        lambda self, value: setattr(self, "learning_rate", value),
        doc="Keras 2's name of `learning_rate`.",
    )

    def rate_at(self, state: OptimizerState) -> Array:
        """The law of the rate, a float32 scalar, for a pure state."""
        base = (
            state.hyper["learning_rate"]
            if self.schedule is None
            else jnp.asarray(self.schedule(state.iterations), jnp.float32)
        )
        return base * state.hyper["rate_multiplier"]

    # -- the pure face ---------------------------------------------------------------

    def hyper_state(self) -> dict[str, Array]:
        """The numeric hyperparameters as arrays, read from their cells."""
        self._ask_callable()
        return {name: cell.value for name, cell in self._cells.items()}

    def init(self, params: Any) -> OptimizerState:
        """The state before the first step, for any pytree of arrays."""
        leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(params)]
        h = self._namespace(self.hyper_state(), jnp.float32(0))
        accumulate = self.gradient_accumulation_steps is not None
        return OptimizerState(
            iterations=jnp.int32(0),
            hyper=self.hyper_state(),
            slots=tuple(self.init_slots(leaf, h) for leaf in leaves),
            shared=self.init_shared(leaves, h),
            # Copies: the average must not share a buffer that a step may reuse.
            average=tuple(leaf.copy() for leaf in leaves) if self.use_ema else (),
            accumulated=tuple(jnp.zeros_like(leaf) for leaf in leaves) if accumulate else (),
        )

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

    def update_leaves(
        self,
        gradients: Sequence[Any],
        state: OptimizerState,
        params: Sequence[Any],
        decayed: Sequence[bool],
    ) -> tuple[list[Any], OptimizerState]:
        """One step over lists; `decayed` says which tensors weight decay applies to."""
        present = [i for i, gradient in enumerate(gradients) if gradient is not None]
        if not present:
            raise ValueError("No gradient came for any variable: does the loss depend on them?")
        grads = [gradients[i] for i in present]
        if "loss_scale_factor" in state.hyper:
            grads = [g / state.hyper["loss_scale_factor"].astype(g.dtype) for g in grads]

        steps = self.gradient_accumulation_steps
        if steps is None:
            new, state = self._step(present, grads, state, params, decayed)
        else:
            sums = [state.accumulated[i] + g for i, g in zip(present, grads, strict=True)]

            def move(operand: Any) -> Any:
                sums, state, params = operand
                means = [total / steps for total in sums]
                new, state = self._step(present, means, state, params, decayed)
                zeros = _replaced(
                    state.accumulated, present, [jnp.zeros_like(total) for total in sums]
                )
                return new, state._replace(accumulated=tuple(zeros))

            def wait(operand: Any) -> Any:
                sums, state, params = operand
                kept = tuple(_replaced(state.accumulated, present, sums))
                return params, state._replace(accumulated=kept)

            due = (state.iterations + 1) % steps == 0
            new, state = jax.lax.cond(due, move, wait, (sums, state, list(params)))

        if self.use_ema:
            count = state.iterations // (steps or 1)
            momentum = state.hyper["ema_momentum"]
            average = transforms.moving_average(state.average, new, momentum, count)
            if self.ema_overwrite_frequency:
                due = (count + 1) % self.ema_overwrite_frequency == 0
                new = [jnp.where(due, a, p) for a, p in zip(average, new, strict=True)]
            state = state._replace(average=tuple(average))
        return new, state._replace(iterations=state.iterations + 1)

    def _step(
        self,
        present: Sequence[int],
        gradients: Sequence[Any],
        state: OptimizerState,
        params: Sequence[Any],
        decayed: Sequence[bool],
    ) -> tuple[list[Any], OptimizerState]:
        """Clip, decay and apply the rule to the tensors that have a gradient."""
        rate = self.rate_at(state)
        t = (state.iterations // (self.gradient_accumulation_steps or 1) + 1).astype(jnp.float32)
        moved = [params[i] for i in present]
        grads = self._clip(gradients, state.hyper)
        if "weight_decay" in state.hyper:
            mask = [decayed[i] for i in present]
            moved = transforms.decay(moved, mask, rate, state.hyper["weight_decay"])
        h = self._namespace(state.hyper, rate)
        slots = [state.slots[i] for i in present] if state.slots else [()] * len(present)
        moved, slots, shared = self.apply_rule(grads, moved, slots, state.shared, h, t)
        new = _replaced(params, present, moved)
        if state.slots:
            state = state._replace(slots=tuple(_replaced(state.slots, present, slots)))
        return new, state._replace(shared=shared)

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
            h: hyperparameters by name; `h.learning_rate` is the rate to apply.
            t: the number of this step, from 1, a float32 scalar.

        Returns:
            New parameters, slots, and shared state.
        """
        if type(self).update_step is not Optimizer.update_step:
            return self._apply_update_steps(grads, params, shared, h)
        shared = self.advance(shared, h, t)
        new, kept = [], []
        for g, p, s in zip(grads, params, slots, strict=True):
            view = _cast(h, shared, p.dtype)
            update, slot = type(self).rule(g.astype(p.dtype), p, s, view, t.astype(p.dtype))
            new.append(p + update)
            kept.append(slot)
        return new, kept, shared

    def init_slots(self, p: Any, h: Any) -> Any:
        """What the rule keeps for one tensor before the first step, a NamedTuple."""
        return ()

    def init_shared(self, params: Sequence[Any], h: Any) -> Any:
        """What the rule keeps for all tensors before the first step, a NamedTuple."""
        return ()

    def advance(self, shared: Any, h: Any, t: Any) -> Any:
        """The shared state of step `t`; its fields are given to the rule in `h`."""
        return shared

    def _namespace(self, hyper: dict[str, Any], rate: Any) -> SimpleNamespace:
        statics = {
            name: self._values[name] for name, value in self.hypers.items() if not value.traced
        }
        return SimpleNamespace(**{**statics, **hyper, "learning_rate": rate})

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

    # -- optimizers written in Keras's way -------------------------------------------

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """For subclasses in Keras's style: assign the new value of one variable."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a `rule` (see docs/skeletons/optimizer.py) or an "
            "`update_step(gradient, variable, learning_rate)` as in Keras."
        )

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str = "slot", initializer: Any = "zeros"
    ) -> Variable:
        """A variable shaped like another, for `update_step`."""
        path = reference_variable.path.replace("/", "_")
        with names.name_scope(str(self.name)):
            value = jnp.zeros_like(reference_variable.value)
            if initializer not in ("zeros", None):
                value = initializer(value.shape, dtype=value.dtype)
            slot = Variable(value, trainable=False, name=f"{path}_{name}")
        self._extra_variables.append(slot)
        return slot

    def add_optimizer_variables(
        self, trainable_variables: Iterable[Variable], name: str, initializer: Any = "zeros"
    ) -> list[Variable]:
        """A variable beside each of `trainable_variables`, for `update_step`."""
        return [self.add_variable_from_reference(v, name, initializer) for v in trainable_variables]

    def _get_variable_index(self, variable: Variable) -> int:
        return next(i for i, known in enumerate(self._trainable_variables) if known is variable)

    def assign(self, variable: Variable, value: Any) -> None:
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        variable.assign_sub(value)

    def _apply_update_steps(
        self, grads: Sequence[Any], params: Sequence[Any], shared: Any, h: Any
    ) -> tuple[list[Any], list[Any], Any]:
        variables = self._trainable_variables
        with lend([*variables, *self._extra_variables], [*params, *shared]) as loan:
            for gradient, variable in zip(grads, variables, strict=True):
                self.update_step(gradient, variable, h.learning_rate)
            return (
                loan.values(variables),
                [()] * len(variables),
                tuple(loan.values(self._extra_variables)),
            )

    # -- Keras's face ----------------------------------------------------------------

    @property
    def built(self) -> bool:
        return self._state is not None

    def build(self, var_list: Sequence[Variable]) -> None:
        """Make the state for `var_list`; a second call is a no-op.

        Raises:
            ValueError: built before on other variables.
        """
        variables = list(var_list)
        if self._state is not None:
            self._check_known(variables)
            return
        self._trainable_variables = variables
        self._switched_off = frozenset(
            name
            for name, value in self.hypers.items()
            if value.off_at_zero and not self._values[name]
        )
        start = self.init([variable.value for variable in variables])
        scope = f"{self.name}/"

        def cell(value: Any, name: str) -> Variable:
            made = Variable(value, trainable=False, name=name)
            made.path = scope + name
            return made

        paths = [variable.path.replace("/", "_") for variable in variables]

        def slot_cells(path: str, slots: Any) -> Any:
            if slots == ():
                return ()
            return type(slots)(
                *(
                    None if array is None else cell(array, f"{path}_{field}")
                    for field, array in slots._asdict().items()
                )
            )

        shared = start.shared
        if shared != ():
            shared = type(shared)(*(cell(v, k) for k, v in shared._asdict().items()))
        self._state = OptimizerState(
            iterations=self._iterations,
            hyper=self._cells,
            slots=tuple(slot_cells(path, s) for path, s in zip(paths, start.slots, strict=True)),
            shared=shared,
            average=tuple(cell(a, f"{p}_average") for p, a in zip(paths, start.average)),
            accumulated=tuple(
                cell(a, f"{p}_gradient_accumulator") for p, a in zip(paths, start.accumulated)
            ),
        )

    @property
    def state(self) -> OptimizerState:
        """The state as variables, in the shape of the pure state."""
        if self._state is None:
            raise RuntimeError(f"{self.name} has no state yet: call build(variables) first.")
        if self._extra_variables:
            return self._state._replace(shared=tuple(self._extra_variables))
        return self._state

    def cells_now(self) -> OptimizerState:
        """The state as arrays, read from the variables; before `build`, only the rate's part."""
        self._ask_callable()
        if self._state is None:
            return OptimizerState(
                self._iterations.value, self.hyper_state(), (), (), (), ()
            )
        return jax.tree.map(lambda variable: variable.value, self.state)

    @property
    def decayed(self) -> list[bool]:
        """Which of the built variables weight decay applies to."""
        ids, pattern = self._excluded
        return [
            id(v) not in ids and not (pattern and re.search(pattern, v.name))
            for v in self._trainable_variables
        ]

    @property
    def variables(self) -> list[Variable]:
        """All state, in Keras's order: iteration, rate, averages, accumulators, slots."""
        rate = [self._cells["learning_rate"]] if self.schedule is None else []
        if self._rate_callable is not None:
            rate = []
        if self._state is None:
            return [self._iterations, *rate]
        state = self.state
        fields = [slots._asdict() for slots in state.slots if slots != ()]
        trailing = self.trailing_slots
        interleaved = [v for slots in fields for k, v in slots.items() if k not in trailing]
        last = [slots[k] for k in trailing for slots in fields]
        slots = [variable for variable in interleaved + last if variable is not None]
        return [
            self._iterations, *rate, *state.average, *state.accumulated, *slots,
            *jax.tree.leaves(state.shared),
        ]  # fmt: skip

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that the optimizer was built on."""
        return list(self._trainable_variables)

    @property
    def average_variables(self) -> list[Variable]:
        """The exponential averages, parallel to `trainable_variables`."""
        return list(self.state.average)

    @property
    def iterations(self) -> Any:
        """How many steps were taken: gradients that came, over accumulation steps."""
        if self.gradient_accumulation_steps:
            return self._iterations.value // self.gradient_accumulation_steps
        return self._iterations

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Variable] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Spare variables from weight decay, by object or by a regex on their name.

        Raises:
            ValueError: the optimizer is built already.
        """
        if self.built:
            raise ValueError(
                f"{self.name} is built already: call exclude_from_weight_decay() before fit()."
            )
        listed = [var_names] if isinstance(var_names, str) else list(var_names or [])
        self._excluded = (
            frozenset(id(variable) for variable in var_list or []),
            "|".join(listed) or None,
        )

    def scale_loss(self, loss: Any) -> Any:
        """The loss times `loss_scale_factor`, to be differentiated."""
        factor = self._cells.get("loss_scale_factor")
        return loss if factor is None else loss * factor.value

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """Apply pairs of gradient and variable; returns the count of iterations."""
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(list(grads), list(variables))
        return self._iterations

    def apply(
        self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None
    ) -> None:
        """Apply gradients to the variables, in place.

        Args:
            grads: one gradient, or None, for each variable.
            trainable_variables: the variables; those of `build` where None.

        Raises:
            ValueError: unknown variables, or gradients and variables do not pair up.
        """
        grads = list(grads)
        if not grads:
            return
        if trainable_variables is None:
            variables = self.state and self._trainable_variables
        else:
            variables = list(trainable_variables)
            self.build(variables) if self._state is None else self._check_known(variables)
        if len(grads) != len(variables):
            raise errors.invalid(
                str(self.name), "grads", f"one for each of {len(variables)} variables", len(grads)
            )
        missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
        if missing and len(missing) < len(variables):
            warnings.warn(f"No gradient came for {', '.join(missing)}.", stacklevel=2)
        by_variable = {id(v): g for v, g in zip(variables, grads, strict=True)}
        ordered = [by_variable.get(id(v)) for v in self._trainable_variables]
        state = self.cells_now()
        params = [v.value for v in self._trainable_variables]
        new, state = self._update_compiled(ordered, state, params)
        for variable, value in zip(self._trainable_variables, new, strict=True):
            variable.assign(value)
        self.write_state(state)

    def _update_compiled(self, grads: Any, state: OptimizerState, params: Any) -> Any:
        if self._compiled is None:
            self._compiled = jax.jit(self.update_built)
        return self._compiled(grads, state, params)

    def update_built(
        self, grads: Sequence[Any], state: OptimizerState, params: Sequence[Any]
    ) -> tuple[list[Any], OptimizerState]:
        """`update` for the built variables: with their decay mask and constraints. Pure."""
        new, state = self.update_leaves(grads, state, params, self.decayed)
        for i, variable in enumerate(self._trainable_variables):
            if variable.constraint is not None and grads[i] is not None:
                new[i] = variable.constraint(new[i])
        return new, state

    def write_state(self, state: OptimizerState) -> None:
        """Put a pure state into the variables; hyperparameters stay what they are."""
        old = self.state._replace(hyper={})
        for variable, value in zip(
            jax.tree.leaves(old), jax.tree.leaves(state._replace(hyper={})), strict=True
        ):
            variable.assign(value)

    def stateless_apply(
        self, optimizer_variables: Sequence[Any], grads: Sequence[Any],
        trainable_variables: Sequence[Any],
    ) -> tuple[list[Any], list[Any]]:  # fmt: skip
        """`apply` without side effects: arrays in, new arrays out, in the same order."""
        mine, theirs = self.variables, self._trainable_variables
        arrays = [*optimizer_variables, *trainable_variables]
        with lend([*mine, *theirs], arrays) as loan:
            self.apply(grads)
            return loan.values(theirs), loan.values(mine)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """At the end of training: the weights become their averages, with `use_ema`."""
        if self.use_ema and self.built:
            for variable, average in zip(var_list, self.state.average, strict=True):
                variable.assign(average.value)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set `variables` from arrays of the same shapes."""
        mine = self.variables
        if len(weights) != len(mine):
            raise errors.invalid(str(self.name), "weights", f"{len(mine)} arrays", len(weights))
        for variable, value in zip(mine, weights, strict=True):
            variable.assign(value)

    def get_weights(self) -> list[Any]:
        """`variables` as NumPy arrays."""
        return [variable.numpy() for variable in self.variables]

    def _check_known(self, variables: Sequence[Variable]) -> None:
        known = {id(variable) for variable in self._trainable_variables}
        for variable in variables:
            if id(variable) not in known:
                raise ValueError(
                    f"{self.name} was built on other variables and does not know {variable!r}. "
                    "Make a new optimizer for a new model."
                )

    # -- optax's face, config --------------------------------------------------------

    def as_optax(self) -> GradientTransformation:
        """The optimizer as an optax transformation: `init(params)`, `update(g, s, params)`.

        The updates are to be added to the parameters (`optax.apply_updates`).
        """

        def update(grads: Any, state: OptimizerState, params: Any = None, **_: Any) -> Any:
            if params is None:
                raise errors.invalid(type(self).__name__, "params", "given to update", params)
            new, state = self.update(grads, state, params)
            return jax.tree.map(lambda n, p: n - p, new, params), state

        return GradientTransformation(self.init, update)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer; the rate as float32 or a record."""
        config = super().get_config()
        if self.schedule is not None:
            config["learning_rate"] = serialize_keras_object(self.schedule)
        else:
            config["learning_rate"] = float(self._cells["learning_rate"].value)
        return config

    def __repr__(self) -> str:
        config = self.get_config()
        if isinstance(config["learning_rate"], float):
            config["learning_rate"] = float(f"{config['learning_rate']:.7g}")
        shown = (
            f"{name}={config[name]!r}"
            for name, value in self.hypers.items()
            if name in config and name != "name" and config[name] != value.default
        )
        return f"{type(self).__name__}({', '.join(shown)})"


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

"""Optimizer: three faces over one rule.

    pure    state = optimizer.init(params)                            functional.py
            params, state = optimizer.update(grads, state, params)
    Keras   optimizer.build(variables); optimizer.apply(grads); optimizer.variables
    optax   optimizer.as_optax()                                      functional.py

A subclass declares its hyperparameters and gives a pure rule for one tensor; all else is
written once: the shared arguments and the law of the rate in hyperparameters.py, the step
in functional.py, the state as variables in cells.py, subclasses in Keras's own style in
update_steps.py, and here the methods that Keras has for it.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.variables import Variable, lend
from talweg.optimizers.state import Objective, OptimizerState
from talweg.optimizers.update_steps import UpdateSteps


class Optimizer(UpdateSteps):
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
        TypeError: an unknown argument; a number assigned to a rate that follows a schedule.

    A rule takes the gradient, the parameter, its slots, the hyperparameters and the number
    of the step, and returns what to add to the parameter:

    >>> class Sign(Optimizer):
    ...     rule = staticmethod(lambda g, p, s, h, t: (-h.learning_rate * jax.numpy.sign(g), s))
    >>> optimizer = Sign(0.5)
    >>> state = optimizer.init([1.0, 2.0])
    >>> [float(p) for p in optimizer.update([3.0, -3.0], state, [1.0, 2.0])[0]]
    [0.5, 2.5]
    """

    def __init__(self, *args: Any, **kwargs: Any):
        self._compiled: Callable[..., Any] | None = None
        # The weights to train, beside the weights to use that stand in for them.
        self._aside: list[tuple[Any, Any]] = []
        super().__init__(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_compiled": None, "_aside": []}

    def update_built(
        self, grads: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """`update` for the built variables: with their names and constraints. Pure.

        Raises:
            NotImplementedError: a subclass overrides `apply`, which is not called here.
        """
        if type(self).apply is not Optimizer.apply:
            raise NotImplementedError(
                f"{type(self).__name__} overrides apply(), which fit does not call: its steps are "
                "pure functions. To change gradients, override apply_rule(grads, params, slots, "
                "shared, h, t), which has them all, and call super's with the changed ones; to "
                "write the rule itself, override update_step(gradient, variable, learning_rate)."
            )
        return self._updated(grads, state, params, objective)

    def _updated(
        self, grads: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        new, state = self.step_leaves(grads, state, params, self.tensors, objective)
        for i, variable in enumerate(self._trainable_variables):
            if variable.constraint is not None and grads[i] is not None:
                new[i] = variable.constraint(new[i])
        return new, state

    def applied_rates(self, state: OptimizerState) -> dict[str, Any]:
        """The rate that the last step applied, as the logs name it; pure."""
        last = state._replace(iterations=jnp.maximum(state.iterations - 1, 0))
        return {"learning_rate": self.rate_at(last)}

    @property
    def free_rate(self) -> str:
        """Which factor of the rate is free to be set: the constant, or the multiplier."""
        return "learning_rate" if self.schedule is None else "rate_multiplier"

    @property
    def rate(self) -> float:
        """The rate that the next step applies: (constant or schedule) * multiplier."""
        return float(self.rate_at(self.cells_now()))

    # -- Keras's face ----------------------------------------------------------------

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """Apply pairs of gradient and variable; returns the count of iterations."""
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(list(grads), list(variables))
        return self._iterations

    def apply(
        self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None,
        objective: Objective | None = None,
    ) -> None:  # fmt: skip
        """Apply gradients to the variables, in place.

        Args:
            grads: one gradient, or None, for each variable.
            trainable_variables: the variables; those of `build` where None.
            objective: `(arrays) -> (loss, grads)` on the same batch, for optimizers that
                look at it again; a pure function, parallel to the variables of `build`.

        Raises:
            ValueError: unknown variables, or gradients and variables do not pair up.
        """
        arrays = [g.value if isinstance(g, Variable) else g for g in grads]
        if not arrays:
            return
        if trainable_variables is None:
            variables = self.state and self._trainable_variables
        else:
            variables = list(trainable_variables)
            self.build(variables)
        if len(arrays) != len(variables):
            raise errors.invalid(
                str(self.name), "grads", f"one for each of {len(variables)} variables", len(arrays)
            )
        missing = [v.path for g, v in zip(arrays, variables, strict=True) if g is None]
        if missing and len(missing) < len(variables):
            warnings.warn(f"No gradient came for {', '.join(missing)}.", stacklevel=2)
        by_variable = {id(v): g for v, g in zip(variables, arrays, strict=True)}
        ordered = [by_variable.get(id(v)) for v in self._trainable_variables]
        params = [v.value for v in self._trainable_variables]
        if objective is not None:  # a function of this batch: nothing to keep compiled
            new, state = self._updated(ordered, self.cells_now(), params, objective)
        else:
            if self._compiled is None:
                self._compiled = jax.jit(self._updated)
            new, state = self._compiled(ordered, self.cells_now(), params)
        for variable, value in zip(self._trainable_variables, new, strict=True):
            variable.assign(value)
        self.write_state(state)

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

    def set_hyperparameter(self, name: str, value: Any) -> None:
        """Set a numeric hyperparameter by name, as `optimizer.name = value` does.

        Raises:
            ValueError: no such hyperparameter, or a value outside its interval.
        """
        known = [n for n, declaration in self.hypers.items() if declaration.traced]
        if name not in known:
            raise errors.unknown(f"hyperparameter of {type(self).__name__}", name, known)
        setattr(self, name, value)

    @property
    def listens_to_epochs(self) -> bool:
        """Whether it must be told the end of an epoch, so that only `fit` can train with it."""
        return False

    def epoch_done(self, epoch: int, logs: dict[str, Any]) -> None:
        """Called by `fit` after every epoch, with its logs."""

    def move_to_evaluation(self) -> None:
        """Let the built variables hold the weights to use, where they differ; see below.

        Methods such as schedule-free train one point and are meant to be used at another
        (`trains_elsewhere`). `fit` moves by itself: whoever looks at a model, from an
        epoch's end on, sees the weights to use. A training loop of your own that calls
        `apply` works at the weights to train and moves before it evaluates.
        """
        if not self.trains_elsewhere:
            return
        variables = self._trainable_variables
        trained = [v.value for v in variables]
        used = jax.jit(self._to_evaluation)(trained, self.cells_now())
        for variable, value in zip(variables, used, strict=True):
            variable.assign(value)
        self._aside = [(v.value, y) for v, y in zip(variables, trained, strict=True)]

    def move_to_training(self) -> None:
        """Let the built variables hold the weights to train again.

        To the same bits as before `move_to_evaluation`, unless a weight was set since: then
        the weights to train are computed from those that stand there now.
        """
        if not self.trains_elsewhere:
            return
        variables, values = self._trainable_variables, self.weights_aside()
        self._aside = []
        if not values:
            used = [v.value for v in variables]
            values = jax.jit(self._to_training)(used, self.cells_now())
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def weights_aside(self) -> list[Any]:
        """The weights to train, while the variables hold those to use; else nothing."""
        pairs = zip(self._trainable_variables, self._aside, strict=False)
        known = bool(self._aside) and all(v.value is x for v, (x, _) in pairs)
        return [y for _, y in self._aside] if known else []

    def put_aside(self, weights: Sequence[Any]) -> None:
        """Have `move_to_training` take these weights, unless others are set until then."""
        pairs = zip(self._trainable_variables, weights, strict=True)
        self._aside = [(v.value, jnp.asarray(y, v.value.dtype)) for v, y in pairs]

    def _to_evaluation(self, params: Sequence[Any], state: OptimizerState) -> list[Any]:
        return self.evaluation_leaves(params, state, self.tensors)

    def _to_training(self, params: Sequence[Any], state: OptimizerState) -> list[Any]:
        return self.training_leaves(params, state, self.tensors)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """At the end of training: the weights become their averages, with `use_ema`."""
        if self.use_ema and self.built:
            for variable, average in zip(var_list, self.state.average, strict=True):
                variable.assign(average.value)

    def scale_loss(self, loss: Any) -> Any:
        """The loss as it is to be differentiated: times the loss scale, if there is one."""
        return self.scaled_loss(loss, self.cells_now())

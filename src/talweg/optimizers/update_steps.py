"""Optimizers written in Keras's way: `update_step` assigns variables in place of a rule.

    class Signed(Optimizer):
        def build(self, variables):
            if self.built:
                return
            super().build(variables)
            self.m = self.add_optimizer_variables(variables, "m")

        def update_step(self, gradient, variable, learning_rate):
            m = self.m[self._get_variable_index(variable)]
            self.assign(m, 0.9 * m + gradient)
            self.assign_sub(variable, learning_rate * ops.sign(m))

In a subclass of a known optimizer `super().update_step` steps that one variable by its rule:

    class Doubled(Adam):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(2 * gradient, variable, learning_rate)

The engine stays pure: while a step is traced, its arrays stand in for the variables, the count
of iterations and the hyperparameters among them.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg import initializers
from talweg.core import names
from talweg.core.variables import Variable, lend
from talweg.optimizers.cells import Cells
from talweg.optimizers.functional import Functional, of_tensor
from talweg.optimizers.state import Objective, OptimizerState, Tensor, wide


class Extended(NamedTuple):
    """What an optimizer shares among its tensors, and the variables that a subclass made."""

    own: Any
    extra: tuple[Any, ...]


class UpdateSteps(Cells):
    """What subclasses in Keras's style call, and the step that calls them."""

    def __init__(self, *args: Any, **kwargs: Any):
        self._extra_variables: list[Variable] = []
        super().__init__(*args, **kwargs)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Step one variable, and its slots, by the optimizer's rule.

        Subclasses in Keras's style override it: they assign the variable's new value, or call
        this one with what they made of the gradient or the rate.

        Args:
            gradient: of the variable's shape.
            variable: one of those of `build`.
            learning_rate: a scalar.

        Raises:
            NotImplementedError: the optimizer has no rule for one tensor.
            RuntimeError: it is not built.
            ValueError: it was built on other variables.

        >>> from talweg.optimizers import SGD
        >>> weight = Variable([1.0, 2.0])
        >>> optimizer = SGD(0.1)
        >>> optimizer.build([weight])
        >>> optimizer.update_step([1.0, 1.0], weight, 0.5)
        >>> weight.numpy()
        array([0.5, 1.5], dtype=float32)
        """
        if not hasattr(type(self), "rule"):
            raise NotImplementedError(
                f"{type(self).__name__} has no rule that steps one variable. Give it a `rule` "
                "(see docs/skeletons/optimizer.py), or write the whole of `update_step(gradient, "
                "variable, learning_rate)` without super().update_step."
            )
        cells = super().state
        slots = cells.slots[self._get_variable_index(variable)]
        s, shared, count = jax.tree.map(lambda v: v.value, (slots, cells.shared, cells.iterations))
        values = {**self.hyper_state(), **self.scheduled.at(count)}
        h = self._namespace(values, values["learning_rate"] * values["rate_multiplier"])
        t, p = self.number_of_step(count), wide(variable.value)
        shared, rate = self.advance(shared, h, t), jnp.asarray(learning_rate, jnp.float32)
        own = of_tensor(h, shared, p.dtype, variable.path, rate)
        [(update, after)] = self.rules([jnp.asarray(gradient, p.dtype)], [p], [s], [own], t)
        variable.assign(p + update)
        for cell, value in zip(jax.tree.leaves(slots), jax.tree.leaves(after), strict=True):
            cell.assign(value)

    @property
    def has_update_step(self) -> bool:
        """Whether it is written in Keras's style: it then works on built variables only."""
        return type(self).update_step is not UpdateSteps.update_step

    def check_update_step(self) -> None:
        """Refuse an `update_step` that the step of the class below it would never call."""
        if not self.has_update_step:
            return
        for method in ("apply_rule", "update_leaves"):
            owner = next(c for c in type(self).__mro__ if method in vars(c))
            own_code = not owner.__module__.startswith("talweg.")
            if not own_code and owner not in (UpdateSteps, Functional):
                raise NotImplementedError(
                    f"{type(self).__name__} defines update_step, which the step of "
                    f"{owner.__name__} does not call: it works on all tensors at once. Derive "
                    "from Optimizer to write a step of your own, or override apply_rule."
                )

    @property
    def by_tensor(self) -> bool:
        own = type(self)
        by_rule = own.apply_rule is UpdateSteps.apply_rule and own.rules is UpdateSteps.rules
        return by_rule and not self.has_update_step

    def add_variable(
        self, shape: Sequence[int], initializer: Any = "zeros", dtype: Any = None,
        name: str | None = None, **_of_keras: Any,
    ) -> Variable:  # fmt: skip
        """A variable of the optimizer's own."""
        with names.name_scope(str(self.name)):
            made = Variable(
                initializers.get(initializer), shape=shape, dtype=dtype, trainable=False, name=name
            )
        self._extra_variables.append(made)
        return made

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A variable of the shape and type of another."""
        path = reference_variable.path.replace("/", "_")
        return self.add_variable(
            reference_variable.shape, initializer, reference_variable.dtype,
            name=f"{path}_{name or 'slot'}",
        )  # fmt: skip

    def add_optimizer_variables(
        self, trainable_variables: Iterable[Variable], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """A variable beside each of `trainable_variables`; a list per name where several."""
        variables = list(trainable_variables)
        if isinstance(name, str):
            return [self.add_variable_from_reference(v, name, initializer) for v in variables]
        makers = [initializer] * len(name) if isinstance(initializer, str) else initializer
        rows = [
            [self.add_variable_from_reference(v, n, i) for n, i in zip(name, makers, strict=True)]
            for v in variables
        ]
        return tuple(list(column) for column in zip(*rows, strict=True))

    def _get_variable_index(self, variable: Variable) -> int:
        self._check_known([variable])
        return next(i for i, known in enumerate(self._trainable_variables) if known is variable)

    def assign(self, variable: Variable, value: Any) -> None:
        """Set a variable."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Add to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtract from a variable."""
        variable.assign_sub(value)

    def build(self, var_list: Sequence[Variable]) -> None:
        """Make the state for `var_list`; a second call is a no-op.

        Raises:
            ValueError: built before on other variables.
            NotImplementedError: an `update_step` that would never be called.
        """
        if not self.built:
            self.check_update_step()
        super().build(var_list)

    @property
    def state(self) -> OptimizerState:
        """The state as variables, in the shape of the pure state."""
        state = super().state
        return state._replace(shared=self._extended(state.shared, self._extra_variables))

    def _extended(self, shared: Any, extra: Sequence[Any]) -> Any:
        return Extended(shared, tuple(extra)) if self.has_update_step else shared

    def init_leaves(
        self, params: Sequence[Any], tensors: Sequence[Tensor], hyper: dict[str, Any] | None = None
    ) -> OptimizerState:
        state = super().init_leaves(params, tensors, hyper)
        if not self.built:  # what a subclass makes is made then
            return state
        extra = [v.value for v in self._extra_variables]
        return state._replace(shared=self._extended(state.shared, extra))

    def update_leaves(
        self, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """`update` over lists; what an `update_step` reads is that of the state."""
        if not self.has_update_step:
            return super().update_leaves(gradients, state, params, tensors, objective)
        cells = {name: cell for name, cell in self._cells.items() if name in state.hyper}
        read = [*jax.tree.leaves(self.state._replace(hyper={})), *cells.values()]
        values = jax.tree.leaves(state._replace(hyper={}))
        with lend(read, [*values, *(state.hyper[name] for name in cells)]) as loan:
            result = super().update_leaves(gradients, state, params, tensors, objective)
        for written in loan.written.values():
            raise NotImplementedError(
                f"{type(self).__name__}.update_step assigns {written.path!r}, which a step only "
                "reads. Set it between steps, or keep a number of your own by add_variable()."
            )
        return result

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Any, h: Any, t: Any,
    ) -> tuple[list[Any], list[Any], Any]:  # fmt: skip
        """Apply the rule, or the user's `update_step`, to every tensor."""
        if not self.has_update_step:
            return super().apply_rule(grads, params, slots, shared, h, t)
        state = self.state
        variables = [self._trainable_variables[i] for i in h.positions]
        cells = (variables, [state.slots[i] for i in h.positions], state.shared)
        leaves, tree = jax.tree.flatten(cells)
        with lend(leaves, jax.tree.leaves((list(params), list(slots), shared))) as loan:
            for gradient, variable, rate in zip(grads, variables, h.rates, strict=True):
                self.update_step(gradient, variable, rate)
            moved, kept, (_, extra) = tree.unflatten(loan.values(leaves))
        return moved, kept, Extended(self.advance(shared.own, h, t), extra)

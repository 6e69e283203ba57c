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

The engine stays pure: while a step is traced, its arrays stand in for the variables.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from talweg import initializers
from talweg.core import names
from talweg.core.variables import Variable, lend
from talweg.optimizers.cells import Cells
from talweg.optimizers.functional import Functional
from talweg.optimizers.state import OptimizerState, Tensor


class UpdateSteps(Cells):
    """What subclasses in Keras's style call, and the step that calls them."""

    def __init__(self, *args: Any, **kwargs: Any):
        self._extra_variables: list[Variable] = []
        super().__init__(*args, **kwargs)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """For subclasses in Keras's style: assign the new value of one variable."""
        if self.has_update_step:
            raise NotImplementedError(
                f"{type(self).__name__}.update_step calls super().update_step, but talweg's own "
                "optimizers are written as a `rule`. Write the whole step with variables of your "
                "own, or override `rule` (see docs/skeletons/optimizer.py)."
            )
        raise NotImplementedError(
            f"{type(self).__name__} needs a `rule` (see docs/skeletons/optimizer.py) or an "
            "`update_step(gradient, variable, learning_rate)` as in Keras."
        )

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
        return not self.has_update_step and type(self).apply_rule is UpdateSteps.apply_rule

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
        if self._extra_variables:
            state = state._replace(shared=tuple(self._extra_variables))
        return state

    def init_leaves(
        self, params: Sequence[Any], tensors: Sequence[Tensor], hyper: dict[str, Any] | None = None
    ) -> OptimizerState:
        state = super().init_leaves(params, tensors, hyper)
        if self.has_update_step and self.built:
            state = state._replace(shared=tuple(v.value for v in self._extra_variables))
        return state

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Any, h: Any, t: Any,
    ) -> tuple[list[Any], list[Any], Any]:  # fmt: skip
        """Apply the rule, or the user's `update_step`, to every tensor."""
        if not self.has_update_step:
            return super().apply_rule(grads, params, slots, shared, h, t)
        variables = [self._trainable_variables[i] for i in h.positions]
        with lend([*variables, *self._extra_variables], [*params, *shared]) as loan:
            for gradient, variable in zip(grads, variables, strict=True):
                self.update_step(gradient, variable, h.learning_rate)
            moved, kept = loan.values(variables), tuple(loan.values(self._extra_variables))
        return moved, list(slots), kept

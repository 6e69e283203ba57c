"""The state of an optimizer as variables: made for the model's, read and written by name and order.

In the pure state every number is an array; here each is a `Variable` in the same place, so that
state is saved, shown, set and lent to a trace like the weights of a layer.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import jax

from talweg.core import errors
from talweg.core.compilation import QUICKLY
from talweg.core.variables import Variable
from talweg.optimizers.functional import Functional
from talweg.optimizers.state import OptimizerState, Tensor


class Cells(Functional):
    """The variables of an optimizer, and which of the model's it was built on."""

    def __init__(self, *args: Any, **kwargs: Any):
        self._state: OptimizerState | None = None
        self._trainable_variables: list[Variable] = []
        self._excluded: tuple[list[Variable], str | None] = ([], None)
        super().__init__(*args, **kwargs)

    @property
    def built(self) -> bool:
        """Whether `build` was called, so that the structure of the program is settled."""
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
            name for name, value in self.hypers.items() if value.off_at_zero and not self.uses(name)
        )
        # Compiled as one: eagerly, every shape of a slot would be a program of its own.
        values = [variable.value for variable in variables]

        def start_of(params: Any, hyper: Any) -> OptimizerState:
            # Those inside make their own: none of it is computed here.
            return self.init_leaves(params, self.tensors, hyper)._replace(inner=())

        start = jax.jit(start_of, compiler_options=QUICKLY)(values, self.hyper_state())
        paths = [variable.path.replace("/", "_") for variable in variables]
        self._state = OptimizerState(
            iterations=self._iterations,
            hyper=self._cells,
            slots=tuple(
                self._fields_as_cells(slots, f"{path}_")
                for path, slots in zip(paths, start.slots, strict=True)
            ),
            shared=self._fields_as_cells(start.shared, ""),
            average=self._as_cells(start.average, paths, "average"),
            accumulated=self._as_cells(start.accumulated, paths, "gradient_accumulator"),
            schedules=self.scheduled,
        )

    def _cell_of_state(self, value: Any, name: str) -> Variable:
        made = Variable(value, trainable=False, name=name)
        made.path = f"{self.name}/{name}"
        return made

    def _fields_as_cells(self, fields: Any, prefix: str) -> Any:
        """A NamedTuple of arrays as one of variables; None stays None."""
        if fields == ():
            return ()
        return type(fields)(
            *(
                None if array is None else self._cell_of_state(array, prefix + name)
                for name, array in fields._asdict().items()
            )
        )

    def _as_cells(
        self, arrays: Sequence[Any], paths: Sequence[str], kind: str
    ) -> tuple[Variable, ...]:
        return tuple(
            self._cell_of_state(array, f"{path}_{kind}")
            for array, path in zip(arrays, paths, strict=False)
        )

    @property
    def state(self) -> OptimizerState:
        """The state as variables, in the shape of the pure state."""
        if self._state is None:
            raise RuntimeError(f"{self.name} has no state yet: call build(variables) first.")
        return self._state._replace(schedules=self.scheduled)

    def cells_now(self) -> OptimizerState:
        """The state as arrays, read from the variables; before `build`, only the rate's part."""
        hyper = self.hyper_state()
        if self._state is None:
            return OptimizerState(self._iterations.value, hyper, (), (), (), (), self.scheduled)
        cells = jax.tree.map(lambda variable: variable.value, self.state._replace(hyper={}))
        return cells._replace(hyper=hyper)

    def write_state(self, state: OptimizerState) -> None:
        """Put a pure state into the variables; hyperparameters stay what they are."""
        cells = jax.tree.leaves(self.state._replace(hyper={}))
        for cell, value in zip(cells, jax.tree.leaves(state._replace(hyper={})), strict=True):
            cell.assign(value)

    def takes(self, variables: Sequence[Variable]) -> bool:
        """Whether these may be trained: it is not built yet, or was built on all of them."""
        return self._state is None or not self._unknown(variables)

    def _unknown(self, variables: Sequence[Variable]) -> list[Variable]:
        known = {id(variable) for variable in self._trainable_variables}
        return [variable for variable in variables if id(variable) not in known]

    def _check_known(self, variables: Sequence[Variable]) -> None:
        for variable in self._unknown(variables):
            raise ValueError(
                f"{self.name} was built on other variables and does not know "
                f"{variable.path!r}. A new model, and layers that were frozen when training "
                "began, need a new optimizer: compile again with one."
            )

    @property
    def variables(self) -> list[Variable]:
        """All state, in Keras's order: iteration, rate, averages, accumulators, slots."""
        is_number = self.schedule is None and self._rate_callable is None
        first = [self._iterations, self._cells["learning_rate"]] if is_number else [
            self._iterations
        ]  # fmt: skip
        if self._state is None:
            return first
        state = self.state
        fields = [slots._asdict() for slots in state.slots if slots != ()]
        trailing = self.trailing_slots
        interleaved = [v for slots in fields for k, v in slots.items() if k not in trailing]
        last = [slots[k] for k in trailing for slots in fields]
        slots = [variable for variable in interleaved + last if variable is not None]
        shared = jax.tree.leaves(state.shared)
        return [*first, *state.average, *state.accumulated, *slots, *shared]

    def get_weights(self) -> list[Any]:
        """`variables` as NumPy arrays."""
        return [variable.numpy() for variable in self.variables]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set `variables` from arrays of the same shapes."""
        mine = self.variables
        if len(weights) != len(mine):
            raise errors.invalid(str(self.name), "weights", f"{len(mine)} arrays", len(weights))
        for variable, value in zip(mine, weights, strict=True):
            variable.assign(value)

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

    # -- which weights decay ---------------------------------------------------------

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
        self._excluded = (list(var_list or []), "|".join(listed) or None)

    @property
    def tensors(self) -> list[Tensor]:
        """The built variables as a step knows them: their paths, and whether they decay."""
        excluded, pattern = self._excluded
        ids = {id(variable) for variable in excluded}
        return [
            Tensor(
                v.path,
                id(v) not in ids and not (pattern and re.search(pattern, v.name)),
                constraint=v.constraint,
            )
            for v in self._trainable_variables
        ]

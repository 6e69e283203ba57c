"""RNN: a cell, run over time."""

import operator
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.names import to_snake_case
from talweg.core.serialization import deserialize_keras_object, serialize_keras_object
from talweg.core.variables import Variable
from talweg.layers.arguments import fields
from talweg.layers.base import Layer
from talweg.layers.calling import knows_its_shape
from talweg.layers.input_spec import InputSpec
from talweg.layers.recurrence import run_over_time
from talweg.layers.stacked_rnn_cells import (
    StackedRNNCells,
    check_cell,
    initial_state,
    is_stepped,
    output_size,
)
from talweg.ops.keras_tensor import KerasTensor

OPTIONS = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
)


class RNN(Layer):
    """Runs a cell over the time axis: (batch, steps, …) to (batch, units).

    A cell has `call(inputs, states)`, which returns the output and the new states,
    `state_size` (an integer or a list of them), and may have `output_size` and
    `get_initial_state(batch_size)`. Weights are made in its `build`. A cell may hold state
    of its own (a `BatchNormalization`, a `SeedGenerator`): it goes from step to step.

    Where the input has a mask, a masked step leaves the states as they were and repeats the
    output before it.

    Args:
        cell: a cell, or a list of them, which is stacked.
        return_sequences: whether all outputs are returned, (batch, steps, units).
        return_state: whether the last states follow the output.
        go_backwards: whether time runs from the last step to the first; all outputs then
            come in that order.
        stateful: whether a batch starts with the states that the batch before left; needs
            a fixed batch size.
        unroll: whether the loop is written out for the compiler; needs a fixed number of
            steps.
        zero_output_for_mask: whether the output of a masked step is zero.

    Raises:
        TypeError: the cell lacks `call` or `state_size`.
        ValueError: `stateful` without a fixed batch, `unroll` without fixed steps.

    >>> from talweg.layers import LSTMCell
    >>> import numpy as np
    >>> outputs, h, c = RNN(LSTMCell(4), return_sequences=True, return_state=True)(
    ...     np.ones((2, 5, 3)))
    >>> outputs.shape, h.shape
    ((2, 5, 4), (2, 4))
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        check_cell(type(self).__name__, cell)
        sizes = cell.state_size
        if not isinstance(sizes, (int, list, tuple)):
            raise errors.wrong_type(
                type(self).__name__, "cell.state_size", "an integer or a list of integers", sizes
            )
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.state_size = [sizes] if isinstance(sizes, int) else list(sizes)
        self._state_variables: Any = None

    # -- shapes and masks --------------------------------------------------------------

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, steps = sequences_shape[:2]
        size = output_size(self.cell)
        output = (batch, steps, size) if self.return_sequences else (batch, size)
        if not self.return_state:
            return output
        return output, *self._state_shapes(batch)

    def _state_shapes(self, batch: int | None) -> list[Any]:
        return [
            (batch, size) if isinstance(size, int) else [(batch, one) for one in size]
            for size in self.state_size
        ]

    def compute_output_spec(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        **kwargs: Any,
    ) -> Any:
        if self.unroll and sequences.shape[1] is None:
            raise errors.invalid(
                f"Layer {self.name!r}", "the number of steps", "known, to unroll over it",
                sequences.shape, "Give it in Input(shape=(steps, …)), or set unroll=False.",
            )  # fmt: skip
        if kwargs or not knows_its_shape(type(self)):
            given = {"initial_state": initial_state, "mask": mask, "training": training}
            return self._traced_spec(sequences, **given, **kwargs)
        shapes = self.compute_output_shape(tuple(sequences.shape))
        return jax.tree.map(
            lambda shape: KerasTensor(shape, self.compute_dtype),
            shapes,
            is_leaf=lambda s: isinstance(s, tuple) and not any(isinstance(i, tuple) for i in s),
        )

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = _first(previous_mask)
        output_mask = mask if self.return_sequences else None
        return [output_mask, *([None] * len(self.state_size))] if self.return_state else output_mask

    # -- states ------------------------------------------------------------------------

    @property
    def states(self) -> Any:
        """The variables that a stateful layer keeps its states in; None where there are none."""
        return self._state_variables

    def _kept_variables(self) -> list[Variable]:
        return [*super()._kept_variables(), *jax.tree.leaves(self._state_variables)]

    def get_initial_state(self, batch_size: int | None) -> list[Any]:
        """What a batch of this size starts with, a list."""
        state = initial_state(self.cell, batch_size, self._cell_dtype)
        return list(state) if isinstance(state, (list, tuple)) else [state]

    def reset_state(self) -> None:
        """Set the states of a stateful layer back to zero."""
        for variable in jax.tree.leaves(self._state_variables):
            variable.assign(jnp.zeros(variable.shape, variable.dtype))

    def reset_states(self) -> None:
        """Another name of `reset_state`."""
        self.reset_state()

    @property
    def _cell_dtype(self) -> str:
        return getattr(self.cell, "compute_dtype", self.compute_dtype)

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
            self.cell.built = True
        if not self.stateful:
            return
        if self._state_variables is not None:
            self.reset_state()
            return
        if sequences_shape[0] is None:
            raise errors.invalid(
                f"Layer {self.name!r}", "the batch size", "fixed, since the layer is stateful",
                sequences_shape, "Give it in Input(batch_shape=(batch, steps, …)).",
            )  # fmt: skip
        self._state_variables = jax.tree.map(
            lambda zeros: Variable(
                zeros, dtype=self.variable_dtype, trainable=False, name="rnn_state"
            ),
            self.get_initial_state(sequences_shape[0]),
        )

    # -- the loop ----------------------------------------------------------------------

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        batch = sequences.shape[0]
        if self.stateful:
            kept = jax.tree.leaves(self._state_variables)[0].shape[0]
            if kept != batch:
                raise errors.invalid(
                    f"Layer {self.name!r}", "the batch size", f"{kept}, as in the batches before",
                    batch, "A stateful layer keeps a state for each row.",
                )  # fmt: skip
        if initial_state is None and self.stateful:
            initial_state = jax.tree.map(lambda v: v.value, self._state_variables)
        elif initial_state is None:
            initial_state = self.get_initial_state(batch)
        if not isinstance(initial_state, (list, tuple)):
            initial_state = [initial_state]
        states = jax.tree.map(lambda x: jnp.asarray(x, self._cell_dtype), list(initial_state))
        last, outputs, states = run_over_time(
            self, sequences, states, _first(mask), training,
            stepped=is_stepped(self.cell, self._cell_dtype),
        )  # fmt: skip
        if self.stateful:
            for variable, state in zip(
                jax.tree.leaves(self._state_variables), jax.tree.leaves(states), strict=True
            ):
                variable.assign(state)
        result = (outputs if self.return_sequences else last).astype(self.compute_dtype)
        if not self.return_state:
            return result
        return result, *jax.tree.map(lambda x: x.astype(self.compute_dtype), states)

    # -- config ------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **fields(self, *OPTIONS),
            "cell": serialize_keras_object(self.cell),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        config = dict(config)
        cell = deserialize_keras_object(config.pop("cell"), custom_objects)
        return cls(cell, **config)


class OneCellRNN(RNN):
    """Base of layers that make their own cell: the cell's arguments are the layer's.

    Args:
        given: the arguments of the class, by name.
        kwargs: arguments of `RNN` and `Layer`.
    """

    cell_class: ClassVar[Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "cell_class" in vars(cls):
            for name in cls.cell_class.arguments:
                setattr(cls, name, property(operator.attrgetter(f"cell.{name}")))

    def __init__(self, given: Mapping[str, Any], kwargs: dict[str, Any]):
        arguments = {name: given[name] for name in self.cell_class.arguments}
        for name in ("dtype", "trainable"):
            if name in kwargs:
                arguments[name] = kwargs[name]
        if "implementation" in kwargs:
            arguments["implementation"] = kwargs.pop("implementation")
        arguments["name"] = to_snake_case(self.cell_class.__name__.lstrip("_"))
        cell = self._make_cell(arguments)
        options = {name: given[name] for name in OPTIONS if name in given}
        super().__init__(
            cell, activity_regularizer=given["activity_regularizer"], **options, **kwargs
        )
        self.input_spec = InputSpec(ndim=3)

    def _make_cell(self, arguments: dict[str, Any]) -> Any:
        return self.cell_class(**arguments)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["cell"]
        return {**config, **fields(self, *self.cell_class.arguments, "activity_regularizer")}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        return cls(**config)


def _first(mask: Any) -> Any:
    """A mask, from one or from a list with one for each input."""
    leaves = jax.tree.leaves(mask)
    return leaves[0] if leaves else None

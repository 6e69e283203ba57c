"""StackedRNNCells: several cells that act as one."""

from collections.abc import Sequence
from typing import Any, Self

import jax.numpy as jnp

from talweg.core import errors
from talweg.core.serialization import deserialize_keras_object, serialize_keras_object
from talweg.layers.base import Layer
from talweg.layers.masks import call_parameters
from talweg.layers.recurrent_cell import Step, SteppedCell


class StackedRNNCells(SteppedCell):
    """Cells on top of each other: the output of one is the input of the next.

    The states are a list with the states of each cell.

    Args:
        cells: cells, the lowest first.

    Raises:
        TypeError: a cell lacks `call` or `state_size`.

    >>> import numpy as np
    >>> from talweg.layers import RNN, GRUCell, LSTMCell
    >>> RNN(StackedRNNCells([LSTMCell(4), GRUCell(3)]))(np.ones((2, 5, 3))).shape
    (2, 3)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any):
        super().__init__(**kwargs)
        for cell in cells:
            check_cell("StackedRNNCells", cell)
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        return output_size(self.cells[-1])

    @property
    def stepped(self) -> bool:
        """Whether all cells know which part of a step needs no state."""
        return all(is_stepped(cell, self.compute_dtype) for cell in self.cells)

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Zeros for each cell, for a batch of this size."""
        return [initial_state(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
                cell.built = True
            input_shape = (input_shape[0], output_size(cell))

    def draw(self, inputs: Any, states: Any) -> tuple[Any, Any]:
        drawn = []
        for cell, own in zip(self.cells, states, strict=True):
            listed = own if isinstance(own, (list, tuple)) else [own]
            drawn.append(cell.draw(inputs, listed))
            inputs = jnp.zeros((inputs.shape[0], output_size(cell)), inputs.dtype)
        # The masks of the inputs of the upper cells are needed inside the loop.
        return drawn[0][0], drawn

    def projects_first(self, inputs: Any) -> bool:
        return self.cells[0].projects_first(inputs)

    def project(self, inputs: Any, dropped: Any) -> Any:
        return self.cells[0].project(inputs, dropped)

    def stepper(self, dropped: Any) -> Step:
        drawn = dropped or [(None, None)] * len(self.cells)
        steps = [c.stepper(own[1]) for c, own in zip(self.cells, drawn, strict=True)]

        def step(projected: Any, states: Any) -> Any:
            new, output = [], None
            for i, (cell, run) in enumerate(zip(self.cells, steps, strict=True)):
                inputs = projected if i == 0 else cell.project(output, drawn[i][0])
                nested = isinstance(states[i], (list, tuple))
                output, own = run(inputs, list(states[i]) if nested else [states[i]])
                new.append(own if nested else own[0])
            return output, new

        return step

    def call(self, inputs: Any, states: Any, training: bool = False, **kwargs: Any) -> Any:
        new_states = []
        for cell, own in zip(self.cells, states, strict=True):
            nested = isinstance(own, (list, tuple))
            inputs, new = run_cell(cell, inputs, list(own) if nested else [own], training)
            new_states.append(new if nested or len(new) > 1 else new[0])
        return inputs, new_states

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cells": [serialize_keras_object(cell) for cell in self.cells],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        config = dict(config)
        cells = [deserialize_keras_object(c, custom_objects) for c in config.pop("cells")]
        return cls(cells, **config)


def check_cell(owner: str, cell: Any) -> None:
    """Refuse what is no cell."""
    for attribute in ("call", "state_size"):
        if attribute not in dir(cell):
            raise errors.wrong_type(owner, "cell", f"an object with {attribute!r}", cell)


def is_stepped(cell: Any, dtype: str) -> bool:
    """Whether a cell is one of talweg's own, its `call` untouched, and computes in `dtype`."""
    if isinstance(cell, StackedRNNCells):
        own = type(cell).call is StackedRNNCells.call and cell.stepped
    else:
        own = isinstance(cell, SteppedCell) and type(cell).call is SteppedCell.call
    return own and cell.compute_dtype == dtype


def output_size(cell: Any) -> int:
    """The size of a cell's output; that of its first state where it does not say."""
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size
        size = size[0] if isinstance(size, (list, tuple)) else size
    return size


def initial_state(cell: Any, batch_size: int | None, dtype: str) -> Any:
    """What a cell starts with; zeros where it does not say."""
    own = getattr(cell, "get_initial_state", None)
    if own is not None:
        return own(batch_size=batch_size)
    sizes = cell.state_size
    if isinstance(sizes, (list, tuple)):
        return [jnp.zeros((batch_size, size), dtype) for size in sizes]
    return jnp.zeros((batch_size, sizes), dtype)


def run_cell(cell: Any, inputs: Any, states: Any, training: bool) -> tuple[Any, list[Any]]:
    """Call any cell; its new states come as a list."""
    takes = isinstance(cell, Layer) and "training" in call_parameters(type(cell))
    flag = {"training": training} if takes else {}
    run = cell if callable(cell) else cell.call
    output, new = run(inputs, states, **flag)
    return output, list(new) if isinstance(new, (list, tuple)) else [new]

"""The loop over time that all recurrent layers share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from talweg.core.variables import Variable, lend
from talweg.layers import context
from talweg.layers.base import Layer
from talweg.layers.stacked_rnn_cells import StackedRNNCells, run_cell


def run_over_time(
    layer: Any, sequences: Any, states: list[Any], mask: Any, training: bool, stepped: bool
) -> tuple[Any, Any, Any]:
    """Run `layer.cell` over axis 1 of `sequences`.

    Args:
        layer: an `RNN`.
        sequences: (batch, steps, …).
        states: what to start with.
        mask: (batch, steps), or (batch, steps, features); False where a step is left out.
        training: whether dropout is on.
        stepped: whether the cell is a `SteppedCell`, whose projection runs for all steps.

    Returns:
        The last output, all outputs (batch, steps, …) or None where they are not needed,
        and the last states.
    """
    run = _stepped if stepped else _any_cell
    cell, over = layer.cell, jnp.swapaxes(sequences, 0, 1)
    alive = None
    if mask is not None:
        alive = jnp.asarray(mask, bool)
        alive = jnp.swapaxes(jnp.any(alive.reshape(*alive.shape[:2], -1), axis=-1), 0, 1)
    return run(layer, cell, over, states, alive, training)


def _stepped(
    layer: Any, cell: Any, over: Any, states: Any, alive: Any, training: bool
) -> tuple[Any, Any, Any]:
    with cell._reading():
        over = over.astype(cell.compute_dtype)
        dropped, recurrent = cell.draw(over[0], states) if training else (None, None)
        step = cell.stepper(recurrent)
        first = cell.projects_first(over)
        if first:
            over = cell.project(over, dropped)

        def whole(inputs: Any, states: Any) -> Any:
            return step(inputs if first else cell.project(inputs, dropped), states)

        # The output is the first state, so only a sequence of them must be collected.
        collect = layer.return_sequences or (alive is not None and layer.zero_output_for_mask)
        states, outputs = _scan(layer, whole, over, states, alive, collect)
    if collect:
        return (*_ends(layer, outputs), states)
    return _output_before(layer, states), None, states


def _any_cell(
    layer: Any, cell: Any, over: Any, states: Any, alive: Any, training: bool
) -> tuple[Any, Any, Any]:
    """The cell is called at each step; what it keeps and adds goes through the loop."""
    own_state = cell.variables if isinstance(cell, Layer) else []
    kept: list[Variable] = [variable for variable in own_state if not variable.made_trainable]
    structure = jax.tree.structure(states)

    def step(inputs: Any, carried: Any) -> Any:
        own, values = carried
        with lend(kept, values) as loan, context.call_context(training) as call:
            output, new = run_cell(cell, inputs, own, training)
            values = loan.values(kept)
        leaves = [
            leaf.astype(old.dtype)
            for leaf, old in zip(jax.tree.leaves(new), jax.tree.leaves(own), strict=True)
        ]
        return (output, call.losses), (jax.tree.unflatten(structure, leaves), values)

    start = (states, [variable.value for variable in kept])
    (states, values), (outputs, losses) = _scan(layer, step, over, start, alive, True)
    for variable, value in zip(kept, values, strict=True):
        variable.assign(value)
    if losses:
        layer.add_loss([jnp.sum(loss) for loss in losses])
    return (*_ends(layer, outputs), states)


def _scan(
    layer: Any, step: Callable[..., Any], over: Any, start: Any, alive: Any, collect: bool
) -> tuple[Any, Any]:
    """`lax.scan` of a step, which masked steps pass unchanged."""

    def body(states: Any, inputs: Any) -> Any:
        if alive is None:
            output, new = step(inputs, states)
            return new, output if collect else None
        inputs, now = inputs
        output, new = step(inputs, states)
        plain = not isinstance(output, tuple)
        value = output if plain else output[0]
        zero = layer.zero_output_for_mask
        before = (
            jnp.zeros_like(value) if zero else _output_before(layer, states if plain else states[0])
        )
        value = _where(now, value, before)
        output = value if plain else (value, *output[1:])
        if plain:
            new = jax.tree.map(lambda n, s: _where(now, n, s), new, states)
        else:  # what the cell keeps belongs to no row
            new = (jax.tree.map(lambda n, s: _where(now, n, s), new[0], states[0]), new[1])
        return new, output if collect else None

    steps = jax.tree.leaves(over)[0].shape[0]
    return lax.scan(
        body,
        start,
        over if alive is None else (over, alive),
        reverse=layer.go_backwards,
        unroll=max(steps, 1) if layer.unroll else 1,
    )


def _ends(layer: Any, outputs: Any) -> tuple[Any, Any]:
    """The output of the last step that ran, and all in the order in which they ran."""
    if layer.go_backwards:
        outputs = jnp.flip(outputs, axis=0)
    return outputs[-1], jnp.swapaxes(outputs, 0, 1)


def _output_before(layer: Any, states: Any) -> Any:
    """The output of the step before: the first state, of the last cell where stacked."""
    state = states[-1] if isinstance(layer.cell, StackedRNNCells) else states[0]
    return state[0] if isinstance(state, (list, tuple)) else state


def _where(alive: Any, new: Any, old: Any) -> Any:
    """`new` in the rows that are alive, (batch,), else `old`."""
    return jnp.where(alive.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

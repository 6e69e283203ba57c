"""A population: many members trained side by side in one compiled program.

The members share a step and a data set; each has a state, hyperparameters, rows and an
order of its own. The program is `vmap` of the step of a single training, inside the same
loop, so the numbers are those of training each member alone.

Members whose training parts differ in size stay in step: a member that has no more full
batches stands still, and the last, smaller batches are run once for each of their sizes,
for the members that have one.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.compilation import use_persistent_cache
from talweg.core.memory import keep_memory
from talweg.training.block import gather
from talweg.training.state import TrainState
from talweg.training.step import Step


class Population:
    """The compiled forms of one step over many members.

    Args:
        step: `(state, batch) -> state` of a single member, pure.
        report: `(state) -> {name: scalar}` of a single member.
        stepwise: whether every step is a call of its own, for steps that a loop slows down.
        options: of XLA, for `jax.jit`.

    Attributes:
        traces: how often each program was traced, by name.
    """

    def __init__(
        self, step: Step, report: Callable[[TrainState], Any], stepwise: bool = False,
        options: dict[str, Any] | None = None,
    ):  # fmt: skip
        self.stepwise = stepwise
        use_persistent_cache()
        keep_memory()
        self.traces: dict[str, int] = {}
        self._step, self._report = step, report
        self._loop = self._compiled("loop", self._many, options)
        self._single = self._compiled("single", self._one, options)

    def _compiled(self, name: str, function: Callable[..., Any], options: Any) -> Any:
        def counted(*args: Any) -> Any:
            self.traces[name] = self.traces.get(name, 0) + 1
            return function(*args)

        return jax.jit(counted, donate_argnums=0, compiler_options=options)

    def _advance(self, state: TrainState, data: Any, rows: Any, active: Any) -> TrainState:
        """One step of every member; those that are not active stand still."""

        def member(state: TrainState, rows: Any, active: Any) -> TrainState:
            moved = self._step(state, gather(data, rows))
            return jax.tree.map(lambda new, old: jnp.where(active, new, old), moved, state)

        return jax.vmap(member)(state, rows, active)

    def _one(self, state: TrainState, data: Any, rows: Any, active: Any) -> Any:
        state = self._advance(state, data, rows, active)
        return state, jax.vmap(self._report)(state)

    def _many(
        self, state: TrainState, data: Any, orders: Any, limits: Any, start: Any, count: Any
    ) -> Any:
        def body(i: Any, state: TrainState) -> TrainState:
            return self._advance(state, data, orders[:, i], i < limits)

        state = jax.lax.fori_loop(start, start + count, body, state)
        return state, jax.vmap(self._report)(state)

    def run(
        self, state: TrainState, data: Any, orders: Sequence[np.ndarray], batch_size: int,
        block: Callable[[int], int], done: Callable[[int], Any],
    ) -> tuple[TrainState, dict[str, np.ndarray]]:  # fmt: skip
        """Take every member through its own rows once.

        Args:
            state: the members' states, stacked; its buffers are given up.
            data: rows on the device, shared.
            orders: for each member its row numbers, in the order of training.
            batch_size: rows per step.
            block: how many of the remaining steps to run in the next call.
            done: told the number of steps after each call.

        Returns:
            The new states, and the members' logs: an array with one value each, by name.
        """
        limits = np.array([len(order) // batch_size for order in orders], np.int32)
        steps = int(limits.max(initial=0))
        logs: dict[str, Any] = {}
        full = np.zeros((len(orders), steps * batch_size), np.int32)
        for row, order, limit in zip(full, orders, limits, strict=True):
            row[: limit * batch_size] = order[: limit * batch_size]
        full = full.reshape(len(orders), steps, batch_size)
        looped = steps > 1 and not self.stepwise
        rows = jax.device_put(full) if looped else None
        start = 0
        while start < steps:
            count = block(steps - start) if looped else block(1)
            if looped:
                state, logs = self._loop(state, data, rows, jax.device_put(limits), start, count)
            else:
                state, logs = self._take_step(state, data, full[:, start], start < limits)
            jax.block_until_ready(state.first_bad)
            start += count
            done(count)
        for tail, active in _tails(orders, limits * batch_size):
            block(1)
            state, logs = self._take_step(state, data, tail, active)
            jax.block_until_ready(state.first_bad)
            done(1)
        return state, {name: np.asarray(value) for name, value in logs.items()}

    def _take_step(
        self, state: TrainState, data: Any, rows: np.ndarray, active: np.ndarray
    ) -> tuple[TrainState, dict[str, Any]]:
        return self._single(state, data, jax.device_put(rows), jax.device_put(active))


def _tails(
    orders: Sequence[np.ndarray], taken: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each size of a last batch: the rows of all members, and whose turn it is."""
    rests = [len(order) - int(start) for order, start in zip(orders, taken, strict=True)]
    for rest in sorted(set(rests) - {0}):
        tail = np.zeros((len(orders), rest), np.int32)
        active = np.array([size == rest for size in rests])
        for i in map(int, np.flatnonzero(active)):
            tail[i] = orders[i][int(taken[i]) :]
        yield tail, active


def take(state: TrainState, members: Any) -> TrainState:
    """The states of some members."""
    index = jnp.asarray(members)
    return jax.tree.map(lambda leaf: leaf[index], state)

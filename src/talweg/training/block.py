"""A block: K steps run as one compiled program.

The loop inside is `fori_loop` with its bounds as data, so one compilation serves every
block length. Batches are gathered inside from rows that lie on the device.

Two programs stand behind a block. `loop` runs many steps in one call, or one where a callback
wants the weights after it: the loop over a small step is one kernel (`core.kernels`) and rounds
in its own way. `single` runs one step outside any loop: for the last, smaller batch, and for
steps with convolutions on a CPU, whose weight gradient XLA runs about 18 times slower inside a
loop (measured with jax 0.10.2; with a step of milliseconds, the microseconds of a call do not
matter).

Hyperparameters go in and are never written back, so a rate that another thread sets
while a block runs is not lost.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.compilation import use_persistent_cache
from talweg.core.kernels import ONE_KERNEL, equations, fits_one_kernel, warn_of_late_flags
from talweg.core.memory import keep_memory
from talweg.data import Chunk
from talweg.training.state import TrainState
from talweg.training.step import Step

# Steps whose logs one block can return; bounds the length of blocks that do.
TRACED = 256

# Primitives that XLA runs much slower inside a loop on a CPU.
_SLOW_IN_LOOPS = frozenset({"conv_general_dilated"})


class Program:
    """The compiled forms of one step.

    Args:
        step: `(state, batch) -> state`, pure.
        report: `(state) -> {name: value}`, computed at the end of a block.
        moving: the fields of the state that the step changes; the others go in and are
            not copied out. Hyperparameters never move.
        keep: whether the state before a block is kept until the weights after it are known
            to be finite. Where they are not (a gradient was NaN, though the loss was not),
            the block is run again up to the last step that left them finite. For small
            states; a large one is given up to the block, and its step must watch.

    Attributes:
        traces: how often each program was traced, by name: what must not grow.
    """

    def __init__(
        self,
        step: Step,
        report: Callable[[TrainState], dict[str, Any]],
        moving: Sequence[str] = TrainState._fields,
        keep: bool = False,
    ):
        use_persistent_cache()
        keep_memory()
        warn_of_late_flags()
        self.keep = keep
        # Traced once for all programs: inside another trace, `jit` repeats what it found.
        self.step = jax.jit(step, inline=True)
        self.report = report
        self.moving = frozenset(moving)
        self.traces: dict[str, int] = {}
        self._slow_in_loops: bool | None = None
        self._fits: dict[int, bool] = {}
        self._single = self._compiled("single", self._one)
        self._loop, self._traced = (
            {
                False: self._compiled(name, functools.partial(function, gather)),
                True: self._compiled(
                    name, functools.partial(function, _gather_in_turn), ONE_KERNEL
                ),
            }
            for name, function in (("loop", self._many), ("traced", self._many_traced))
        )

    def _compiled(self, name: str, function: Callable[..., Any], options: Any = None) -> Any:
        def counted(*args: Any) -> Any:
            self.traces[name] = self.traces.get(name, 0) + 1
            return function(*args)

        donated = () if self.keep else 1
        return jax.jit(counted, donate_argnums=donated, compiler_options=options)

    # -- the programs ----------------------------------------------------------------

    def split(self, state: TrainState) -> tuple[TrainState, TrainState]:
        """The state as what stands still during a block and what moves."""
        still = state._replace(**dict.fromkeys(self.moving, ()))
        moved = state._replace(**{f: () for f in state._fields if f not in self.moving})
        if "optimizer" in self.moving:
            still = still._replace(optimizer=state.optimizer.hyper)
            moved = moved._replace(optimizer=state.optimizer._replace(hyper={}))
        return still, moved

    def join(self, still: TrainState, moved: TrainState) -> TrainState:
        """The whole state again."""
        chosen = {f: getattr(moved if f in self.moving else still, f) for f in moved._fields}
        if "optimizer" in self.moving:
            chosen["optimizer"] = moved.optimizer._replace(hyper=still.optimizer)
        return TrainState(**chosen)

    def _one(self, still: Any, moved: Any, data: Any, rows: Any) -> Any:
        state = self.step(self.join(still, moved), gather(data, rows))
        return self.split(state)[1], self.report(state)

    def _many(
        self, take: Any, still: Any, moved: Any, data: Any, order: Any, start: Any, count: Any
    ) -> Any:
        def body(i: Any, moved: TrainState) -> TrainState:
            return self.split(self.step(self.join(still, moved), take(data, order[i])))[1]

        moved = jax.lax.fori_loop(start, start + count, body, moved)
        return moved, self.report(self.join(still, moved))

    def _many_traced(
        self, take: Any, still: Any, moved: Any, data: Any, order: Any, start: Any, count: Any
    ) -> Any:
        shapes = jax.eval_shape(lambda moved: self.report(self.join(still, moved)), moved)
        empty = jax.tree.map(lambda a: jnp.zeros((TRACED, *a.shape), a.dtype), shapes)

        def body(i: Any, carry: Any) -> Any:
            moved, history = carry
            state = self.step(self.join(still, moved), take(data, order[i]))
            logs = self.report(state)
            history = jax.tree.map(lambda h, a: h.at[i - start].set(a), history, logs)
            return self.split(state)[1], history

        return jax.lax.fori_loop(start, start + count, body, (moved, empty))

    # -- running them ----------------------------------------------------------------

    def begin(self, chunk: Chunk, state: TrainState, per_step: str) -> "Passage":
        """Start on a chunk.

        Args:
            chunk: rows on the device and their order.
            state: the state, for its shapes.
            per_step: "no", or what is wanted after every step: "logs" or "weights".
        """
        first = int(np.asarray(state.optimizer.iterations)) if "optimizer" in self.moving else 0
        if len(chunk.order) < chunk.batch_size or jax.config.jax_disable_jit:  # pyright: ignore[reportAttributeAccessIssue]
            return Passage(self, chunk, "steps", first)
        self._look(chunk, state)
        if self._slow_in_loops:
            return Passage(self, chunk, "steps", first)
        return Passage(self, chunk, per_step, first, self._fits[chunk.batch_size])

    def _look(self, chunk: Chunk, state: TrainState) -> None:
        """Trace a step on a batch (it is traced once only) and look inside."""
        if chunk.batch_size in self._fits:
            return
        rows = jax.ShapeDtypeStruct((chunk.batch_size,), np.int32)
        traced = self.step.trace(state, jax.eval_shape(gather, chunk.data, rows))
        self._fits[chunk.batch_size] = fits_one_kernel(traced)
        self._slow_in_loops = slow_in_loops(traced)


class Passage:
    """The way of a program through one chunk.

    Args:
        program: the compiled step.
        chunk: rows and their order.
        mode: "steps" to run one by one outside a loop, "weights" in loops of one step, "logs"
            for the logs of each step, "no" for those at the end of a block only.
        first: the iteration of the first step, where the program trains.
        fits: whether the loop is to be one kernel.
    """

    def __init__(
        self, program: Program, chunk: Chunk, mode: str, first: int = 0, fits: bool = False
    ):
        self.chunk = chunk
        self.mode = mode
        self.fits = fits
        self.first = first
        self._program, self._data = program, chunk.data
        self._full = len(chunk.order) // chunk.batch_size
        self._has_tail = self._full * chunk.batch_size < len(chunk.order)
        self._order = None
        if self.looped:
            # As long as the data itself, so that parts of it do not recompile the loop.
            rows = jax.tree.leaves(chunk.data)[0].shape[0]
            steps = max(self._full, rows // chunk.batch_size)
            order = np.zeros((steps, chunk.batch_size), np.int32)
            taken = self._full * chunk.batch_size
            order.reshape(-1)[:taken] = chunk.order[:taken]
            self._order = jax.device_put(order)
        self._step = 0

    @property
    def looped(self) -> bool:
        """Whether several steps may run in one call."""
        return self.mode != "steps" and self._full > 0

    @property
    def step(self) -> int:
        """How many steps of the chunk are done."""
        return self._step

    @property
    def longest(self) -> int:
        """How many steps the next call may run; 0 at the end."""
        remaining = self._full - self._step
        if remaining > 0:
            return min(
                remaining, {"steps": 1, "weights": 1, "logs": TRACED}.get(self.mode, remaining)
            )
        return 1 if remaining == 0 and self._has_tail else 0

    def advance(
        self, state: TrainState, count: int
    ) -> tuple[TrainState, list[dict[str, np.ndarray]]]:
        """Run `count` steps; the new state, and the logs of each step or of the last."""
        program, start = self._program, self._step
        self._step += count
        still, before = program.split(state)
        moved, history = self._run(still, before, start, count)
        if program.keep and not _sound(moved):
            moved, history = self._last_sound(still, before, start, count)
        return program.join(still, moved), history

    def _run(
        self, still: TrainState, moved: TrainState, start: int, count: int
    ) -> tuple[TrainState, list[dict[str, np.ndarray]]]:
        program = self._program
        if self.mode == "steps" or start >= self._full:
            rows = jax.device_put(self.rows(start))
            moved, logs = program._single(still, moved, self._data, rows)
            return moved, [_on_host(logs)]
        looped = program._traced if self.mode == "logs" else program._loop
        moved, logs = looped[self.fits](still, moved, *self.loop_arguments(start, count))
        logs = _on_host(logs)
        if self.mode == "logs":
            return moved, [{name: h[i] for name, h in logs.items()} for i in range(count)]
        return moved, [logs]

    def _last_sound(
        self, still: TrainState, before: TrainState, start: int, count: int
    ) -> tuple[TrainState, list[dict[str, np.ndarray]]]:
        """The state after the last step that left the weights finite, found by halving."""
        sound, broken = 0, count
        moved, history = before, [self._run(still, before, start, 1)[1][0]]
        while broken - sound > 1:
            middle = (sound + broken) // 2
            tried, logs = self._run(still, before, start, middle)
            if _sound(tried):
                sound, moved, history = middle, tried, logs
            else:
                broken = middle
        moved = moved._replace(first_bad=moved.optimizer.iterations)
        last = {**history[-1], "first_bad": np.asarray(moved.first_bad)}
        return moved, [*history[:-1], last]

    def loop_arguments(self, start: int, count: int) -> tuple[Any, ...]:
        """What the looping programs take beside the state."""
        return self._data, self._order, start, count

    def rows(self, step: int) -> np.ndarray:
        """The row numbers of a step of this chunk."""
        size = self.chunk.batch_size
        return self.chunk.order[step * size : (step + 1) * size]

    def last_rows(self) -> np.ndarray:
        """The row numbers of the last full batch so far; of the smaller one where none is."""
        return self.rows(max(min(self._step, self._full), 1) - 1)

    def resume_at(self, iteration: int) -> None:
        """The next step is that iteration: somebody may have gone back."""
        self.first = iteration - self._step

    def batch(self, step: int) -> Any:
        """The data of a step of this chunk."""
        rows = self.rows(step)
        return jax.tree.map(lambda a: a[rows], self._data)


def gather(data: Any, rows: Any) -> Any:
    """The rows of every array of a tree; pure."""
    return jax.tree.map(lambda a: jnp.take(a, rows, axis=0, mode="clip"), data)


def _gather_in_turn(data: Any, rows: Any) -> Any:
    """The same by a loop over rows: of a gather XLA takes it that all of the array is touched."""

    def taken(a: Any) -> Any:
        return jax.lax.map(lambda r: jax.lax.dynamic_index_in_dim(a, r, keepdims=False), rows)

    return jax.tree.map(taken, data)


def _sound(state: TrainState) -> bool:
    """Whether all weights are finite; looked at on the host, where it costs no compilation."""
    return all(bool(np.isfinite(np.asarray(array)).all()) for array in state.params)


def _on_host(logs: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in logs.items()}


def slow_in_loops(traced: Any) -> bool:
    """Whether a traced program holds what XLA runs much slower inside a loop on a CPU.

    What stands in a function with a derivative of its own is a forward pass, and no loop slows
    that down: such are the convolutions of layers (`layers/windows.py`).
    """
    if jax.default_backend() != "cpu":
        return False
    found = equations(traced.jaxpr.jaxpr, within=lambda e: e.primitive.name != "custom_jvp_call")
    return any(equation.primitive.name in _SLOW_IN_LOOPS for equation, _ in found)

"""The loop: epochs, blocks, callbacks. Fits on one screen.

for epoch:
    for chunk of the data:                 arrays: one; streams: many
        for block of the chunk:            K steps, one compiled call
            read the cells -> run the block -> write the cells
            tell the callbacks
    validate, tell the callbacks

What happens is told twice: by Keras's hooks, and as events to those who listen (`Teller`).
Callbacks that want to look inside a step do so after a block, now and then (`Probe`).
"""

import contextlib
import operator
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from talweg.core import events
from talweg.data import Batches, Chunk, rest_of
from talweg.training.block import Passage, Program
from talweg.training.interrupt import Interrupt
from talweg.training.pace import Pace
from talweg.training.probe import Probe
from talweg.training.state import TrainState


class Trainee(Protocol):
    """What the loop trains: cells to read and write, and a wish to stop."""

    @property
    def stop_training(self) -> bool:
        """Set by callbacks; honoured after the block and the epoch."""
        ...

    @stop_training.setter
    def stop_training(self, value: bool) -> None: ...

    def read_state(self) -> TrainState:
        """The state as arrays, with the hyperparameters of this moment."""
        ...

    def write_state(self, state: TrainState) -> None:
        """Put a state back into the cells; hyperparameters are left alone."""
        ...

    def reset_metrics(self) -> None:
        """Forget the batches that the metrics have seen."""
        ...

    def inspect(self, logs: dict[str, Any], passage: Passage) -> tuple[dict[str, Any], str | None]:
        """Read the flags in the logs of a step; what is wrong, in a sentence, or an error."""
        ...

    @property
    def diverged(self) -> bool:
        """Whether the state stands still since a step that was not finite."""
        ...

    def give_up(self, message: str) -> None:
        """Nobody mended what `inspect` found: warn and stop."""
        ...

    def training(self) -> contextlib.AbstractContextManager[None]:
        """While steps are taken: the cells hold the weights to train, else those to use."""
        ...

    @property
    def iterations(self) -> int:
        """How many steps the optimizer has taken."""
        ...

    def hyperparameters(self) -> dict[str, Any]:
        """The arrays of the hyperparameters of this moment, in a tree by name."""
        ...

    def epoch_done(self, epoch: int, logs: dict[str, Any]) -> None:
        """Tell the optimizer how an epoch went."""
        ...

    def probe(self, looks: Sequence[Any]) -> Callable[[Any, Any], tuple[Any, Any]] | None:
        """A compiled look inside a step, `(data, rows) -> (loss, what each look says)`."""
        ...


class Teller:
    """Tells events to the callbacks that listen, and shows the inside of steps.

    Without a callback that listens or looks it costs nothing.

    A hyperparameter that was set, by whatever hand, is found by looking whether its array
    is another one than before.

    Args:
        trainee: what is trained.
        callbacks: a `CallbackList`.
    """

    def __init__(self, trainee: Trainee, callbacks: Any):
        self._trainee, self._callbacks = trainee, callbacks
        self._listens: bool = callbacks.listens
        self._known = trainee.hyperparameters() if self._listens else {}
        self._probe = Probe(trainee.probe(callbacks.looks), callbacks.probe_share)

    def __call__(self, kind: type[events.Event], /, **fields: Any) -> None:
        """Tell one event of this moment."""
        if self._listens:
            self._callbacks.on_event(kind(step=self._trainee.iterations, **fields))

    def block(
        self, passage: Passage, steps: int, seconds: float, logs: dict[str, Any], alarm: str | None
    ) -> None:
        """Tell a block that is done, what its inside looks like, and what is wrong with it."""
        seen = self._probe(passage) if alarm is None else None
        values = [as_floats(each) for each in seen[1]] if seen else []
        numbers = {k: v for each in values for k, v in each.items() if isinstance(v, float)}
        self(events.BlockDone, steps=steps, seconds=seconds, logs={**numbers, **logs})
        if alarm is not None:
            self(events.Alarm, kind="divergence", message=alarm)
        if seen is not None:
            self._callbacks.show(self._trainee.iterations, seen[0], values)
            self._probe.done()
        if alarm is not None or seen is not None:  # a callback may have gone back
            passage.resume_at(self._trainee.iterations)

    def changes(self) -> None:
        """Tell which hyperparameters were set since the last time."""
        if not self._listens:
            return
        before, self._known = self._known, self._trainee.hyperparameters()
        if all(map(operator.is_, jax.tree.leaves(before), jax.tree.leaves(self._known))):
            return
        known = _by_name(before)
        for name, array in _by_name(self._known).items():
            old = known.get(name)
            if old is not None and old is not array and float(old) != float(array):
                self(events.RateChanged, name=name, before=float(old), after=float(array))


def _by_name(tree: dict[str, Any]) -> dict[str, Any]:
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(p, simple=True, separator="/"): array for p, array in paths}


def train(
    trainee: Trainee,
    program: Program,
    batches: Batches,
    callbacks: Any,
    epochs: range,
    pace: Pace,
    validate: Callable[[int], dict[str, Any]],
    interrupt: Interrupt,
) -> None:
    """Train for `epochs`; weights and history are intact however it ends.

    Args:
        trainee: the cells.
        program: the compiled training step.
        batches: the data.
        callbacks: a `CallbackList`.
        epochs: the numbers of the epochs.
        pace: how long blocks are.
        validate: the logs of the validation after an epoch; empty where there is none.
        interrupt: a Ctrl-C that waits for the end of a block.
    """
    trainee.stop_training = False
    tell = Teller(trainee, callbacks)
    tell(events.RunStarted, epochs=epochs.stop, steps_per_epoch=batches.steps)
    try:
        _train(trainee, program, batches, callbacks, epochs, pace, validate, interrupt, tell)
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        what = "interrupted" if stopped else f"failed: {type(error).__name__}: {error}"
        tell(events.RunEnded, reason=what)
        raise
    tell(events.RunEnded, reason="stopped" if trainee.stop_training else "finished")


def _train(
    trainee: Trainee, program: Program, batches: Batches, callbacks: Any, epochs: range,
    pace: Pace, validate: Callable[[int], dict[str, Any]], interrupt: Interrupt, tell: Teller,
) -> None:  # fmt: skip
    callbacks.on_train_begin()
    logs: dict[str, Any] = {}
    for epoch in callbacks.epochs_left(epochs):
        trainee.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        done, told = callbacks.steps_done(epoch)
        if done:  # of an epoch that was interrupted
            logs = told
        blocks = run(
            trainee, program, batches.epoch(epoch), pace, callbacks, "train", interrupt,
            tell=tell, done=done,
        )  # fmt: skip
        ran = done > 0
        with trainee.training(), contextlib.closing(blocks):
            for logs in blocks:  # noqa: B007 - what remains are those of the last block
                ran = True
                if trainee.stop_training:
                    break
        if not ran:  # the data is used up
            break
        logs = {**logs, **validate(epoch)}
        callbacks.on_epoch_end(epoch, logs)
        trainee.epoch_done(epoch, logs)
        tell(events.EpochDone, epoch=epoch, logs=logs)
        if trainee.stop_training:
            break
    callbacks.on_train_end(logs)


def run(
    trainee: Trainee,
    program: Program,
    chunks: Generator[Chunk, None, None],
    pace: Pace,
    callbacks: Any,
    phase: str,
    interrupt: Interrupt,
    announced: bool = True,
    tell: Teller | None = None,
    done: int = 0,
) -> Generator[dict[str, Any], None, None]:
    """Run all chunks block by block; yields the logs after each block.

    Batch hooks are called in pairs: before a block for its first step, then, once it is
    done, for what is left of it.

    Args:
        trainee: the cells.
        program: the compiled step.
        chunks: the data of one pass; closed when the run ends, however it ends.
        pace: how long blocks are.
        callbacks: a `CallbackList`.
        phase: "train" or "test", whose batch hooks are called.
        interrupt: a Ctrl-C that waits for the end of a block.
        announced: whether `on_block_end` is called.
        tell: where the events of training go.
        done: how many steps of the pass are left out, since they were taken before.
    """
    begin = getattr(callbacks, f"on_{phase}_batch_begin")
    end = getattr(callbacks, f"on_{phase}_batch_end")
    per_step = callbacks.per_step
    if phase == "test":
        per_step = "weights" if callbacks.per_test_batch else "no"
    if pace.fixed:
        per_step = "no"
    step = done
    chunks = rest_of(chunks, done) if done else chunks
    with contextlib.closing(chunks):
        while True:
            with interrupt.answered():
                chunk = next(chunks, None)
            if chunk is None:
                return
            passage = program.begin(chunk, trainee.read_state(), per_step)
            while passage.longest:
                count = pace.next(min(passage.longest, _due(step, pace, callbacks, phase)))
                begin(step)
                if tell:
                    tell.changes()
                began = time.perf_counter()
                state, history = passage.advance(trainee.read_state(), count)
                trainee.write_state(state)
                del state  # the cells alone hold it now, so the next block may take it over
                pace.done(count)
                logs: dict[str, Any] = {}
                alarm: str | None = None
                for i, values in enumerate(history):
                    if i:
                        begin(step + i)
                    logs, found = trainee.inspect(as_floats(values), passage)
                    alarm = alarm or found
                    end(step + (i if len(history) > 1 else count - 1), logs)
                step += count
                if tell:
                    tell.block(passage, count, time.perf_counter() - began, logs, alarm)
                if alarm and trainee.diverged:
                    trainee.give_up(alarm)
                if announced:
                    callbacks.on_block_end(step, logs)
                yield logs
                interrupt.raise_if_pending()


def _due(step: int, pace: Pace, callbacks: Any, phase: str) -> int:
    """After how many steps the batch hooks must be called."""
    if pace.fixed:
        return pace.limit - step % pace.limit
    return callbacks.due_in() if phase == "train" else pace.limit


def as_floats(logs: dict[str, Any]) -> dict[str, Any]:
    """Scalars as Python floats, arrays as they are."""
    return {name: value.item() if np.ndim(value) == 0 else value for name, value in logs.items()}

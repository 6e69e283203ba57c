"""The loop: epochs, blocks, callbacks. Fits on one screen.

for epoch:
    for chunk of the data:                 arrays: one; streams: many
        for block of the chunk:            K steps, one compiled call
            read the cells -> run the block -> write the cells
            tell the callbacks
    validate, tell the callbacks
"""

import contextlib
from collections.abc import Callable, Generator, Iterable
from typing import Any, Protocol

import numpy as np

from talweg.data import Batches, Chunk
from talweg.training.block import Passage, Program
from talweg.training.interrupt import Interrupt
from talweg.training.pace import Pace
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

    def inspect(self, logs: dict[str, Any], passage: Passage) -> dict[str, Any]:
        """Read the flags in the logs of a step; warn, stop or raise where something is wrong."""
        ...


def train(
    trainee: Trainee,
    program: Program,
    batches: Batches,
    callbacks: Any,
    epochs: Iterable[int],
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
    callbacks.on_train_begin()
    logs: dict[str, Any] = {}
    for epoch in epochs:
        trainee.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        blocks = run(trainee, program, batches.epoch(epoch), pace, callbacks, "train", interrupt)
        ran = False
        with contextlib.closing(blocks):
            for logs in blocks:  # noqa: B007 - what remains are those of the last block
                ran = True
                if trainee.stop_training:
                    break
        if not ran:  # the data is used up
            break
        logs = {**logs, **validate(epoch)}
        callbacks.on_epoch_end(epoch, logs)
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
    """
    begin = getattr(callbacks, f"on_{phase}_batch_begin")
    end = getattr(callbacks, f"on_{phase}_batch_end")
    per_step = callbacks.per_step
    if phase == "test":
        per_step = "weights" if callbacks.per_test_batch else "no"
    step = 0
    with contextlib.closing(chunks):
        while True:
            with interrupt.answered():
                chunk = next(chunks, None)
            if chunk is None:
                return
            passage = program.begin(chunk, trainee.read_state(), per_step)
            while passage.longest:
                count = pace.next(passage.longest)
                begin(step)
                state, history = passage.advance(trainee.read_state(), count)
                trainee.write_state(state)
                pace.done(count)
                logs: dict[str, Any] = {}
                for i, values in enumerate(history):
                    if i:
                        begin(step + i)
                    logs = trainee.inspect(as_floats(values), passage)
                    end(step + (i if len(history) > 1 else count - 1), logs)
                step += count
                if announced:
                    callbacks.on_block_end(step, logs)
                yield logs
                interrupt.raise_if_pending()


def as_floats(logs: dict[str, Any]) -> dict[str, Any]:
    """Scalars as Python floats, arrays as they are."""
    return {name: value.item() if np.ndim(value) == 0 else value for name, value in logs.items()}

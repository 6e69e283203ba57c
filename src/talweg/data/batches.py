"""Batches: the one form in which data reaches the engine.

An epoch is a sequence of chunks. A chunk is arrays (on the device, but for predictions, which
take each row once), and the order in which their rows are taken, `batch_size` at a time; the
last batch of a chunk may be smaller.
Data in memory is one chunk per epoch, a stream is many.
"""

import contextlib
import warnings
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Protocol

import numpy as np


class Sample(NamedTuple):
    """The parts of a batch: inputs, targets, weights; the last two may be None."""

    x: Any
    y: Any = None
    weight: Any = None


class Chunk(NamedTuple):
    """Rows and the order of taking them.

    Attributes:
        data: a `Sample` of arrays, rows first.
        order: int32 row numbers, in the order of training.
        batch_size: how many rows make a step.
        first_batch: in a stream, the number of the chunk's first batch in its epoch; None
            where the row numbers are those of the user's own arrays.
    """

    data: Sample
    order: np.ndarray
    batch_size: int
    first_batch: int | None = None

    @property
    def steps(self) -> int:
        """Full batches, and one more where rows remain."""
        return -(-len(self.order) // self.batch_size)

    def after(self, steps: int) -> "Chunk":
        """The chunk without its first steps."""
        first = None if self.first_batch is None else self.first_batch + steps
        return self._replace(order=self.order[steps * self.batch_size :], first_batch=first)


class Batches(Protocol):
    """What `fit` iterates over.

    Attributes:
        steps: how many steps an epoch has; None until a stream has ended once.
    """

    steps: int | None

    def example(self) -> Sample:
        """A first batch, for shapes and types; nothing is consumed."""
        ...

    def epoch(self, index: int) -> Generator[Chunk, None, None]:
        """The chunks of one epoch; the same index gives the same order."""
        ...

    def weigh(self, change: Callable[[Sample], Sample]) -> None:
        """Let `change` put weights into the samples: class weights."""
        ...

    def check(self, inspect: Callable[[Sample], None]) -> None:
        """Have `inspect` see the host arrays: all at once, or each batch as it comes."""
        ...


def rest_of(chunks: Generator[Chunk, None, None], steps: int) -> Generator[Chunk, None, None]:
    """The chunks of an epoch without its first steps."""
    with contextlib.closing(chunks):
        for chunk in chunks:
            passed = min(steps, chunk.steps)
            steps -= passed
            if passed < chunk.steps:
                yield chunk.after(passed)


def warn_of_the_end(wanted: int, came: int) -> None:
    """Say that the data ended before the epoch did."""
    warnings.warn(
        f"Your input ran out of data: an epoch was to have {wanted} batches, but only {came} "
        "came. The epoch ends early. Ask for fewer steps, or let the data repeat.",
        UserWarning,
        stacklevel=2,
    )

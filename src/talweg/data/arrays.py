"""ArrayBatches: data in memory, put on the device once, gathered there batch by batch."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.random import host_generator
from talweg.data.batches import Chunk, Sample
from talweg.data.host import check_rows, check_weight, to_host


class ArrayBatches:
    """Arrays in memory.

    Args:
        x, y, weight: arrays or trees of arrays, rows first; y and weight may be None.
        batch_size: rows per step.
        shuffle: True for a new order each epoch, "batch" to shuffle whole batches.
        seed: the order of epoch i depends on (seed, i) only.
        steps: stop an epoch after so many steps.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        weight: Any = None,
        batch_size: int = 32,
        shuffle: bool | str = False,
        seed: int = 0,
        steps: int | None = None,
    ):
        self._host = Sample(to_host(x, "x"), to_host(y, "y"), to_host(weight, "sample_weight"))
        self.rows = check_rows(*self._host)
        check_weight(self._host.weight)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self._limit = steps
        full = -(-self.rows // batch_size)
        self.steps: int | None = full if steps is None else steps
        self._device: Sample | None = None
        self._cursor = 0

    @property
    def host(self) -> Sample:
        """The arrays as they lie on the host."""
        return self._host

    def example(self) -> Sample:
        return jax.tree.map(lambda a: a[: self.batch_size], self._host)

    def check(self, inspect: Callable[[Sample], None]) -> None:
        inspect(jax.tree.map(np.asarray, self._host))

    def order(self, index: int) -> np.ndarray:
        """The row numbers of epoch `index`."""
        if not self.shuffle:
            return np.arange(self.rows, dtype=np.int32)
        generator = host_generator(self.seed, index)
        if self.shuffle == "batch":
            full = self.rows // self.batch_size
            blocks = generator.permutation(full)[:, None] * self.batch_size
            whole = (blocks + np.arange(self.batch_size)).ravel()
            rest = np.arange(full * self.batch_size, self.rows)
            return np.concatenate([whole, rest]).astype(np.int32)
        return generator.permutation(self.rows).astype(np.int32)

    def epoch(self, index: int) -> Iterator[Chunk]:
        if self._device is None:
            self._device = jax.tree.map(jnp.asarray, self._host)
        if self._limit is None:
            yield Chunk(self._device, self.order(index), self.batch_size)
            return
        # With steps_per_epoch the passes over the data go on across epochs, as in Keras.
        remaining = self._limit
        while remaining:
            passes = -(-self.rows // self.batch_size)
            pass_index, step = divmod(self._cursor, passes)
            take = min(remaining, passes - step)
            start = step * self.batch_size
            rows = self.order(pass_index)[start : start + take * self.batch_size]
            yield Chunk(self._device, rows, self.batch_size)
            self._cursor += take
            remaining -= take

"""ArrayBatches: data in memory, put on the device once, gathered there batch by batch."""

from collections.abc import Callable, Generator
from typing import Any

import jax
import numpy as np

from talweg.core.random import host_generator
from talweg.data.batches import Chunk, Sample, warn_of_the_end
from talweg.data.host import check_rows, check_weight, to_host


class ArrayBatches:
    """Arrays in memory.

    Args:
        x, y, weight: arrays or trees of arrays, rows first; y and weight may be None.
        batch_size: rows per step; where None, 32, or what makes `steps` steps of a pass.
        shuffle: True for a new order each pass, "batch" to shuffle whole batches.
        seed: the order of pass i depends on (seed, i) only.
        steps: steps per epoch. The passes over the data then go on across epochs; where
            a pass ends inside an epoch, the epoch ends with it and a warning says so.
        read: makes arrays of x.
        on_device: whether chunks are put on the device, or stay on the host.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        weight: Any = None,
        batch_size: int | None = 32,
        shuffle: bool | str = False,
        seed: int = 0,
        steps: int | None = None,
        read: Callable[[Any, str], Any] = to_host,
        on_device: bool = True,
    ):
        self._host = Sample(read(x, "x"), to_host(y, "y"), to_host(weight, "sample_weight"))
        self.rows = check_rows(*self._host)
        check_weight(self._host.weight)
        if batch_size is None:
            batch_size = 32 if steps is None else -(-self.rows // steps)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self._limit = steps
        self._pass_steps = -(-self.rows // batch_size)
        self.steps: int | None = self._pass_steps if steps is None else steps
        self._on_device = on_device
        self._device: Sample | None = None

    @property
    def host(self) -> Sample:
        """The arrays as they lie on the host."""
        return self._host

    def example(self) -> Sample:
        return jax.tree.map(lambda a: a[: self.batch_size], self._host)

    def weigh(self, change: Callable[[Sample], Sample]) -> None:
        self._host, self._device = change(self._host), None

    def check(self, inspect: Callable[[Sample], None]) -> None:
        inspect(jax.tree.map(np.asarray, self._host))

    def order(self, index: int) -> np.ndarray:
        """The row numbers of pass `index`."""
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

    def epoch(self, index: int) -> Generator[Chunk, None, None]:
        data = self._host
        if self._on_device:
            data = self._device = self._device or jax.device_put(data)
        if self._limit is None:
            yield Chunk(data, self.order(index), self.batch_size)
            return
        number, part = divmod(index, -(-self._pass_steps // self._limit))
        begin = part * self._limit
        steps = min(self._limit, self._pass_steps - begin)
        rows = slice(begin * self.batch_size, (begin + steps) * self.batch_size)
        yield Chunk(data, self.order(number)[rows], self.batch_size)
        if steps < self._limit:
            warn_of_the_end(self._limit, steps)

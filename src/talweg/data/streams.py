"""StreamBatches: batches that come one by one, grouped into chunks by a background thread."""

import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import jax
import numpy as np

from talweg.core import errors
from talweg.data.batches import Chunk, Sample, warn_of_the_end
from talweg.data.host import check_rows, check_weight, rows_of, to_host
from talweg.data.prefetch import prefetched
from talweg.data.py_dataset import PyDataset, batches_of

# A chunk holds at most so many batches and bytes, and is not waited for longer than this:
# a slow source is trained on batch by batch.
_GROUP = 16
_GROUP_BYTES = 32 << 20
_GROUP_SECONDS = 0.05

_END = object()


class StreamBatches:
    """Generators, PyDatasets, loaders of torch, TensorFlow and grain.

    No batch is asked for twice and none beyond what an epoch needs, but for PyDatasets,
    whose first batch is also read to know its shapes.

    Args:
        source: iterable of x, (x,), (x, y) or (x, y, weight).
        steps: steps per epoch; the pass over the source then goes on across epochs.
        shuffle: whether a PyDataset's batches come in a new order each pass.
        seed: of that order.
        read: makes arrays of the x of a batch.
        on_device: whether chunks are put on the device, or stay on the host.

    Raises:
        ValueError: the source says that it has no end, and `steps` is None.
    """

    def __init__(
        self, source: Any, steps: int | None = None, shuffle: bool | str = False, seed: int = 0,
        read: Callable[[Any, str], Any] = to_host, on_device: bool = True,
    ):  # fmt: skip
        if steps is None and _endless(source):
            raise errors.invalid(
                "The data", "steps_per_epoch (or steps)", "given where it has no end", None
            )
        self.source = source
        self.shuffle = shuffle
        self.seed = seed
        self._limit = steps
        self._read_x = read
        self._on_device = on_device
        self._length = _length(source)
        self.steps = steps if steps is not None else self._length
        self._dataset = isinstance(source, PyDataset)
        # An iterator is used up as it is read; an iterable starts anew each pass.
        self._once = not self._dataset and iter(source) is source
        self._running: Iterator[Any] | None = None
        self._example: Sample | None = None
        self._ahead: list[Any] = []
        self._weigh: Callable[[Sample], Sample] = lambda sample: sample
        self._inspect: Callable[[Sample], None] = lambda sample: None

    def example(self) -> Sample:
        if self._example is None:
            if self._dataset:
                first = self.source[0] if self._length != 0 else _END
            else:
                self._running = iter(self.source)
                first = next(self._running, _END)
                self._ahead = [first]
            if first is _END:
                raise ValueError("The data is empty: it gave no batch.")
            self._example = self._read(first)
        return self._weigh(self._example)

    def weigh(self, change: Callable[[Sample], Sample]) -> None:
        self._weigh = change

    def check(self, inspect: Callable[[Sample], None]) -> None:
        self._inspect = inspect

    def epoch(self, index: int) -> Generator[Chunk, None, None]:
        if not self._ahead and not self._once and (index == 0 or self._limit is None):
            self._running = None
        if self._dataset:
            self.source.on_epoch_begin()
            if self._limit is None:  # it may have changed since the last epoch
                self.steps = _length(self.source)
        came = yield from prefetched(self._chunks(index))
        if self._dataset:
            self.source.on_epoch_end()
        if self.steps is None:
            self.steps = came
        elif came < self.steps or came == 0:
            warn_of_the_end(self.steps, came)

    def _chunks(self, index: int) -> Generator[Chunk, None, int]:
        """Runs of batches of one shape, joined; returns how many batches there were."""
        group: list[Sample] = []
        came = 0
        asked = time.perf_counter()
        for sample in self._samples(index):
            if group and _shapes(sample) != _shapes(group[0]):
                yield _joined(group, came - len(group), self._on_device)
                group = []
            group.append(sample)
            came += 1
            late = time.perf_counter() - asked > _GROUP_SECONDS
            if late or len(group) == _capacity(group[0]):
                yield _joined(group, came - len(group), self._on_device)
                group = []
                asked = time.perf_counter()
        if group:
            yield _joined(group, came - len(group), self._on_device)
        return came

    def _samples(self, index: int) -> Iterator[Sample]:
        """The batches of one epoch."""
        taken = 0
        in_mid_pass = self._running is not None and not self._ahead
        while self._limit is None or taken < self._limit:
            batch = self._take(index)
            if batch is _END and in_mid_pass and not taken and not self._once:
                # The last pass ended just where the last epoch did.
                batch = self._take(index)
            if batch is _END:
                return
            sample = self._weigh(self._read(batch))
            self._inspect(sample)
            taken += 1
            yield sample

    def _take(self, index: int) -> Any:
        if self._running is None:
            self._running = self._open(index)
        batch = self._ahead.pop() if self._ahead else next(self._running, _END)
        if batch is _END and not self._once:
            self._running = None
        return batch

    def _open(self, index: int) -> Iterator[Any]:
        if self._dataset:
            return batches_of(self.source, bool(self.shuffle), self.seed, index)
        return iter(self.source)

    def _read(self, batch: Any) -> Sample:
        if isinstance(batch, (tuple, list)) and 1 <= len(batch) <= 3:
            x, y, weight = [*batch, None, None][:3]
        elif isinstance(batch, (tuple, list)):
            raise errors.invalid(
                "The data", "a batch", "x, (x, y) or (x, y, sample_weight)", f"{len(batch)} parts"
            )
        else:
            x, y, weight = batch, None, None
        sample = Sample(self._read_x(x, "x"), to_host(y, "y"), to_host(weight, "sample_weight"))
        check_rows(*sample)
        check_weight(sample.weight, whole=False)
        return sample


def _length(source: Any) -> int | None:
    if isinstance(source, PyDataset):
        return source.num_batches
    try:
        return len(source)
    except TypeError:
        return None


def _endless(source: Any) -> bool:
    """Whether a data set says that it has no end: PyDatasets, and those of tf.data."""
    if isinstance(source, PyDataset):
        return source.num_batches is None
    return hasattr(source, "cardinality") and int(source.cardinality()) == -1


def _shapes(sample: Sample) -> list[Any]:
    return [leaf.shape for leaf in jax.tree.leaves(sample)]


def _capacity(sample: Sample) -> int:
    """How many batches like this one make a full chunk."""
    size = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(sample))
    return min(_GROUP, max(1, _GROUP_BYTES // max(size, 1)))


def _joined(group: list[Sample], first: int, on_device: bool) -> Chunk:
    """Batches of one shape as a chunk, padded to a steady number of rows."""
    capacity = _capacity(group[0])

    def join(*leaves: Any) -> Any:
        parts = [np.asarray(leaf) for leaf in leaves]
        parts += [np.zeros_like(parts[0])] * (capacity - len(parts))
        joined = np.concatenate(parts)
        return jax.device_put(joined) if on_device else joined

    rows = rows_of(group[0])
    order = np.arange(rows * len(group), dtype=np.int32)
    return Chunk(jax.tree.map(join, *group), order, rows, first)

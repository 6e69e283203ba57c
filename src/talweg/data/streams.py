"""StreamBatches: batches that come one by one, grouped into chunks by a background thread."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.core.random import host_generator
from talweg.data.batches import Chunk, Sample
from talweg.data.host import check_rows, check_weight, rows_of, to_host
from talweg.data.py_dataset import PyDataset

_GROUP = 16  # batches per chunk at most
_GROUP_BYTES = 32 << 20


class StreamBatches:
    """Generators, PyDatasets, loaders of torch, TensorFlow and grain.

    Args:
        source: iterable of x, (x,), (x, y) or (x, y, weight).
        steps: steps per epoch; an iterator then goes on across epochs.
        shuffle: whether a PyDataset's batches come in a new order each epoch.
        seed: of that order.
        weigh: maps each batch before use (class weights).
    """

    def __init__(
        self,
        source: Any,
        steps: int | None = None,
        shuffle: bool | str = False,
        seed: int = 0,
        weigh: Callable[[Sample], Sample] | None = None,
    ):
        self.source = source
        self.shuffle = shuffle
        self.seed = seed
        self.weigh = weigh or (lambda sample: sample)
        self._limit = steps
        self.steps = steps if steps is not None else _length(source)
        # An iterator is used up as it is read; an iterable starts anew each epoch.
        self._once = iter(source) is source if not isinstance(source, PyDataset) else False
        self._running: Iterator[Any] | None = None
        self._ahead: list[Any] = []
        self._inspect: Callable[[Sample], None] = lambda sample: None

    def example(self) -> Sample:
        if not self._ahead:
            source = self._open(0)
            if self._once or self._limit is not None:
                self._running = source
            first = next(source, None)
            if first is None:
                raise ValueError("The data is empty: its first epoch gave no batch.")
            if self._running is not None:
                self._ahead = [first]
            return self._sample(first)
        return self._sample(self._ahead[0])

    def check(self, inspect: Callable[[Sample], None]) -> None:
        self._inspect = inspect

    def _open(self, index: int) -> Iterator[Any]:
        if isinstance(self.source, PyDataset):
            return self._dataset(self.source, index)
        return iter(self.source)

    def _dataset(self, dataset: PyDataset, index: int) -> Iterator[Any]:
        dataset.on_epoch_begin()
        count = dataset.num_batches
        if count is None:
            i = 0
            while True:
                yield dataset[i]
                i += 1
        order = np.arange(count)
        if self.shuffle:
            order = host_generator(self.seed, index).permutation(count)
        for i in order:
            yield dataset[int(i)]
        dataset.on_epoch_end()

    def _sample(self, batch: Any) -> Sample:
        if isinstance(batch, (tuple, list)) and len(batch) <= 3:
            parts = [*batch, None, None][:3]
        elif isinstance(batch, tuple):
            raise errors.invalid(
                "The data", "a batch", "x, (x, y) or (x, y, sample_weight)", len(batch)
            )
        else:
            parts = [batch, None, None]
        sample = Sample(
            to_host(parts[0], "x"), to_host(parts[1], "y"), to_host(parts[2], "sample_weight")
        )
        check_rows(*sample)
        check_weight(sample.weight)
        return self.weigh(sample)

    def epoch(self, index: int) -> Iterator[Chunk]:
        yield from _prefetched(self._chunks(index))

    def _batches(self, index: int) -> Iterator[Sample]:
        if self._limit is None:
            source = self._running or self._open(index)
            self._running = None
        else:
            source = self._running = self._running or self._open(index)
        taken = 0
        while self._limit is None or taken < self._limit:
            batch = self._ahead.pop() if self._ahead else next(source, _END)
            if batch is _END:
                if self._limit is None or self._once:
                    break
                source = self._running = self._open(index + 1)
                batch = next(source, _END)
                if batch is _END:
                    break
            sample = self._sample(batch)
            self._inspect(sample)
            taken += 1
            yield sample
        if self.steps is None:
            self.steps = taken

    def _chunks(self, index: int) -> Iterator[Chunk]:
        """Runs of batches of one size, joined; the rows are padded to a steady number."""
        group: list[Sample] = []
        for sample in self._batches(index):
            if group and not _alike(group[0], sample):
                yield _joined(group)
                group = []
            group.append(sample)
            size = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(sample))
            if len(group) == min(_GROUP, max(1, _GROUP_BYTES // max(size, 1))):
                yield _joined(group)
                group = []
        if group:
            yield _joined(group)


_END = object()


def _length(source: Any) -> int | None:
    if isinstance(source, PyDataset):
        return source.num_batches
    try:
        return len(source)
    except TypeError:
        return None


def _alike(one: Sample, other: Sample) -> bool:
    shapes = [[leaf.shape for leaf in jax.tree.leaves(sample)] for sample in (one, other)]
    return shapes[0] == shapes[1]


def _joined(group: list[Sample]) -> Chunk:
    rows = rows_of(group[0])
    size = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(group[0]))
    capacity = 1 if len(group) == 1 else min(_GROUP, max(1, _GROUP_BYTES // max(size, 1)))

    def join(*leaves: Any) -> Any:
        parts = [np.asarray(leaf) for leaf in leaves]
        parts += [np.zeros_like(parts[0])] * (capacity - len(parts))
        return jnp.asarray(np.concatenate(parts))

    data = jax.tree.map(join, *group)
    return Chunk(data, np.arange(rows * len(group), dtype=np.int32), rows)


def _prefetched(chunks: Iterable[Chunk], ahead: int = 2) -> Iterator[Chunk]:
    """The same chunks, made by a thread while the last one trains."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=ahead)
    closed = threading.Event()

    def put(item: Any) -> bool:
        while not closed.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for chunk in chunks:
                if not put((chunk, None)):
                    return
            put((_END, None))
        except BaseException as error:  # handed to the reader, whatever it is
            put((_END, error))

    thread = threading.Thread(target=work, daemon=True, name="talweg-data")
    thread.start()
    try:
        while True:
            chunk, error = ready.get()
            if error is not None:
                raise error
            if chunk is _END:
                return
            yield chunk
    finally:
        closed.set()
        thread.join(timeout=5)

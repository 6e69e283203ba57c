"""PyDataset: a sequence of batches that a user's class computes."""

import itertools
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from talweg.core.random import host_generator


class PyDataset:
    """Base for data that is made batch by batch: define `__getitem__` and `__len__`.

    Args:
        workers: how many threads compute batches, which keep their order; up to 1, the thread
            that reads them does.
        use_multiprocessing: accepted as Keras does; the workers are threads here, for which
            NumPy, files and networks let each other go on.
        max_queue_size: how many batches several workers may be ahead.

    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, i):
    ...         return [[float(i)]], [[float(i * i)]]
    >>> Squares().num_batches
    2
    """

    # For classes that do not call super().__init__.
    workers = 1
    max_queue_size = 10

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ):
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs __getitem__(self, index).")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs __len__(self).")

    @property
    def num_batches(self) -> int | None:
        """How many batches an epoch has; None for no end."""
        return len(self)

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


def batches_of(
    dataset: PyDataset, shuffle: bool = False, seed: int = 0, epoch: int = 0
) -> Generator[Any]:
    """The batches of one pass, made by the data set's workers.

    Args:
        dataset: it may have no end.
        shuffle: whether the batches come in an order of their own, if there is an end.
        seed: of that order.
        epoch: of that order.

    >>> class Squares(PyDataset):
    ...     num_batches = None
    ...     def __getitem__(self, i):
    ...         return i * i
    >>> batches = batches_of(Squares(workers=3))
    >>> [next(batches) for _ in range(4)]
    [0, 1, 4, 9]
    """
    count = dataset.num_batches
    order: Iterable[Any] = itertools.count() if count is None else range(count)
    if shuffle and count is not None:
        order = host_generator(seed, epoch).permutation(count).tolist()
    if dataset.workers <= 1:
        yield from map(dataset.__getitem__, order)
        return
    with ThreadPoolExecutor(dataset.workers, thread_name_prefix="talweg-worker") as workers:
        ahead: deque[Future[Any]] = deque()
        try:
            for index in order:
                ahead.append(workers.submit(dataset.__getitem__, index))
                if len(ahead) > max(dataset.max_queue_size, 1):
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            workers.shutdown(cancel_futures=True)

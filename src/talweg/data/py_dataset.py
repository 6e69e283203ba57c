"""PyDataset: a sequence of batches that a user's class computes."""

from typing import Any


class PyDataset:
    """Base for data that is made batch by batch: define `__getitem__` and `__len__`.

    Args:
        workers, use_multiprocessing, max_queue_size: accepted as Keras does; batches are
            prepared by one background thread.

    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, i):
    ...         return [[float(i)]], [[float(i * i)]]
    >>> Squares().num_batches
    2
    """

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

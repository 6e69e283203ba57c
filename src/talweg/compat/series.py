"""Keras 2's `preprocessing` and `preprocessing.sequence`: windows over a series."""

from typing import Any

import numpy as np

from talweg.core import errors
from talweg.data import PyDataset
from talweg.data.folders import image_dataset_from_directory, text_dataset_from_directory
from talweg.data.sequences import pad_sequences, timeseries_dataset_from_array


class TimeseriesGenerator(PyDataset):
    """Windows of `length` rows with the target of the row that follows.

    `timeseries_dataset_from_array` took its place.

    Args:
        data: rows along the first axis.
        targets: as many; the target of a window is that of the row after it.
        length: rows from the beginning of a window to its target.
        sampling_rate: from one row of a window to the next.
        stride: from one window to the next.
        start_index, end_index: the rows that are used, both inclusive.
        shuffle: whether the windows of a batch are drawn at random.
        reverse: whether windows run backwards.
        batch_size: windows in a batch.

    Raises:
        ValueError: data and targets of different lengths; too few rows for one window.

    >>> windows = TimeseriesGenerator(np.arange(5), np.arange(5), length=2, batch_size=2)
    >>> x, y = windows[0]
    >>> x.tolist(), y.tolist(), len(windows)
    ([[0, 1], [1, 2]], [2, 3], 2)
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
    ):
        super().__init__()
        self.data, self.targets = np.asarray(data), np.asarray(targets)
        if len(self.data) != len(self.targets):
            raise errors.invalid(
                "TimeseriesGenerator", "targets", f"{len(self.data)} of them", len(self.targets)
            )
        self.length, self.sampling_rate, self.stride = length, sampling_rate, stride
        self.start_index = start_index + length
        self.end_index = len(self.data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse, self.batch_size = shuffle, reverse, batch_size
        if self.start_index > self.end_index:
            raise errors.invalid(
                "TimeseriesGenerator", "length", f"at most {self.end_index - start_index}", length
            )

    def __len__(self) -> int:
        return -(-(self.end_index + 1 - self.start_index) // (self.batch_size * self.stride))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        reach = self.batch_size * self.stride
        first = self.start_index + index * reach
        rows = np.arange(first, min(first + reach, self.end_index + 1), self.stride)
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, self.batch_size)
        steps = np.arange(-self.length, 0, self.sampling_rate)
        if self.reverse:
            steps = steps[::-1]
        return self.data[rows[:, None] + steps], self.targets[rows]


__all__ = [
    "TimeseriesGenerator",
    "image_dataset_from_directory",
    "pad_sequences",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]

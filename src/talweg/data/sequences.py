"""Sequences and windows: padding, sliding windows over a series, two parts of a data set."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from talweg.core import errors
from talweg.core.random import host_generator
from talweg.data.py_dataset import PyDataset


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as one array.

    Args:
        sequences: lists or arrays; their entries may be arrays of one shape.
        maxlen: the length of all; that of the longest where None.
        dtype: of the result; `object` for text.
        padding: "pre" or "post", where `value` is added.
        truncating: "pre" or "post", where longer ones are cut.
        value: what is added.

    Raises:
        ValueError: an option is unknown, or entries differ in shape.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2).tolist()
    [[0, 1], [2, 3], [5, 6]]
    """
    for name, given in (("padding", padding), ("truncating", truncating)):
        if given not in ("pre", "post"):
            raise errors.invalid("pad_sequences", name, "'pre' or 'post'", given)
    for item in sequences:
        if not hasattr(item, "__len__"):
            raise errors.invalid("pad_sequences", "sequences", "a list of sequences", item)
    text = np.dtype(dtype).kind in "OUS"
    if isinstance(value, str) and not text:
        raise errors.invalid("pad_sequences", "dtype", "object for text", dtype)
    longest = max(map(len, sequences), default=0)
    size = longest if maxlen is None else int(maxlen)
    entry = next((np.asarray(item).shape[1:] for item in sequences if len(item)), ())
    padded = np.full((len(sequences), size, *entry), value, dtype=dtype)
    for i, item in enumerate(sequences):
        start = len(item) - size if truncating == "pre" and len(item) > size else 0
        kept = np.asarray(item[start : start + size], dtype=dtype)
        if not len(kept):
            continue
        if kept.shape[1:] != entry:
            raise errors.invalid(
                "pad_sequences", f"the entries of sequence {i}", f"of shape {entry}", kept.shape[1:]
            )
        at = 0 if padding == "post" else size - len(kept)
        padded[i, at : at + len(kept)] = kept
    return padded


class BatchedDataset(PyDataset):
    """Batches that are made when they are asked for, in an order that may change by epoch.

    Args:
        count: how many samples there are.
        read: from an array of their numbers to a batch.
        batch_size: samples in a batch; None for samples one by one.
        shuffle: whether every pass after the first has a new order.
        seed: of that order.

    >>> squares = BatchedDataset(5, lambda rows: (rows, rows**2), batch_size=2)
    >>> [y.tolist() for x, y in squares.map(lambda x, y: (x, y + 1))]
    [[1, 2], [5, 10], [17]]
    """

    def __init__(
        self,
        count: int,
        read: Callable[[np.ndarray], Any],
        batch_size: int | None = 32,
        shuffle: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        whole = isinstance(batch_size, (int, np.integer)) and batch_size >= 1
        if batch_size is not None and not whole:
            raise errors.invalid("dataset", "batch_size", "a positive integer or None", batch_size)
        self._count, self._read, self.batch_size = count, read, batch_size
        self._shuffle, self._seed, self._pass = shuffle, seed, 0
        self._order = np.arange(count)
        self.class_names: list[str] | None = None
        self.file_paths: list[str] = []

    def __len__(self) -> int:
        return -(-self._count // (self.batch_size or 1))

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        if self.batch_size is None:
            rows = self._order[index : index + 1]
            return jax.tree.map(lambda part: part[0], self._read(rows))
        start = index * self.batch_size
        return self._read(self._order[start : start + self.batch_size])

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        self._pass += 1
        if self._shuffle:
            self._order = host_generator(self._seed, self._pass).permutation(self._count)

    def map(self, function: Callable[..., Any]) -> "MappedDataset":
        """The same batches after `function(x)`, or `function(x, y)` where there are labels."""
        return MappedDataset(self, function)

    def take(self, count: int) -> list[Any]:
        """The first batches."""
        return [self[i] for i in range(min(count, len(self)))]

    def cache(self, *_: Any) -> "BatchedDataset":
        """Itself, for programs that are written for tf.data."""
        return self

    def prefetch(self, *_: Any) -> "BatchedDataset":
        """Itself: `fit` prepares batches in the background."""
        return self


class MappedDataset(BatchedDataset):
    """A dataset whose batches go through a function.

    Args:
        source: the dataset.
        function: over the parts of a batch.
    """

    def __init__(self, source: BatchedDataset, function: Callable[..., Any]):
        super().__init__(0, lambda rows: rows, source.batch_size)
        self._source, self._function = source, function
        self.class_names, self.file_paths = source.class_names, source.file_paths

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Any:
        batch = self._source[index]
        return self._function(*batch) if isinstance(batch, tuple) else self._function(batch)

    def on_epoch_end(self) -> None:
        self._source.on_epoch_end()


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> BatchedDataset:
    """Windows over a series: x[i, i + rate, …], with `targets[i]`.

    Args:
        data: the series, time first.
        targets: one per start of a window, or None.
        sequence_length: entries in a window.
        sequence_stride: from the start of one window to that of the next.
        sampling_rate: from one entry of a window to the next.
        batch_size: windows in a batch; None for windows one by one.
        shuffle: whether the windows come in another order.
        seed: of that order.
        start_index, end_index: the part of the series that is used, the end excluded.
        format: accepted as Keras does; the result is a dataset for `fit` in any case.

    Raises:
        ValueError: the indices or sizes do not fit the series.

    >>> for x, y in timeseries_dataset_from_array(np.arange(6), np.arange(6) * 10, 3):
    ...     print(x.tolist(), y.tolist())
    [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]] [0, 10, 20, 30]
    """
    owner = "timeseries_dataset_from_array"
    series = np.asarray(data)
    for name, size in (
        ("sequence_length", sequence_length),
        ("sequence_stride", sequence_stride),
        ("sampling_rate", sampling_rate),
    ):
        if not 0 < size <= len(series):
            raise errors.invalid(owner, name, f"in 1 … {len(series)}", size)
    start = 0 if start_index is None else start_index
    end = len(series) if end_index is None else end_index
    if not 0 <= start < end <= len(series):
        raise errors.invalid(
            owner, "start_index and end_index", f"ascending, in 0 … {len(series)}", (start, end)
        )
    if format not in ("tf", "grain"):
        raise errors.invalid(owner, "format", "'tf' or 'grain'", format)
    count = end - start - (sequence_length - 1) * sampling_rate
    labels = None if targets is None else np.asarray(targets)[start:]
    if targets is not None:
        count = min(count, len(np.asarray(targets)))
    starts = np.arange(0, max(count, 0), sequence_stride)
    if not len(starts):
        raise errors.invalid(owner, "the series", "as long as one window", end - start)
    seed = int(np.random.randint(10**6)) if seed is None else seed
    if shuffle:
        np.random.RandomState(seed).shuffle(starts)
    part = series[start:end]
    offsets = np.arange(sequence_length) * sampling_rate

    def read(rows: np.ndarray) -> Any:
        begins = starts[rows]
        windows = part[begins[:, None] + offsets]
        return windows if labels is None else (windows, labels[begins])

    return BatchedDataset(len(starts), read, batch_size, shuffle, seed)


def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Any, Any]:
    """Two parts of a data set: arrays, or tuples, lists and dicts of arrays.

    Args:
        dataset: arrays of one length in any structure, or an iterable of samples.
        left_size, right_size: a fraction in (0, 1) or a number of samples; the rest where
            None.
        shuffle: whether samples are drawn at random.
        seed: of that draw.
        preferred_backend: accepted as Keras does.

    Raises:
        ValueError: no size is given, or the sizes do not fit, or a part is empty.

    >>> left, right = split_dataset(np.arange(10), left_size=0.8)
    >>> left.tolist(), right.tolist()
    ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])
    """
    if not hasattr(dataset, "shape") and not isinstance(dataset, (tuple, list, dict)):
        samples = list(dataset)
        dataset = jax.tree.map(lambda *parts: np.stack(parts), *samples)
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(dataset)]
    lengths = {len(leaf) for leaf in leaves}
    if len(lengths) != 1:
        raise errors.invalid("split_dataset", "the arrays", "of one length", sorted(lengths))
    total = lengths.pop()
    left, right = _sizes(left_size, right_size, total)
    order = np.arange(total)
    if shuffle:
        np.random.RandomState(seed).shuffle(order)

    def part(rows: np.ndarray) -> Any:
        return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], dataset)

    return part(order[:left]), part(
        order[total - right :] if left + right == total else order[left : left + right]
    )


def _sizes(left: Any, right: Any, total: int) -> tuple[int, int]:
    counts = []
    for name, size in (("left_size", left), ("right_size", right)):
        fraction = isinstance(size, (float, np.floating))
        if size is not None and not 0 < size < (1 if fraction else total):
            raise errors.invalid(
                "split_dataset", name, f"a fraction in (0, 1) or in 1 … {total - 1}", size
            )
        counts.append(round(size * total) if fraction else size)
    first, second = counts
    if first is None and second is None:
        raise errors.invalid("split_dataset", "left_size or right_size", "given", None)
    first = total - second if first is None else first
    second = total - first if second is None else second
    if first + second > total or not first or not second:
        raise errors.invalid(
            "split_dataset", "the sizes", f"two parts of {total} that are not empty", (left, right)
        )
    return int(first), int(second)

"""Data sets of numbered samples that are read when they are asked for; and two parts of one."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from talweg.core import errors
from talweg.core.random import host_generator
from talweg.data import elements
from talweg.data.dataset import Dataset


def numbered(
    count: int,
    read: Callable[[np.ndarray], Any],
    batch_size: int | None = 32,
    shuffle: bool = False,
    seed: int = 0,
) -> Dataset:
    """A data set of the samples 0 … count - 1.

    Args:
        count: how many samples there are.
        read: from an array of their numbers to a batch.
        batch_size: samples in a batch; None for samples one by one.
        shuffle: whether every pass after the first has a new order.
        seed: of that order.

    Raises:
        ValueError: a batch size that is no positive integer.

    >>> squares = numbered(5, lambda rows: (rows, rows**2), batch_size=2)
    >>> [y.tolist() for x, y in squares.map(lambda x, y: (x, y + 1))]
    [[1, 2], [5, 10], [17]]
    """
    passes = 0

    def order() -> Iterator[int]:
        nonlocal passes
        mixed = shuffle and passes > 0
        numbers = host_generator(seed, passes).permutation(count) if mixed else range(count)
        passes += 1
        return iter(numbers)

    def pick(rows: Any) -> Any:
        if np.ndim(rows):
            return read(rows)
        return jax.tree.map(lambda part: part[0], read(np.array([rows])))

    samples = Dataset(order, pick, count)
    if batch_size is None:
        return samples
    if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise errors.invalid("dataset", "batch_size", "a positive integer or None", batch_size)
    return samples.batch(batch_size)


def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:
    """The first and the last samples of a data set, as two data sets of single samples.

    Args:
        dataset: an array, a tuple, list or dict of arrays of one length, or an iterable of
            samples; of a `Dataset` of batches the samples are split and batched again.
        left_size, right_size: a fraction in (0, 1) or a number of samples; the rest where
            None.
        shuffle: whether samples are drawn at random, in the order of Keras.
        seed: of that draw.
        preferred_backend: accepted as Keras does.

    Raises:
        TypeError: the data is none of these.
        ValueError: no size is given, or the sizes do not fit, or a part is empty.

    >>> left, right = split_dataset((np.arange(10), np.arange(10) ** 2), left_size=0.8)
    >>> len(left), [(int(x), int(y)) for x, y in right]
    (8, [(8, 64), (9, 81)])
    """
    batch_size = getattr(dataset, "batch_size", None) if isinstance(dataset, Dataset) else None
    columns = _columns(dataset)
    lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(columns)}
    if len(lengths) != 1 or () in lengths:
        raise errors.invalid("split_dataset", "the arrays", "of one length", sorted(lengths))
    total = lengths.pop()[0]
    left, right = _sizes(left_size, right_size, total)
    order = list(range(total))
    if shuffle:
        random.Random(seed).shuffle(order)

    def part(rows: list[int]) -> Dataset:
        samples = Dataset.from_tensor_slices(
            jax.tree.map(lambda leaf: np.asarray(leaf)[rows], columns)
        )
        return samples if batch_size is None else samples.batch(batch_size)

    return part(order[:left]), part(order[total - right :])


def _columns(dataset: Any) -> Any:
    """Arrays over all samples, in tuples where the samples are tuples."""
    if hasattr(dataset, "__array__"):
        return np.asarray(dataset)
    if isinstance(dataset, (tuple, list)) and all(hasattr(leaf, "__array__") for leaf in dataset):
        return tuple(np.asarray(leaf) for leaf in dataset)
    if isinstance(dataset, dict):
        return {key: np.asarray(column) for key, column in dataset.items()}
    if isinstance(dataset, Dataset) and dataset.batch_size is not None:
        dataset = dataset.unbatch()
    if isinstance(dataset, (str, bytes, tuple, list)) or not (
        hasattr(dataset, "__iter__") or hasattr(dataset, "__getitem__")
    ):
        raise errors.wrong_type(
            "split_dataset", "dataset", "an array, a tuple of arrays or a data set", dataset
        )
    samples = list(dataset)
    if not samples:
        raise errors.invalid("split_dataset", "dataset", "not empty", dataset)
    return elements.stack(
        [tuple(sample) if isinstance(sample, list) else sample for sample in samples]
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

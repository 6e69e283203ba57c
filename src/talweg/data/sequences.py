"""Sequences and windows: padding, and sliding windows over a series."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from talweg.core import errors
from talweg.data.dataset import Dataset
from talweg.data.samples import numbered


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
) -> Dataset:
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
    if labels is not None and starts[-1] >= len(labels):
        raise errors.invalid(
            owner, "targets", f"{start + int(starts[-1]) + 1} or more, counted from the beginning "
            "of the series", len(np.asarray(targets)),
        )  # fmt: skip
    seed = int(np.random.randint(10**6)) if seed is None else seed
    if shuffle:
        np.random.RandomState(seed).shuffle(starts)
    part = series[start:end]
    offsets = np.arange(sequence_length) * sampling_rate

    def read(rows: np.ndarray) -> Any:
        begins = starts[rows]
        windows = part[begins[:, None] + offsets]
        return windows if labels is None else (windows, labels[begins])

    return numbered(len(starts), read, batch_size, shuffle, seed)

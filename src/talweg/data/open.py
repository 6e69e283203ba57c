"""Which kind of Batches some data makes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from talweg.core import errors
from talweg.data.arrays import ArrayBatches
from talweg.data.batches import Batches
from talweg.data.host import to_host
from talweg.data.py_dataset import PyDataset
from talweg.data.streams import StreamBatches


def open_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool | str = False,
    seed: int = 0,
    owner: str = "fit",
    read: Callable[[Any, str], Any] = to_host,
    on_device: bool = True,
) -> Batches:
    """Batches over arrays, tables, generators, datasets or loaders.

    Args:
        x, y, sample_weight: the data; a stream brings its own y and weights in x.
        batch_size: rows per step, 32 by default; a stream has its own.
        steps: steps per epoch.
        shuffle: True, False or "batch".
        seed: of the order.
        owner: who asks, for messages.
        read: makes arrays of x, or of the x of each batch; `(x, "x")` -> arrays.
        on_device: whether chunks are put on the device, or stay on the host.

    Raises:
        ValueError: a batch size that is no positive integer, y given beside a stream, …
    """
    steps_name = "steps_per_epoch" if owner == "fit" else "steps"
    for name, value in (("batch_size", batch_size), (steps_name, steps)):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if value is not None and (not whole or value < 1):
            raise errors.invalid(owner, name, "a positive integer", value)
    if not isinstance(shuffle, (bool, np.bool_)) and shuffle != "batch":
        raise errors.invalid(owner, "shuffle", 'True, False or "batch"', shuffle)
    if is_stream(x):
        given = [name for name, v in (("y", y), ("sample_weight", sample_weight)) if v is not None]
        if given:
            raise errors.invalid(
                owner, given[0], "part of the batches when x is a stream", "a separate argument",
                "Let the stream yield (x, y, sample_weight).",
            )  # fmt: skip
        return StreamBatches(x, steps, shuffle, seed, read, on_device)
    check_index(x=x, y=y, sample_weight=sample_weight)
    size = None if batch_size is None else int(batch_size)
    return ArrayBatches(x, y, sample_weight, size, shuffle, seed, steps, read, on_device)


def is_stream(x: Any) -> bool:
    """Whether data comes batch by batch: generators, datasets, loaders."""
    if isinstance(x, PyDataset):
        return True
    if isinstance(x, (Mapping, list, tuple, str, bytes)) or hasattr(x, "shape"):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__next__") or hasattr(x, "__getitem__")


def check_index(**parts: Any) -> None:
    """Refuse pandas objects whose rows are labelled differently."""
    tables = {
        name: part
        for name, part in parts.items()
        if hasattr(part, "index") and hasattr(part, "iloc")
    }
    first = next(iter(tables), "")
    for name, part in tables.items():
        labels = tables[first].index
        if len(labels) == len(part.index) and not labels.equals(part.index):
            raise ValueError(
                f"{first} and {name} are pandas objects with different row labels, so their "
                f"rows may not belong together. Align them ({name} = {name}.loc[{first}.index]) "
                f"or pass {name}.to_numpy()."
            )

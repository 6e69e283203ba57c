"""Fashion-MNIST: 70,000 pictures of clothes in 10 classes, 28 x 28 pixels (Zalando; MIT)."""

import gzip
import os

import numpy as np

from talweg.core import errors
from talweg.data.download import get_file
from talweg.datasets.stored import ORIGIN, Arrays


def load_data() -> Arrays:
    """`(x_train, y_train), (x_test, y_test)`: uint8 pictures (n, 28, 28) and classes (n,).

    Keras publishes no hash of these files; their headers are checked.

    Raises:
        ConnectionError: a file is not in the cache and cannot be had.
        ValueError: a file is damaged.
    """
    train, test = (
        (_idx(f"{part}-images-idx3-ubyte.gz", 3), _idx(f"{part}-labels-idx1-ubyte.gz", 1))
        for part in ("train", "t10k")
    )
    return train, test


def _idx(name: str, rank: int) -> np.ndarray:
    """An array of bytes: a magic number, the sizes, then the entries."""
    folder = os.path.join("datasets", "fashion-mnist")
    path = get_file(name, origin=ORIGIN + name, cache_subdir=folder)
    try:
        with gzip.open(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError) as error:
        raise errors.invalid("datasets", path, "a gzip file", str(error)) from None
    head = np.frombuffer(content[: 4 * (1 + rank)], ">u4").astype(int)
    if len(head) != 1 + rank or head[0] != 0x800 + rank:
        raise errors.invalid("datasets", path, f"an IDX file of rank {rank}", head)
    entries = np.frombuffer(content, np.uint8, offset=4 * (1 + rank))
    if entries.size != head[1:].prod():
        raise errors.invalid("datasets", path, f"of {head[1:]} entries", entries.size)
    return entries.reshape(head[1:])

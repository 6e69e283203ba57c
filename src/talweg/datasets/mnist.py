"""MNIST: 70,000 handwritten digits, 28 x 28 pixels (LeCun and Cortes; CC BY-SA 3.0)."""

from talweg.data.download import get_file
from talweg.datasets.stored import ORIGIN, Arrays, read_npz

_HASH = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: str = "mnist.npz") -> Arrays:
    """`(x_train, y_train), (x_test, y_test)`: uint8 pictures (n, 28, 28) and digits (n,).

    Args:
        path: the file's name in the cache.

    Raises:
        ConnectionError: the file is not in the cache and cannot be had.
    """
    arrays = read_npz(get_file(path, origin=f"{ORIGIN}mnist.npz", file_hash=_HASH))
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])

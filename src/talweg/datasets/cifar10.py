"""CIFAR-10: 60,000 colour pictures in 10 classes, 32 x 32 pixels (Krizhevsky, 2009)."""

from talweg.datasets.cifar import batches
from talweg.datasets.stored import Arrays

_HASH = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def load_data() -> Arrays:
    """`(x_train, y_train), (x_test, y_test)`: uint8 (n, 32, 32, 3) and classes (n, 1).

    Raises:
        ConnectionError: the archive is not in the cache and cannot be had.
    """
    arguments = ("cifar-10-python", _HASH, "cifar-10-batches-py")
    train = batches(*arguments, [f"data_batch_{i}" for i in range(1, 6)], "labels")
    return train, batches(*arguments, ["test_batch"], "labels")

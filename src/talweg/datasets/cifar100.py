"""CIFAR-100: 60,000 colour pictures in 100 classes, 32 x 32 pixels (Krizhevsky, 2009)."""

from talweg.core import errors
from talweg.datasets.cifar import batches
from talweg.datasets.stored import Arrays

_HASH = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"


def load_data(label_mode: str = "fine") -> Arrays:
    """`(x_train, y_train), (x_test, y_test)`: uint8 (n, 32, 32, 3) and classes (n, 1).

    Args:
        label_mode: "fine" for 100 classes, "coarse" for the 20 groups of them.

    Raises:
        ConnectionError: the archive is not in the cache and cannot be had.
    """
    if label_mode not in ("fine", "coarse"):
        raise errors.invalid("cifar100", "label_mode", "'fine' or 'coarse'", label_mode)
    arguments = ("cifar-100-python", _HASH, "cifar-100-python")
    labels = f"{label_mode}_labels"
    return batches(*arguments, ["train"], labels), batches(*arguments, ["test"], labels)

"""California housing: 20,640 block groups of the census of 1990, 8 features, median prices."""

from talweg.core import errors
from talweg.data.download import get_file
from talweg.datasets.stored import ORIGIN, Arrays, read_npz, split_rows

_HASH = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"


def load_data(
    version: str = "large",
    path: str = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
) -> Arrays:
    """`(x_train, y_train), (x_test, y_test)`: rows of 8 numbers and prices in dollars.

    Args:
        version: "large", or "small" for the first 600 rows.
        path: the file's name in the cache.
        test_split: the fraction of rows for the test.
        seed: of the order of the rows.

    Raises:
        ConnectionError: the file is not in the cache and cannot be had.
    """
    if version not in ("small", "large"):
        raise errors.invalid("california_housing", "version", "'small' or 'large'", version)
    arrays = read_npz(get_file(path, origin=f"{ORIGIN}california_housing.npz", file_hash=_HASH))
    rows = slice(600 if version == "small" else None)
    return split_rows(arrays["x"][rows], arrays["y"][rows], test_split, seed)

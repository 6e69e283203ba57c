"""Boston housing: 506 prices and 13 features (StatLib, 1978).

One feature counts inhabitants by race; scikit-learn removed the set for that reason. Use
`california_housing`, except to show how such features do harm.
"""

from talweg.data.download import get_file
from talweg.datasets.stored import ORIGIN, Arrays, read_npz, split_rows

_HASH = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> Arrays:
    """`(x_train, y_train), (x_test, y_test)`: rows of 13 numbers and prices in 1,000 dollars.

    Args:
        path: the file's name in the cache.
        test_split: the fraction of rows for the test.
        seed: of the order of the rows.

    Raises:
        ConnectionError: the file is not in the cache and cannot be had.
    """
    arrays = read_npz(get_file(path, origin=f"{ORIGIN}boston_housing.npz", file_hash=_HASH))
    return split_rows(arrays["x"], arrays["y"], test_split, seed)

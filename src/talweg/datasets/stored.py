"""Reading the stored files: npz with ragged arrays and pickled batches, without running code.

A pickle is a program. Here it runs on a machine that knows lists, numbers, texts and inert
stand-ins for NumPy's arrays and types, and nothing else: any other name is refused before
it is looked up, so nothing is imported and nothing called.
"""

import io
import pickle
import zipfile
from typing import Any

import numpy as np

from talweg.core import errors

ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class _Kind:
    """What a pickle says of an array's type; byte order and size are in the name."""

    def __init__(self, name: Any, *_: Any):
        self.name = name.decode() if isinstance(name, bytes) else str(name)
        self.order = "="

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        self.order = order.decode() if isinstance(order, bytes) else str(order)

    def dtype(self) -> np.dtype[Any]:
        if self.name[:1] not in ("O", "i", "u", "f", "b"):
            raise pickle.UnpicklingError(f"an array of type {self.name!r}")
        return np.dtype(self.name).newbyteorder(
            "<" if self.order == "<" else ">" if self.order == ">" else "="
        )


class _Array:
    """What a pickle says of an array."""

    value: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, content = state
        dtype = kind.dtype()
        if dtype.kind == "O":
            flat = np.empty(len(content), dtype=object)
            for i, item in enumerate(content):
                flat[i] = plain(item)
        else:
            flat = np.frombuffer(content, dtype)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


class _ArrayType:
    """The name numpy.ndarray, which is an argument and never called."""


def _reconstructed(*_: Any) -> _Array:
    return _Array()


_STANDINS = {
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _Kind,
    ("numpy.core.multiarray", "_reconstruct"): _reconstructed,
    ("numpy._core.multiarray", "_reconstruct"): _reconstructed,
}


class _Reader(pickle.Unpickler):
    """The machine that knows the stand-ins only."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STANDINS:
            raise pickle.UnpicklingError(f"the name {module}.{name}")
        return _STANDINS[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("a reference to outside")


def plain(value: Any) -> Any:
    """Stand-ins as the arrays that they stand for."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return value


def read_pickle(stream: Any, path: str) -> Any:
    """Lists, numbers, texts and arrays from a pickle.

    Raises:
        ValueError: it names anything else.
    """
    try:
        return plain(_Reader(stream, encoding="bytes").load())
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise errors.invalid(
            "datasets", path, "arrays, lists and numbers only", str(error),
            "The file is damaged or unsafe: delete it and load again.",
        ) from None  # fmt: skip


def read_npz(path: str) -> dict[str, np.ndarray]:
    """The arrays of an npz file; ragged ones are arrays of lists.

    Raises:
        ValueError: the file is damaged, or holds anything but arrays.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                stream = io.BytesIO(archive.read(member))
                arrays[member.removesuffix(".npy")] = _read_npy(stream, path)
    except zipfile.BadZipFile as error:
        raise errors.invalid("datasets", path, "an npz file", str(error)) from None
    return arrays


def _read_npy(stream: io.BytesIO, path: str) -> np.ndarray:
    version = np.lib.format.read_magic(stream)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    _, _, dtype = header(stream)
    if dtype.hasobject:
        return np.asarray(read_pickle(stream, path))
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def shuffled(count: int, draw: np.random.RandomState) -> np.ndarray:
    """The order in which Keras mixes a set."""
    order = np.arange(count)
    draw.shuffle(order)
    return order


def split_rows(x: np.ndarray, y: np.ndarray, test_split: float, seed: int) -> Arrays:
    """Training and test rows of a table, mixed."""
    if not 0 <= test_split < 1:
        raise errors.invalid("load_data", "test_split", "in [0, 1)", test_split)
    order = shuffled(len(x), np.random.RandomState(seed))
    x, y = x[order], y[order]
    kept = int(len(x) * (1 - test_split))
    return (x[:kept], y[:kept]), (x[kept:], y[kept:])

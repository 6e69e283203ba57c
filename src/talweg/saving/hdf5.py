"""The numbers of a model in HDF5, as Keras lays them out: `<path>/vars/<i>`.

Reading trusts nothing: only hard links are followed, each object is met once, a dataset is
looked at before it is read, and nothing is put into a variable before all fits.
"""

import contextlib
import math
import zlib
from collections.abc import Generator, Mapping
from typing import Any, BinaryIO

import h5py
import ml_dtypes
import numpy as np

from talweg.core import errors

_MOST_OBJECTS = 1_000_000
_DEEPEST = 200
# gzip, shuffle, fletcher32: others would load plug-ins.
_FILTERS = {1, 2, 3}


class DamagedFile(ValueError):
    """A file that is not what it should be; nothing of it was used."""


def write(file: h5py.File, path: str, name: str, values: Mapping[str, Any]) -> None:
    """Write the variables of one part below `path`, each with the checksum of its bytes."""
    group = file.create_group(f"{path}/vars" if path else "vars")
    group.attrs["name"] = name
    for key, value in values.items():
        array = np.asarray(value)
        dataset = group.create_dataset(key, data=array)
        dataset.attrs["crc32"] = np.uint32(_checksum(array))
        if array.dtype == ml_dtypes.bfloat16:
            dataset.attrs["dtype"] = "bfloat16"


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")


class Weights:
    """The datasets of an open file by path, looked at and not yet read.

    Args:
        file: the open file.
        name: what messages call it.

    Raises:
        DamagedFile: a link that leads elsewhere, a group met twice, data outside the file.
    """

    def __init__(self, file: h5py.File, name: str):
        self.name, self.file = name, file
        self.attributes = set(file.attrs)
        self.datasets: dict[str, h5py.Dataset] = {}
        seen: set[Any] = set()
        stack: list[tuple[str, Any]] = [("", file)]
        while stack:
            path, group = stack.pop()
            info = h5py.h5o.get_info(group.id)
            if (info.fileno, info.addr) in seen:
                raise self._damaged(f"group {path!r} can be reached in two ways")
            seen.add((info.fileno, info.addr))
            if len(seen) > _MOST_OBJECTS or path.count("/") > _DEEPEST:
                raise self._damaged("it holds too many groups, or too deep ones")
            for key in group:
                below = f"{path}/{key}" if path else key
                if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                    raise self._damaged(f"{below!r} is a link to elsewhere")
                found = group[key]
                if isinstance(found, h5py.Group):
                    stack.append((below, found))
                elif isinstance(found, h5py.Dataset):
                    self.datasets[below] = found
                else:
                    raise self._damaged(f"{below!r} is neither a group nor a dataset")

    def _damaged(self, what: str) -> DamagedFile:
        return DamagedFile(f"{self.name}: {what}. The file was not used.")

    @property
    def stored(self) -> int:
        """How many bytes the file really holds in its datasets."""
        return sum(dataset.id.get_storage_size() for dataset in self.datasets.values())

    def of(self, path: str) -> dict[str, h5py.Dataset]:
        """The datasets of one part by their key."""
        prefix = f"{path}/vars/" if path else "vars/"
        return {
            known.removeprefix(prefix): dataset
            for known, dataset in self.datasets.items()
            if known.startswith(prefix)
        }

    def difference(self, dataset: h5py.Dataset, shape: Any, dtype: Any) -> str | None:
        """What keeps a dataset from filling a variable; None where it fits. Reads nothing."""
        if dataset.shape != tuple(shape):
            return f"has shape {dataset.shape}, the model wants {tuple(shape)}"
        if _kind(_stored_dtype(dataset)) != _kind(np.dtype(dtype)):
            return f"has type {_stored_dtype(dataset)}, the model wants {np.dtype(dtype)}"
        return None

    def read(self, dataset: h5py.Dataset, limit: int | None = None) -> np.ndarray:
        """The array of a dataset whose shape was found to be right.

        Args:
            limit: the most bytes, where the shape was not compared with anything.

        Raises:
            DamagedFile: data outside the file, none at all, or with another checksum.
        """
        name, size = dataset.name, math.prod(dataset.shape or ())
        dtype = _stored_dtype(dataset)
        if _kind(dtype) not in "fib":
            raise self._damaged(f"{name} has type {dtype}, which no variable has")
        if limit is not None and size * dtype.itemsize > limit:
            raise self._damaged(f"{name} claims shape {dataset.shape}, more than the file holds")
        if dataset.is_virtual or dataset.external:
            raise self._damaged(f"the data of {name} lies outside the file")
        properties = dataset.id.get_create_plist()
        filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
        if filters - _FILTERS:
            raise self._damaged(f"{name} is packed in a way that is not unpacked here")
        held = dataset.id.get_storage_size()
        if size and (held == 0 or (not filters and held < size * dtype.itemsize)):
            raise self._damaged(f"the data of {name} is missing")
        try:
            array = np.asarray(dataset[()])
            array = array.view(dtype) if array.dtype.kind == "V" else array
            wanted = dataset.attrs.get("crc32")
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise self._damaged(f"{name} cannot be read ({error})") from error
        native = (
            array.astype(array.dtype.newbyteorder("=")) if array.dtype.byteorder in ">" else array
        )
        if wanted is not None and int(wanted) != _checksum(native):
            raise self._damaged(f"the checksum of {name} is not that of its data")
        return native


def _stored_dtype(dataset: h5py.Dataset) -> np.dtype:
    dtype = dataset.dtype
    if dtype.kind == "V" and dtype.itemsize == 2 and dataset.attrs.get("dtype") == "bfloat16":
        return np.dtype(ml_dtypes.bfloat16)
    return dtype


def _kind(dtype: np.dtype) -> str:
    """f, i or b for floats, integers and truth values; its own letter for all others."""
    if dtype == ml_dtypes.bfloat16:
        return "f"
    return "i" if dtype.kind == "u" else dtype.kind


@contextlib.contextmanager
def opened(source: Any, name: str) -> Generator[Weights]:
    """The weights in a file, or in the bytes of one.

    Raises:
        DamagedFile: it is no HDF5 file, or a damaged one.
    """
    try:
        file = h5py.File(source, "r")
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        raise DamagedFile(f"{name} is no HDF5 file, or a damaged one ({error}).") from error
    with file:
        try:
            yield Weights(file, name)
        except (KeyError, OSError, RuntimeError, UnicodeDecodeError) as error:
            raise DamagedFile(f"{name} is damaged ({errors.shown(error, 200)}).") from error


def created(target: str | BinaryIO) -> h5py.File:
    """A new file to write weights into."""
    return h5py.File(target, "w")

"""The numbers of a model in HDF5, as Keras lays them out: `<path>/vars/<i>`.

Reading trusts nothing: only hard links are followed, each object is met once, a dataset is
looked at before it is read, and nothing is put into a variable before all fits.
"""

import contextlib
import io
import math
import zlib
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from talweg.core import errors
from talweg.core.files import replacing
from talweg.saving.damage import DamagedFile
from talweg.saving.filling import kind

_MOST_OBJECTS = 1_000_000
_DEEPEST = 200
_LARGEST_ATTRIBUTE = 64 << 20
# gzip, shuffle, fletcher32: others would load plug-ins.
_FILTERS = {1, 2, 3}


def write(file: h5py.File, path: str, name: str, values: Mapping[str, Any]) -> None:
    """Write the variables of one part below `path`, each with the checksum of its bytes."""
    group = file.create_group(f"{path}/vars" if path else "vars")
    group.attrs["name"] = name
    for key, value in values.items():
        write_array(group, key, value)


def write_array(group: h5py.Group, key: str, value: Any) -> None:
    """Write one array into a group, with the checksum of its bytes."""
    array = np.asarray(value)
    dataset = group.create_dataset(key, data=array)
    dataset.attrs["crc32"] = np.uint32(_checksum(array))
    if array.dtype == ml_dtypes.bfloat16:
        dataset.attrs["dtype"] = "bfloat16"


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")


@contextlib.contextmanager
def _believing(name: str) -> Generator[None]:
    """While HDF5 reads what may be damaged: h5py then raises errors of all kinds."""
    try:
        yield
    except (DamagedFile, FileNotFoundError):
        raise
    except Exception as error:
        raise DamagedFile(f"{name} is damaged ({errors.shown(error, 200)}).") from error


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
        self.datasets: dict[str, h5py.Dataset] = {}
        self.groups: dict[str, h5py.Group] = {}
        with _believing(name):
            self._walk()
            self._heads = {
                path: (tuple(dataset.shape or ()), _stored_dtype(dataset))
                for path, dataset in self.datasets.items()
            }
            # How many bytes the file really holds in its datasets.
            self.stored = sum(d.id.get_storage_size() for d in self.datasets.values())

    def _walk(self) -> None:
        seen: set[Any] = set()
        stack: list[tuple[str, Any]] = [("", self.file)]
        while stack:
            path, group = stack.pop()
            info = h5py.h5o.get_info(group.id)
            if (info.fileno, info.addr) in seen:
                raise self._damaged(f"group {path!r} can be reached in two ways")
            seen.add((info.fileno, info.addr))
            if len(seen) > _MOST_OBJECTS or path.count("/") > _DEEPEST:
                raise self._damaged("it holds too many groups, or too deep ones")
            self.groups[path] = group
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

    def join(self, other: "Weights") -> None:
        """Add the datasets of another open file, which lie elsewhere."""
        twice = sorted(self.datasets.keys() & other.datasets.keys())
        if twice:
            raise self._damaged(f"{twice[0]} is there twice, also in {other.name}")
        self.datasets |= other.datasets
        self.groups = other.groups | self.groups
        self._heads |= other._heads
        self.stored += other.stored

    def of(self, path: str) -> dict[str, str]:
        """The paths of the datasets of one part by their key."""
        prefix = f"{path}/vars/" if path else "vars/"
        return {
            known.removeprefix(prefix): known for known in self.datasets if known.startswith(prefix)
        }

    def attribute(self, group: str, key: str) -> Any:
        """An attribute of a group; None where it is missing."""
        with _believing(self.name):
            found = self.groups.get(group)
            return None if found is None else _attribute(found, key)

    def described(self, path: str) -> tuple[tuple[int, ...], np.dtype] | None:
        """Shape and type of a dataset, without reading it; None where it is missing."""
        return self._heads.get(path)

    def size(self, path: str) -> int:
        """How many bytes an array will have, by what the head says."""
        shape, dtype = self._heads[path]
        return math.prod(shape) * dtype.itemsize

    def read(self, path: str, limit: int | None = None) -> np.ndarray:
        """The array of a dataset whose shape was found to be right.

        Args:
            path: where it lies.
            limit: the most bytes, where the shape was not compared with anything.

        Raises:
            DamagedFile: data outside the file, none at all, or with another checksum.
        """
        shape, dtype = self._heads[path]
        if kind(dtype) not in "fib":
            raise self._damaged(f"{path} has type {dtype}, which no variable has")
        if limit is not None and self.size(path) > limit:
            raise self._damaged(f"{path} claims shape {shape}, more than the file holds")
        with _believing(self.name):
            array, wanted = self._read(path, math.prod(shape), dtype)
        if wanted is not None and wanted != _checksum(array):
            raise self._damaged(f"the checksum of {path} is not that of its data")
        return array

    def _read(self, path: str, size: int, dtype: np.dtype) -> tuple[np.ndarray, int | None]:
        """A dataset in the byte order of this machine, and the checksum that it should have."""
        dataset = self.datasets[path]
        if dataset.is_virtual or dataset.external:
            raise self._damaged(f"the data of {path} lies outside the file")
        properties = dataset.id.get_create_plist()
        filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
        if filters - _FILTERS:
            raise self._damaged(f"{path} is packed in a way that is not unpacked here")
        held = dataset.id.get_storage_size()
        if size and (held == 0 or (not filters and held < size * dtype.itemsize)):
            raise self._damaged(f"the data of {path} is missing")
        array = np.asarray(dataset[()])
        array = array.view(dtype) if array.dtype.kind == "V" else array
        wanted = _attribute(dataset, "crc32")
        return array.astype(dtype.newbyteorder("=")), None if wanted is None else int(wanted)


def _attribute(owner: h5py.Group | h5py.Dataset, key: str) -> Any:
    """Text or an integer beside an object, or None; HDF5 itself can crash reading other types."""
    if key not in owner.attrs:
        return None
    attribute = h5py.h5a.open(owner.id, key.encode())
    if attribute.shape == (0,):  # the names of no weights, which Keras writes as floats
        return np.zeros(0, "S1")
    kind_of = type(attribute.get_type())
    if kind_of not in (h5py.h5t.TypeStringID, h5py.h5t.TypeIntegerID) or len(attribute.shape) > 1:
        raise TypeError(f"attribute {key} is neither text nor an integer")
    if attribute.get_storage_size() > _LARGEST_ATTRIBUTE:
        raise ValueError(f"attribute {key} is too large")
    return owner.attrs[key]


def _stored_dtype(dataset: h5py.Dataset) -> np.dtype:
    dtype = dataset.dtype
    if dtype.kind == "V" and dtype.itemsize == 2 and _attribute(dataset, "dtype") == "bfloat16":
        return np.dtype(ml_dtypes.bfloat16)
    return dtype


@contextlib.contextmanager
def opened(source: Any, name: str) -> Generator[Weights]:
    """The weights in a file, or in the bytes of one.

    Raises:
        DamagedFile: it is no HDF5 file, or a damaged one.
    """
    with _believing(name):
        file = h5py.File(source, "r")
    with file:
        yield Weights(file, name)


class _Sink(io.FileIO):
    """A file that takes all bytes and remembers the first error: HDF5 would crash of one."""

    def __init__(self, path: Path):
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        with self._remembering():
            while rest and self.error is None:
                rest = rest[super().write(rest) or 0 :]
        return size

    def truncate(self, size: int | None = None) -> int:
        with self._remembering():
            super().truncate(size)
        return size or 0

    @contextlib.contextmanager
    def _remembering(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error


@contextlib.contextmanager
def replaced(path: Path) -> Generator[h5py.File]:
    """A new file to write into, which takes the place of `path` when it is whole.

    Raises:
        OSError: it could not be written; `path` is what it was.
    """
    with replacing(path) as temporary, written(temporary) as file:
        yield file


@contextlib.contextmanager
def written(path: Path) -> Generator[h5py.File]:
    """A new file to write into.

    Raises:
        OSError: it could not be written, and is not whole.
    """
    with _Sink(path) as sink:
        with h5py.File(sink, "w") as file:
            yield file
        if sink.error is not None:
            raise sink.error


def in_memory(write: Callable[[h5py.File], None]) -> memoryview:
    """The bytes of a file that `write` fills."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        write(file)
    return stream.getbuffer()

"""`.weights.json`: weights in several HDF5 files, and which of them holds what.

As Keras 3 writes it: `{"metadata": {"total_size": …}, "weight_map": {"/layers/dense/vars":
"model_00000.weights.h5"}}`, a list of names where the variables of one part lie in several
files. talweg adds the checksums of the files to the metadata. The files lie beside the JSON,
and Keras wants the one of number 0 to be there, whatever is in it.

The JSON is what makes a set: files of a new one get numbers that are free, and those of the
old one go only when the new JSON stands in its place.
"""

import contextlib
import json
import re
from collections.abc import Generator, Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from talweg.core import errors
from talweg.core.files import replacing_all
from talweg.saving import hdf5, state
from talweg.saving.archive import CHECKSUMS, checksum_of
from talweg.saving.damage import DamagedFile
from talweg.saving.hdf5 import Weights
from talweg.saving.records import LARGEST, parse

ENDING = ".weights.json"
_SHARD = ".weights.h5"
_MAP = "weight_map"
_MOST_SHARDS = 10_000

# What goes into one file: the name and the variables of parts, by their paths.
_Shard = dict[str, tuple[str, dict[str, np.ndarray]]]


def save(model: Any, path: Path, gigabytes: Any, skipped: Iterable[Any] = ()) -> None:
    """Write the weights of a built model, and the state of its optimizer.

    Args:
        path: of the JSON.
        gigabytes: how much a file may hold, in units of 2**30 bytes.
        skipped: layers that are left out.

    Raises:
        ValueError: a variable is larger than that.
        OSError: a file could not be written; the set that was there is what it was.
    """
    shards = _packed(model, gigabytes, skipped)
    old = _old_shards(path)
    names = _free_names(path, len(shards))
    with replacing_all([*(path.with_name(name) for name in names), path]) as temporaries:
        for shard, temporary in zip(shards, temporaries, strict=False):
            with hdf5.written(temporary) as file:
                for part, (name, values) in shard.items():
                    hdf5.write(file, part, name, values)
        checksums = {n: checksum_of(t) for n, t in zip(names, temporaries, strict=False)}
        record = {
            "metadata": {"total_size": sum(map(_size, shards)), CHECKSUMS: checksums},
            _MAP: _map(shards, names),
        }
        temporaries[-1].write_text(json.dumps(record, indent=4))
    for name in old - set(names):
        with contextlib.suppress(OSError):  # the new set is there; what is left does no harm
            if name == _name(path, 0):
                with hdf5.replaced(path.with_name(name)):
                    pass
            else:
                path.with_name(name).unlink()


@contextlib.contextmanager
def opened(path: Path) -> Generator[Weights]:
    """The weights in all files of a set, as if they were in one.

    Raises:
        DamagedFile: no such JSON; a file that is missing, elsewhere, of another set or damaged.
    """
    name = path.name
    record = _record(path)
    by_shard = _parts_by_shard(record, name)
    checksums = _checksums(record, name)
    with contextlib.ExitStack() as stack:
        whole: Weights | None = None
        for shard, mapped in by_shard.items():
            file = path.with_name(shard)
            if file.is_symlink() or not file.is_file():
                raise DamagedFile(f"{name}: the file {shard} is missing, or is none.")
            if checksums is not None and checksums.get(shard) != checksum_of(file):
                raise DamagedFile(
                    f"{name}: the checksum of {shard} is another one. It is damaged, or of "
                    "another set of weights."
                )
            weights = stack.enter_context(hdf5.opened(str(file), f"{shard} of {name}"))
            if {f"/{found.rpartition('/')[0]}" for found in weights.datasets} != mapped:
                raise DamagedFile(f"{name}: {shard} does not hold what it should.")
            if whole is None:
                whole = weights
            else:
                whole.join(weights)
        if whole is None:
            raise DamagedFile(f"{name} names no file with weights.")
        whole.name = name
        yield whole


def _packed(model: Any, gigabytes: Any, skipped: Iterable[Any]) -> list[_Shard]:
    """Variable after variable, a new file where one is full."""
    number = isinstance(gigabytes, (int, float)) and not isinstance(gigabytes, bool)
    if not number or not gigabytes > 0:
        raise errors.invalid("save_weights", "max_shard_size", "a positive number", gigabytes)
    most = gigabytes * 2**30
    shards: list[_Shard] = [{}]
    held = 0
    for path, name, values in state.values_of(model, skipped):
        for key, value in values.items():
            array = np.asarray(value)
            if array.nbytes > most:
                raise errors.invalid(
                    "save_weights", "max_shard_size", f"at least {array.nbytes / 2**30:.3g}",
                    gigabytes, f"Variable {key} of {name!r} has {array.nbytes} bytes.",
                )  # fmt: skip
            if held + array.nbytes > most:
                shards.append({})
                held = 0
            held += array.nbytes
            shards[-1].setdefault(path, (name, {}))[1][key] = array
    return shards


def _size(shard: _Shard) -> int:
    return sum(array.nbytes for _, values in shard.values() for array in values.values())


def _map(shards: list[_Shard], names: list[str]) -> dict[str, Any]:
    found: dict[str, list[str]] = {}
    for shard, name in zip(shards, names, strict=True):
        for path in shard:
            found.setdefault(f"/{path}/vars" if path else "/vars", []).append(name)
    return {path: held[0] if len(held) == 1 else held for path, held in found.items()}


def _name(path: Path, number: int) -> str:
    return f"{path.stem.replace('.weights', '')}_{number:05}{_SHARD}"


def _free_names(path: Path, wanted: int) -> list[str]:
    names: list[str] = []
    for number in count():
        name = _name(path, number)
        if not path.with_name(name).exists():
            names.append(name)
        if len(names) == wanted:
            return names
    raise AssertionError


def _old_shards(path: Path) -> set[str]:
    """The files of the set that is to be replaced, by their names."""
    if not path.is_file():
        return set()
    try:
        named = _parts_by_shard(_record(path), path.name)
    except DamagedFile:
        return set()
    own = re.compile(re.escape(path.stem.replace(".weights", "")) + r"_\d{5}\.weights\.h5")
    return {name for name in named if own.fullmatch(name)}


def _record(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    if size > LARGEST:
        raise DamagedFile(f"{path.name} has {size} bytes, more than {LARGEST}.")
    return parse(path.read_bytes(), path.name)


def _parts_by_shard(record: Mapping[str, Any], name: str) -> dict[str, set[str]]:
    """Which groups each file is said to hold; a file can only lie beside the JSON."""
    told = record.get(_MAP)
    if not isinstance(told, dict):
        raise DamagedFile(f"{name} has no {_MAP}: it is no set of weights.")
    found: dict[str, set[str]] = {}
    for part, names in told.items():
        for shard in names if isinstance(names, list) else [names]:
            plain = isinstance(shard, str) and re.fullmatch(r"[^/\\:\0]+", shard)
            if not plain or not shard.endswith(_SHARD):
                raise DamagedFile(f"{name}: {shard!r} cannot be the name of a file of weights.")
            found.setdefault(shard, set()).add(part)
    if len(found) > _MOST_SHARDS:
        raise DamagedFile(f"{name} names {len(found)} files, more than {_MOST_SHARDS}.")
    return found


def _checksums(record: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """What the metadata tells; None where Keras wrote them, which tells nothing."""
    metadata = record.get("metadata")
    told = metadata.get(CHECKSUMS) if isinstance(metadata, dict) else None
    if told is not None and not isinstance(told, dict):
        raise DamagedFile(f"{name}: its {CHECKSUMS} are no object.")
    return told

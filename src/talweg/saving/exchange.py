"""`.safetensors`: weights by name, for exchange with PyTorch, NumPy and other libraries.

A flat table of arrays, no code, no structure: https://github.com/huggingface/safetensors.
An array keeps the layout that the layer gives it (a Dense kernel is inputs × units, the
transpose of PyTorch's Linear), bfloat16 stays bfloat16. There is no checksum in the format:
a bit that flips in the numbers is not found, all else is.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from talweg.core import errors
from talweg.core.files import replacing
from talweg.core.variables import Variable
from talweg.saving.damage import DamagedFile
from talweg.saving.filling import Filling
from talweg.saving.layout import parts

ENDING = ".safetensors"
# Where the head keeps the place of each array in the model, by which `.weights.h5` goes.
_PLACES = "places"
# Names in the format of what can fill a variable.
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


def places_of(model: Any) -> dict[str, Variable]:
    """The weights of a model by their place: the path of the layer in the model, and a number."""
    found: dict[int, tuple[str, Variable]] = {}
    for path, part in parts(model):
        own = part._own_weights() if hasattr(part, "_own_weights") else []
        for i, variable in enumerate(own):
            found.setdefault(id(variable), (f"{path}/vars/{i}" if path else f"vars/{i}", variable))
    return dict(found.values())


def names_of(model: Any) -> dict[str, Variable]:
    """The weights of a model by their paths in it; by their places where two have the same.

    >>> from talweg import Sequential, layers
    >>> model = Sequential([layers.Dense(2, name="head", input_dim=3)])
    >>> sorted(names_of(model))
    ['head/bias', 'head/kernel']
    """
    places, own = places_of(model), f"{model.name}/"
    paths = {place: variable.path.removeprefix(own) for place, variable in places.items()}
    counts = Counter(paths.values())
    return {
        paths[place] if counts[paths[place]] == 1 else place: variable
        for place, variable in places.items()
    }


def save(model: Any, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the weights of a built model; the optimizer's state is not among them.

    Args:
        metadata: more texts for the head of the file.
    """
    errors.extra("safetensors", "exchange", f"save_weights({path.name!r})")
    from safetensors.numpy import save as serialized

    named = names_of(model)
    arrays = {name: np.asarray(variable._value, order="C") for name, variable in named.items()}
    names = {id(variable): name for name, variable in named.items()}
    places = {names[id(variable)]: place for place, variable in places_of(model).items()}
    head = {"format": "talweg", "model": str(model.name), _PLACES: json.dumps(places)}
    # Where the library itself fails to write a file, it leaves parts of it behind.
    content = serialized(arrays, metadata={**head, **(metadata or {})})
    with replacing(path) as temporary:
        temporary.write_bytes(content)


class Tensors:
    """The arrays of an open file by name, looked at and not yet read."""

    def __init__(self, file: Any, name: str):
        self.name, self.file = name, file
        self.metadata: dict[str, str] = file.metadata() or {}
        self.slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118

    def described(self, path: str) -> tuple[tuple[int, ...], Any] | None:
        """Shape and type of an array, without reading it; None where it is missing."""
        slices = self.slices.get(path)
        if slices is None:
            return None
        # A type without a name here has a kind that no variable has.
        known = _DTYPES.get(slices.get_dtype())
        return tuple(slices.get_shape()), np.dtype(known or "V1")

    def read(self, path: str, limit: int | None = None) -> np.ndarray:
        """An array whose shape was found to be right."""
        return self.file.get_tensor(path)

    @property
    def places(self) -> dict[str, str]:
        """The place in the model of each array, as talweg notes it; of others' files nothing."""
        try:
            told = json.loads(self.metadata.get(_PLACES, "{}"))
        except (ValueError, RecursionError):
            return {}
        if not isinstance(told, dict):
            return {}
        return {
            place: name
            for name, place in told.items()
            if isinstance(place, str) and name in self.slices
        }


@contextlib.contextmanager
def opened(path: Path) -> Generator[Tensors]:
    """The arrays in a file.

    Raises:
        DamagedFile: it is none of this format, or a damaged one.
    """
    library: Any = errors.extra("safetensors", "exchange", f"load_weights({path.name!r})")
    try:
        with library.safe_open(path, framework="numpy") as file:
            yield Tensors(file, path.name)
    except (library.SafetensorError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DamagedFile(f"{path.name} is no safetensors file, or a damaged one: {error}.") from (
            error
        )


def load(model: Any, path: Path, by_name: bool, skip_mismatch: bool, allow_nan: bool) -> None:
    """Fill the weights of a model from the arrays of the same names.

    Layers that were named by their numbers (`dense_3`) may have other ones in this process:
    where names fail, a file of talweg is read by the places that its head tells.

    Args:
        by_name: whether arrays that only the file has, or only the model, are left alone.

    Raises:
        ValueError: what does not fit, in a list; nothing was changed.
    """
    with opened(path) as tensors:
        named = names_of(model)
        places = tensors.places
        by_place = {
            places[place]: variable
            for place, variable in places_of(model).items()
            if place in places
        }
        by_path = {variable.path: variable for variable in named.values()}
        if by_name:
            named |= {path: v for path, v in by_path.items() if path in tensors.slices}
        elif not named.keys() <= tensors.slices.keys():
            whole = [found for found in (by_path, by_place) if len(found) == len(named)]
            named = next((w for w in whole if w.keys() <= tensors.slices.keys()), named)
        filling = Filling(tensors)
        for name, variable in named.items():
            if name in tensors.slices or not by_name:
                filling.pair(name, variable)
        if not by_name:
            for name in sorted(tensors.slices.keys() - named.keys()):
                filling.leave(name)
        elif not filling.pairs and not filling.different:
            raise ValueError(
                f"{path.name}: none of its arrays has the name of a weight of the model. Its "
                f"names: {errors.shown(sorted(tensors.slices), 300)}; the model's: "
                f"{errors.shown(sorted(named), 300)}."
            )
        filling.settle(skip_mismatch, optimizer=False)
        filling.carry_out(allow_nan)

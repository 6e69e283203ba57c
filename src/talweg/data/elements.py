"""The elements of a dataset: how they are stacked, padded, put in windows and shown."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import jax
import numpy as np


class TensorSpec(NamedTuple):
    """The shape and type of a tensor; `tf.function` takes it and needs none."""

    shape: Any
    dtype: Any = np.dtype("float32")
    name: str | None = None


class HostTensor(np.ndarray):
    """A NumPy array with the `numpy()` of TensorFlow's tensors; text comes as bytes.

    >>> worn(np.array([1, 2])).numpy().tolist(), worn("text").numpy()
    ([1, 2], b'text')
    """

    def numpy(self) -> Any:
        """The plain array, or the number or the bytes where there are no axes."""
        plain = self.view(np.ndarray)
        if plain.dtype.kind not in "OUT":
            return plain[()]
        coded = np.empty(plain.shape, dtype=object)
        for i, item in enumerate(plain.flat):
            coded.flat[i] = item.encode() if isinstance(item, str) else item
        return coded[()]

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        return part if isinstance(part, HostTensor) else _dressed(part)


def worn(element: Any) -> Any:
    """The element with its arrays as `HostTensor`s; other things, such as datasets, as they are."""
    return jax.tree.map(_dressed, element)


def _dressed(leaf: Any) -> Any:
    if isinstance(leaf, (np.ndarray, np.generic, bool, int, float, str, bytes, complex)):
        return np.asarray(leaf).view(HostTensor)
    return leaf


def plain(element: Any) -> Any:
    """The element as plain NumPy arrays, numbers and bytes."""
    return jax.tree.map(
        lambda leaf: leaf.numpy() if isinstance(leaf, HostTensor) else leaf, worn(element)
    )


def arrays(element: Any) -> Any:
    """The element with its lists as arrays: tuples and dicts are structure, lists are not."""
    return jax.tree.map(
        lambda leaf: of_list(leaf) if isinstance(leaf, list) else leaf,
        element,
        is_leaf=lambda part: isinstance(part, list),
    )


def of_list(values: list[Any]) -> np.ndarray:
    """An array of a list; Python's numbers have 32 bits, as TensorFlow reads them."""
    array = np.asarray(values)
    first: Any = values
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    narrow = {float: np.float32, int: np.int32}.get(type(first))
    if narrow is None or array.dtype.kind not in "fi":
        return array
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    fits = not array.size or np.abs(array).max() <= np.iinfo(narrow).max
    return array.astype(narrow) if fits else array


def typed(element: Any, signature: Any) -> Any:
    """The element in the types of a signature: a `TensorSpec` or a type for each array."""

    def cast(given: Any, leaf: Any) -> Any:
        dtype = getattr(given, "dtype", given)
        array = np.asarray(leaf)
        return array if str(dtype) == "string" else array.astype(np.dtype(dtype))

    return jax.tree.map(
        cast, signature, element, is_leaf=lambda part: not isinstance(part, (tuple, list, dict))
        or isinstance(part, TensorSpec),
    )  # fmt: skip


def call(function: Callable[..., Any], element: Any) -> Any:
    """`function` of an element; a tuple's parts are its arguments."""
    return function(*element) if isinstance(element, tuple) else function(element)


def stack(elements: list[Any]) -> Any:
    """Elements of one structure side by side along a new first axis."""
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *elements)


def run_of(run: list[Any]) -> Any:
    """Row numbers as an array; a run of anything else as it is."""
    return np.asarray(run) if isinstance(run[0], (int, np.integer)) else run


def padded(elements: list[Any], shapes: Any, values: Any) -> Any:
    """Elements filled up to one shape, and stacked."""

    def join(leaves: list[Any], shape: Any, value: Any) -> np.ndarray:
        parts = [np.asarray(leaf) for leaf in leaves]
        largest = np.max([part.shape for part in parts], axis=0)
        wanted = [
            int(size) if given in (None, -1) else int(given)
            for size, given in zip(largest, largest if shape is None else shape, strict=True)
        ]
        filler = value if value is not None else "" if parts[0].dtype.kind in "US" else 0
        whole = np.full((len(parts), *wanted), filler, np.result_type(*parts))
        for row, part in zip(whole, parts, strict=True):
            row[tuple(map(slice, part.shape))] = part
        return whole

    rows = [jax.tree.leaves(element) for element in elements]
    count = len(rows[0])
    structure = jax.tree.structure(elements[0])
    sizes = _spread(shapes, count)
    fillers = list(values) if isinstance(values, (tuple, list)) else [values] * count
    joined = [
        join(list(leaves), sizes[i], fillers[i]) for i, leaves in enumerate(zip(*rows, strict=True))
    ]
    return jax.tree.unflatten(structure, joined)


def _spread(shapes: Any, count: int) -> list[Any]:
    """One shape per leaf, from None, from one shape or from a structure of them."""
    nested = isinstance(shapes, (tuple, list)) and any(
        part is None or isinstance(part, (tuple, list)) for part in shapes
    )
    return list(shapes) if nested and len(shapes) == count else [shapes] * count


def windows(
    elements: Iterator[Any], size: int, shift: int, stride: int, drop_remainder: bool
) -> Iterator[list[Any]]:
    """Every `stride`-th element from each `shift`-th on, `size` of them."""
    reach = (size - 1) * stride + 1
    held: list[Any] = []
    while True:
        held += islice(elements, reach - len(held))
        run = held[:reach:stride]
        if not run or (drop_remainder and len(run) < size):
            return
        yield run
        deque(islice(elements, max(0, shift - len(held))), maxlen=0)
        held = held[shift:]


def columns(run: list[Any], make: Callable[[list[Any]], Any]) -> Any:
    """A run of elements as one dataset for each of their parts."""
    first = run[0]
    if isinstance(first, tuple):
        return tuple(columns(list(part), make) for part in zip(*run, strict=True))
    if isinstance(first, dict):
        return {key: columns([element[key] for element in run], make) for key in first}
    return make(run)


def in_turn(datasets: Iterable[Any], width: int, block: int) -> Iterator[Any]:
    """`block` elements in turn of each of `width` datasets; one that ends gives its place on."""
    coming = iter(datasets)
    places: list[Iterator[Any] | None] = [None] * width
    at = 0
    while True:
        if places[at] is None:
            following = next(coming, None)
            places[at] = None if following is None else following._values()
        place = places[at]
        if place is not None:
            taken = list(islice(place, block))
            yield from taken
            if len(taken) < block:
                places[at] = None
        elif not any(places):
            return
        at = (at + 1) % width


def spec(element: Any) -> Any:
    """The shape and type of each array of an element."""

    def of(leaf: Any) -> TensorSpec:
        array = np.asarray(leaf)
        return TensorSpec(array.shape, array.dtype)

    return jax.tree.map(of, element)

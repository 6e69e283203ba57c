"""Keras's `tree`: functions over nested lists, tuples, deques and dicts.

All else is a leaf, None too. The entries of a dict come in the order of their sorted keys
(of an OrderedDict as they stand), so that equal dicts give equal lists of leaves.
"""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from talweg.core import errors

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]


class MAP_TO_NONE:
    """What a function given to `traverse` returns to put None in the place of a part."""


def is_nested(structure: Any) -> bool:
    """Whether `structure` is a list, tuple, deque or dict, even an empty one.

    >>> is_nested({"a": 1}), is_nested(1), is_nested(None)
    (True, False, False)
    """
    return isinstance(structure, (list, tuple, deque, dict))


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Replace parts of a structure, at any depth.

    Args:
        func: given a part, its replacement; None to go on with the part's own parts (top
            down) or to keep it (bottom up); `MAP_TO_NONE` for None.
        structure: what to go through; it is not changed.
        top_down: whether a part comes before its own parts.

    >>> traverse(lambda part: part * 10 if isinstance(part, int) else None, [1, (2, None)])
    [10, (20, None)]
    """
    if top_down:
        replacement = func(structure)
        if replacement is None:
            return _map_children(lambda part: traverse(func, part, True), structure)
    else:
        structure = _map_children(lambda part: traverse(func, part, False), structure)
        replacement = func(structure)
        if replacement is None:
            return structure
    return None if replacement is MAP_TO_NONE else replacement


def flatten(structure: Any) -> list[Any]:
    """The leaves, from left to right.

    >>> flatten({"b": [1, None], "a": (2,)})
    [2, 1, None]
    """
    return [leaf for _, leaf in flatten_with_path(structure)]


def flatten_with_path(structure: Any) -> list[tuple[tuple[Hashable, ...], Any]]:
    """The leaves with their paths: the indices and keys that lead to them.

    >>> flatten_with_path({"b": [1, 2]})
    [(('b', 0), 1), (('b', 1), 2)]
    """
    if not is_nested(structure):
        return [((), structure)]
    return [
        ((key, *path), leaf)
        for key, part in zip(*_entries(structure), strict=True)
        for path, leaf in flatten_with_path(part)
    ]


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """`func` of the leaves at each place, in the structure of the first.

    Args:
        func: takes as many leaves as there are structures.
        structures: of the same nesting.
        none_is_leaf: whether `func` is called with None; False leaves None where it is.

    Raises:
        ValueError: there is no structure, or they differ in their nesting.

    >>> map_structure(lambda a, b: a + b, [1, {"x": 2}], [10, {"x": 20}])
    [11, {'x': 22}]
    """
    return _mapped("map_structure", func, structures, is_nested, True, none_is_leaf)


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """`func` of what the structures have at the leaves of a shallower one.

    Args:
        shallow_structure: its leaves are not given to `func`.
        func: takes as many parts as there are structures.
        structures: of the same nesting, or deeper.

    Raises:
        ValueError: there is no structure, or one lacks a part of the shallow one.

    >>> map_structure_up_to([0, 0], len, [[1, 2], (3,)])
    [2, 1]
    """
    if not structures:
        raise errors.invalid("map_structure_up_to", "structures", "one at least", structures)

    def deeper(_: Any, *parts: Any) -> Any:
        return func(*parts)

    every = (shallow_structure, *structures)
    return _mapped("map_structure_up_to", deeper, every, is_nested, False, True)


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Raise where two structures differ in their nesting.

    Args:
        a: a structure.
        b: another.
        check_types: without effect, as in Keras: a list is no tuple.

    Raises:
        ValueError: they differ.

    >>> assert_same_structure([1, (2, 3)], [4, (5, 6)])
    """
    _mapped("assert_same_structure", lambda *_: None, (a, b), is_nested, True, True)


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise where the leaves of two structures have other paths; a list may be a tuple.

    Raises:
        ValueError: they differ; the paths that one of them lacks are named.

    >>> assert_same_paths([1, 2], (3, 4))
    """
    first, second = ({path for path, _ in flatten_with_path(part)} for part in (a, b))
    if first != second:
        only = sorted(first - second, key=str), sorted(second - first, key=str)
        raise ValueError(
            f"assert_same_paths: only in the first are {errors.shown(only[0])}, only in the "
            f"second {errors.shown(only[1])}."
        )


def pack_sequence_as(structure: Any, flat_sequence: Iterable[Any]) -> Any:
    """The leaves of a list in the nesting of a structure: the inverse of `flatten`.

    Args:
        structure: its leaves do not matter.
        flat_sequence: as many as it has leaves.

    Raises:
        ValueError: there are more or fewer.

    >>> pack_sequence_as({"b": 0, "a": [0, 0]}, [1, 2, 3])
    {'b': 3, 'a': [1, 2]}
    """
    leaves = list(flat_sequence)
    count = len(flatten(structure))
    if len(leaves) != count:
        raise errors.invalid("pack_sequence_as", "flat_sequence", f"{count} leaves", len(leaves))
    supply = iter(leaves)
    return map_structure(lambda _: next(supply), structure)


def lists_to_tuples(structure: Any) -> Any:
    """The structure with tuples for lists.

    >>> lists_to_tuples([1, {"a": [2]}])
    (1, {'a': (2,)})
    """
    return traverse(
        lambda part: tuple(part) if isinstance(part, list) else None, structure, top_down=False
    )


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """`func` of every shape: a list or tuple of integers and None is a leaf.

    >>> map_shape_structure(len, {"a": (None, 3), "b": [(2,), ()]})
    {'a': 2, 'b': [1, 0]}
    """

    def nested(part: Any) -> bool:
        shape = isinstance(part, (list, tuple)) and all(
            size is None or isinstance(size, int) for size in part
        )
        return is_nested(part) and not shape

    return _mapped("map_shape_structure", func, (structure,), nested, True, True)


def _entries(structure: Any) -> tuple[list[Any], list[Any]]:
    """Keys and parts of a nested structure, in their order."""
    if not isinstance(structure, dict):
        return list(range(len(structure))), list(structure)
    keys = list(structure)
    if not isinstance(structure, OrderedDict):
        try:
            keys.sort()
        except TypeError:  # keys of several types
            keys.sort(key=lambda key: (type(key).__qualname__, str(key)))
    return keys, [structure[key] for key in keys]


def _rebuilt(structure: Any, keys: list[Any], parts: list[Any]) -> Any:
    """A structure like `structure` with these parts."""
    if isinstance(structure, dict):
        found = dict(zip(keys, parts, strict=True))
        ordered = {key: found[key] for key in structure}
        if isinstance(structure, defaultdict):
            return defaultdict(structure.default_factory, ordered)
        return OrderedDict(ordered) if isinstance(structure, OrderedDict) else ordered
    if isinstance(structure, deque):
        return deque(parts, maxlen=structure.maxlen)
    if isinstance(structure, list):
        return parts
    return type(structure)(*parts) if hasattr(structure, "_fields") else tuple(parts)


def _map_children(func: Callable[[Any], Any], structure: Any) -> Any:
    if not is_nested(structure):
        return structure
    keys, parts = _entries(structure)
    return _rebuilt(structure, keys, [func(part) for part in parts])


def _mapped(
    owner: str,
    func: Callable[..., Any],
    structures: tuple[Any, ...],
    nested: Callable[[Any], bool],
    equally_deep: bool,
    none_is_leaf: bool,
) -> Any:
    if not structures:
        raise errors.invalid(owner, "structures", "one at least", structures)
    first, *others = structures
    if not nested(first):
        deeper = [other for other in others if equally_deep and is_nested(other)]
        if deeper:
            raise errors.invalid(owner, "the nesting", "the same in all", (first, deeper[0]))
        return func(*structures) if none_is_leaf or first is not None else None
    keys, parts = _entries(first)
    rest = []
    for other in others:
        same = is_nested(other) and _kind(other) is _kind(first)
        if not same or set(_entries(other)[0]) != set(keys):
            raise errors.invalid(owner, "the nesting", "the same in all", (first, other))
        rest.append([other[key] for key in keys])
    results = [
        _mapped(owner, func, places, nested, equally_deep, none_is_leaf)
        for places in zip(parts, *rest, strict=True)
    ]
    return _rebuilt(first, keys, results)


def _kind(structure: Any) -> type:
    """What must be equal: dicts of all kinds are, named tuples by their class."""
    if isinstance(structure, dict):
        return dict
    return type(structure) if hasattr(structure, "_fields") else _plain_kind(structure)


def _plain_kind(structure: Any) -> type:
    return next(kind for kind in (list, tuple, deque) if isinstance(structure, kind))

"""What the arguments of layers must be, checked when the layer is made."""

import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from talweg.core import errors
from talweg.core.serialization import serialize_keras_object


def integer(owner: str, name: str, value: Any, minimum: int = 1, checks_type: bool = False) -> int:
    """`value` as an int of at least `minimum`.

    With `checks_type` another type is a TypeError, in the layers where Keras makes it one.

    >>> integer("Dense", "units", 8)
    8
    """
    if checks_type and not _is_integer(value):
        raise errors.wrong_type(owner, name, "an integer", value)
    if not _is_integer(value) or value < minimum:
        raise errors.invalid(owner, name, f"an integer >= {minimum}", value)
    return int(value)


def integers(owner: str, name: str, value: Any, count: int, minimum: int = 1) -> tuple[int, ...]:
    """`count` integers from one, which is repeated, or from a sequence.

    >>> integers("Conv2D", "kernel_size", 3, 2)
    (3, 3)
    """
    items = (value,) * count if _is_integer(value) else value
    if not (
        isinstance(items, Iterable)
        and not isinstance(items, str)
        and len(items := tuple(items)) == count
        and all(_is_integer(item) and item >= minimum for item in items)
    ):
        expected = f"an integer >= {minimum}" + (f", or {count} of them" if count > 1 else "")
        raise errors.invalid(owner, name, expected, value)
    return tuple(int(item) for item in items)


def sides(owner: str, name: str, value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """How much before and after, for each of `rank` axes: from one, `rank` or pairs of them.

    >>> sides("Cropping2D", "cropping", (1, (0, 2)), 2)
    ((1, 1), (0, 2))
    """
    each = value if isinstance(value, (list, tuple)) else (value,) * rank
    if len(each) != rank:
        raise errors.invalid(owner, name, f"an integer or {rank} entries", value)
    pairs = [integers(owner, f"each entry of {name}", axis, 2, minimum=0) for axis in each]
    return tuple((before, after) for before, after in pairs)


def number(
    owner: str, name: str, value: Any, minimum: float = 0.0, below: float = float("inf")
) -> Any:
    """`value` unchanged, if it is a number in [minimum, below).

    >>> number("Dropout", "rate", 0.5, below=1.0)
    0.5
    """
    if not _is_real(value) or not minimum <= value < below:
        expected = f"a number in [{minimum:g}, {below:g})"
        raise errors.invalid(owner, name, expected, value)
    return value


def choice(owner: str, name: str, value: Any, options: Sequence[str]) -> str:
    """`value` in lower case, if it is one of `options`."""
    if not isinstance(value, str) or value.lower() not in options:
        expected = " or ".join(map(repr, options))
        raise errors.invalid(owner, name, expected, value)
    return value.lower()


def axes(owner: str, value: Any) -> int | list[int]:
    """An axis, or a list of axes."""
    if _is_integer(value):
        return int(value)
    if isinstance(value, (list, tuple)) and value and all(map(_is_integer, value)):
        return [int(axis) for axis in value]
    raise errors.wrong_type(owner, "axis", "an integer or a list of integers", value)


def unsupported(owner: str, **given: Any) -> None:
    """Refuse arguments of Keras that talweg has no meaning for."""
    for name, value in given.items():
        if value is not None:
            raise errors.invalid(owner, name, "None", value, "talweg does not support it.")


def fields(layer: Any, *names: str) -> dict[str, Any]:
    """Attributes of a layer as entries of its config; tuples stay tuples, as in Keras."""
    values = {name: getattr(layer, name) for name in names}
    return {
        name: value if isinstance(value, tuple) else serialize_keras_object(value)
        for name, value in values.items()
    }


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))

"""`tf.strings`: text on the host, for `Dataset.map` and the `standardize` of TextVectorization."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from talweg.compat.tensorflow._arrays import text_of
from talweg.data.elements import worn


def _each(function: Callable[[str], Any], texts: Any, kind: Any = object) -> Any:
    """`function` of every text of an array."""
    array = np.asarray(text_of(texts))
    made = np.empty(array.shape, kind)
    for i, text in enumerate(array.flat):
        made.flat[i] = function(text.decode() if isinstance(text, bytes) else str(text))
    return worn(made)


def lower(input: Any, encoding: str = "utf-8", name: Any = None) -> Any:
    """In small letters.

    >>> lower(["One", "TWO"]).tolist()
    ['one', 'two']
    """
    return _each(str.lower, input)


def upper(input: Any, encoding: str = "utf-8", name: Any = None) -> Any:
    """In capital letters."""
    return _each(str.upper, input)


def strip(input: Any, name: Any = None) -> Any:
    """Without white space at both ends."""
    return _each(str.strip, input)


def length(input: Any, unit: str = "BYTE", name: Any = None) -> Any:
    """How many bytes, or characters where `unit` is "UTF8_CHAR"."""
    if unit == "UTF8_CHAR":
        return _each(len, input, np.int32)
    return _each(lambda text: len(text.encode()), input, np.int32)


def regex_replace(
    input: Any, pattern: str, rewrite: str, replace_global: bool = True, name: Any = None
) -> Any:
    """With what `pattern` matches replaced, by Python's regular expressions.

    >>> regex_replace(["a<br />b", "c"], "<br />", " ").tolist()
    ['a b', 'c']
    """
    compiled = re.compile(pattern)
    return _each(lambda text: compiled.sub(rewrite, text, 0 if replace_global else 1), input)


def regex_full_match(input: Any, pattern: str, name: Any = None) -> Any:
    """Whether `pattern` matches the whole text."""
    return _each(lambda text: re.fullmatch(pattern, text) is not None, input, bool)


def join(inputs: Sequence[Any], separator: str = "", name: Any = None) -> Any:
    """Texts of several arrays one after the other, entry by entry.

    >>> join([["a", "b"], "-x"]).tolist()
    ['a-x', 'b-x']
    """
    columns = np.broadcast_arrays(*[np.asarray(_each(str, column)) for column in inputs])
    made = np.empty(columns[0].shape, object)
    for i, texts in enumerate(zip(*(column.flat for column in columns), strict=True)):
        made.flat[i] = separator.join(texts)
    return worn(made)

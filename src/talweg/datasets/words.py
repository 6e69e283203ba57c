"""Texts as lists of word numbers: the options that IMDB and Reuters share."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from talweg.core import errors


def marked(texts: Any, start_char: int | None, index_from: int) -> list[list[int]]:
    """Every text with its start marked and its words moved up by `index_from`."""
    front = [] if start_char is None else [start_char]
    move = index_from or 0
    return [front + [word + move for word in text] for text in texts]


def not_too_long(
    texts: list[list[int]], labels: np.ndarray, maxlen: int | None
) -> tuple[list[list[int]], np.ndarray]:
    """The texts that are shorter than `maxlen`, with their labels.

    Raises:
        ValueError: none is.
    """
    if not maxlen:
        return texts, labels
    kept = [i for i, text in enumerate(texts) if len(text) < maxlen]
    if not kept:
        raise errors.invalid("load_data", "maxlen", "longer than the shortest text", maxlen)
    return [texts[i] for i in kept], np.asarray(labels)[kept]


def limited(
    texts: Sequence[list[int]], num_words: int | None, skip_top: int, oov_char: int | None
) -> list[list[int]]:
    """The words from `skip_top` up to `num_words`; others become `oov_char` or go."""
    count = num_words or max(max(text) for text in texts if text)
    if oov_char is None:
        return [[w for w in text if skip_top <= w < count] for text in texts]
    return [[w if skip_top <= w < count else oov_char for w in text] for text in texts]


def ragged(texts: list[list[int]]) -> np.ndarray:
    """Lists of different lengths as an array of lists."""
    array = np.empty(len(texts), dtype=object)
    for i, text in enumerate(texts):
        array[i] = text
    return array

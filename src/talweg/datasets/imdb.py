"""IMDB: 50,000 film reviews as word numbers, good or bad (Maas et al., 2011)."""

import json

import numpy as np

from talweg.data.download import get_file
from talweg.datasets.stored import ORIGIN, Arrays, read_npz, shuffled
from talweg.datasets.words import limited, marked, not_too_long, ragged

_HASH = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Arrays:
    """`(x_train, y_train), (x_test, y_test)`: arrays of lists of word numbers, and 0 or 1.

    Args:
        path: the file's name in the cache.
        num_words: only words below this number are kept; lower is more frequent.
        skip_top: words below this number are left out too.
        maxlen: longer reviews are left out.
        seed: of the order.
        start_char: marks each start; None for no mark.
        oov_char: stands for a word that is left out; None drops it.
        index_from: what is added to word numbers.

    Raises:
        ConnectionError: the file is not in the cache and cannot be had.
    """
    arrays = read_npz(get_file(path, origin=f"{ORIGIN}imdb.npz", file_hash=_HASH))
    parts, draw = [], np.random.RandomState(seed)
    for name in ("train", "test"):
        order = shuffled(len(arrays[f"x_{name}"]), draw)
        texts = marked(arrays[f"x_{name}"][order], start_char, index_from)
        parts.append(not_too_long(texts, arrays[f"y_{name}"][order], maxlen))
    (train, y_train), (test, y_test) = parts
    texts = limited([*train, *test], num_words, skip_top, oov_char)
    count = len(train)
    return (ragged(texts[:count]), y_train), (ragged(texts[count:]), y_test)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """The number of every word, before `index_from` is added.

    Args:
        path: the file's name in the cache.
    """
    name = "imdb_word_index.json"
    digest = "bfafd718b763782e994055a2d397834f"
    with open(get_file(path, origin=ORIGIN + name, file_hash=digest), encoding="utf-8") as file:
        return json.load(file)

"""Reuters: 11,228 newswires of 1987 as word numbers, in 46 topics."""

import json

import numpy as np

from talweg.data.download import get_file
from talweg.datasets.stored import ORIGIN, Arrays, read_npz, shuffled
from talweg.datasets.words import limited, marked, not_too_long, ragged

_HASH = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_TOPICS = """
cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship
cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin
strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange pet-chem
dlr gas silver wpi hog lead
"""


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Arrays:
    """`(x_train, y_train), (x_test, y_test)`: arrays of lists of word numbers, and topics.

    Args:
        path: the file's name in the cache.
        num_words: only words below this number are kept; lower is more frequent.
        skip_top: words below this number are left out too.
        maxlen: longer texts are left out.
        test_split: the fraction of texts for the test.
        seed: of the order.
        start_char: marks each start; None for no mark.
        oov_char: stands for a word that is left out; None drops it.
        index_from: what is added to word numbers.

    Raises:
        ConnectionError: the file is not in the cache and cannot be had.
    """
    arrays = read_npz(get_file(path, origin=f"{ORIGIN}reuters.npz", file_hash=_HASH))
    order = shuffled(len(arrays["x"]), np.random.RandomState(seed))
    texts = marked(arrays["x"][order], start_char, index_from)
    texts, labels = not_too_long(texts, arrays["y"][order], maxlen)
    texts = limited(texts, num_words, skip_top, oov_char)
    kept = int(len(texts) * (1 - test_split))
    y = np.asarray(labels)
    return (ragged(texts[:kept]), y[:kept]), (ragged(texts[kept:]), y[kept:])


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """The number of every word, before `index_from` is added.

    Args:
        path: the file's name in the cache.
    """
    name = "reuters_word_index.json"
    digest = "4d44cc38712099c9e383dc6e5f11a921"
    with open(get_file(path, origin=ORIGIN + name, file_hash=digest), encoding="utf-8") as file:
        return json.load(file)


def get_label_names() -> tuple[str, ...]:
    """The topics in the order of their numbers.

    >>> get_label_names()[3]
    'earn'
    """
    return tuple(_TOPICS.split())

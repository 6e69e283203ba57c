"""Keras 2's `preprocessing.text`: texts to word numbers and back, on the host.

The layer TextVectorization took its place; old scripts and the vocabularies that they
stored as JSON need this one.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from talweg.core import errors

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_COUNTS = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
_MODES = ("binary", "count", "freq", "tfidf")


def text_to_word_sequence(
    input_text: str, filters: str = _FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """The words of a text.

    Args:
        input_text: the text.
        filters: characters that count as `split`.
        lower: whether capitals are made small.
        split: what stands between words.

    >>> text_to_word_sequence("Well done, Ann!")
    ['well', 'done', 'ann']
    """
    text = input_text.lower() if lower else input_text
    text = text.translate({ord(character): split for character in filters})
    return [word for word in text.split(split) if word]


def hashing_trick(
    text: str, n: int, hash_function: Any = None, filters: str = _FILTERS, lower: bool = True,
    split: str = " ",
) -> list[int]:  # fmt: skip
    """The words of a text as numbers in 1 … n - 1; different words may share one.

    Args:
        text: the text.
        n: the size of the vocabulary.
        hash_function: from a word to an integer; "md5", or None for Python's `hash`, which
            differs from process to process.
        filters, lower, split: as in `text_to_word_sequence`.

    >>> hashing_trick("red blue red", 50, "md5")
    [27, 49, 27]
    """
    number = _md5 if hash_function == "md5" else hash_function or hash
    words = text_to_word_sequence(text, filters, lower, split)
    return [number(word) % (n - 1) + 1 for word in words]


def one_hot(
    input_text: str, n: int, filters: str = _FILTERS, lower: bool = True, split: str = " ",
    **kwargs: Any,
) -> list[int]:  # fmt: skip
    """`hashing_trick` with Python's `hash`; in spite of its name no rows of 0 and 1."""
    return hashing_trick(input_text, n, None, filters, lower, split)


class Tokenizer:
    """Numbers words by how often they occur, from 1; 0 is left for padding.

    Args:
        num_words: only numbers below this one are given out; None is all.
        filters, lower, split: as in `text_to_word_sequence`.
        char_level: whether letters are numbered in place of words.
        oov_token: stands for unknown words, as number 1; None leaves them out.
        analyzer: from a text to its words, in place of `text_to_word_sequence`.
        document_count: how many texts were seen before.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.fit_on_texts(["the cat", "the dog"])
    >>> tokenizer.texts_to_sequences(["the dog and the cat"])
    [[1, 3, 1, 2]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = _FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], list[str]] | None = None,
        document_count: int = 0,
    ):
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token, self.analyzer = char_level, oov_token, analyzer
        self.document_count = document_count
        self.word_counts: Counter[str] = Counter()
        self.word_docs: Counter[str] = Counter()
        self.index_docs: Counter[int] = Counter()
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Count the words of texts, or of lists of words, and number them anew."""
        for text in texts:
            words = self._words(text)
            self.document_count += 1
            self.word_counts.update(words)
            self.word_docs.update(set(words))
        known = [] if self.oov_token is None else [self.oov_token]
        known += [word for word, _ in self.word_counts.most_common()]
        self.word_index = {word: number for number, word in enumerate(known, 1)}
        self.index_word = {number: word for word, number in self.word_index.items()}
        counted = ((self.word_index[word], count) for word, count in self.word_docs.items())
        self.index_docs = Counter(dict(counted))

    def fit_on_sequences(self, sequences: Sequence[Sequence[int]]) -> None:
        """Count in how many sequences each number occurs, for the mode "tfidf"."""
        self.document_count += len(sequences)
        for sequence in sequences:
            self.index_docs.update(set(sequence))

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """Each text as a list of word numbers."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """The same, one by one."""
        for text in texts:
            numbers = (self._known(self.word_index.get(word)) for word in self._words(text))
            yield [number for number in numbers if number is not None]

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Each list of word numbers as words with blanks between them."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """The same, one by one."""
        for sequence in sequences:
            numbers = (self._known(n if n in self.index_word else None) for n in sequence)
            yield " ".join(self.index_word[number] for number in numbers if number is not None)

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> np.ndarray:
        """A row per text, a column per word number; see `sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(
        self, sequences: Sequence[Sequence[int]], mode: str = "binary"
    ) -> np.ndarray:
        """A row per sequence, a column per word number.

        Args:
            sequences: lists of word numbers.
            mode: "binary", "count", "freq" (of the length), or "tfidf":
                (1 + log count) log(1 + documents / (1 + documents with the word)).

        Raises:
            ValueError: another mode; no texts were seen and `num_words` is not given.
        """
        if mode not in _MODES:
            raise errors.invalid("Tokenizer", "mode", f"one of {', '.join(_MODES)}", mode)
        if not (self.num_words or self.word_index):
            raise errors.invalid(
                "Tokenizer", "num_words", "given, or texts seen by fit_on_texts", self.num_words
            )
        if mode == "tfidf" and not self.document_count:
            raise errors.invalid("Tokenizer", "mode", "another one before fit_on_texts", mode)
        columns = self.num_words or len(self.word_index) + 1
        matrix = np.zeros((len(sequences), columns))
        for row, sequence in zip(matrix, sequences, strict=True):
            for number, count in Counter(sequence).items():
                if number < columns:
                    row[number] = self._weight(number, count, len(sequence), mode)
        return matrix

    def _weight(self, number: int, count: int, length: int, mode: str) -> float:
        if mode == "tfidf":
            rarity = np.log(1 + self.document_count / (1 + self.index_docs[number]))
            return float((1 + np.log(count)) * rarity)
        return {"binary": 1.0, "count": float(count), "freq": count / length}[mode]

    def _words(self, text: Any) -> Sequence[str]:
        if isinstance(text, list) or self.char_level:
            return [part.lower() for part in text] if self.lower else list(text)
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def _known(self, number: int | None) -> int | None:
        """The number, or that of `oov_token` where it is not given out."""
        if number is not None and not (self.num_words and number >= self.num_words):
            return number
        return None if self.oov_token is None else self.word_index.get(self.oov_token)

    def get_config(self) -> dict[str, Any]:
        """The arguments, and the counts as JSON texts, as Keras stores them."""
        told = {
            name: getattr(self, name)
            for name in ("num_words", "filters", "lower", "split", "char_level", "oov_token",
                         "document_count")
        }  # fmt: skip
        return {**told, **{name: json.dumps(getattr(self, name)) for name in _COUNTS}}

    def to_json(self, **kwargs: Any) -> str:
        """The tokenizer as JSON, for `tokenizer_from_json`."""
        return json.dumps({"class_name": "Tokenizer", "config": self.get_config()}, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The tokenizer that `to_json` stored, Keras's too.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.fit_on_texts(["a b a"])
    >>> tokenizer_from_json(tokenizer.to_json()).word_index
    {'a': 1, 'b': 2}
    """
    config = json.loads(json_string)["config"]
    counts = {name: json.loads(config.pop(name)) for name in _COUNTS}
    tokenizer = Tokenizer(**config)
    tokenizer.word_index = counts["word_index"]
    tokenizer.word_counts, tokenizer.word_docs = (
        Counter(counts[name]) for name in ("word_counts", "word_docs")
    )
    tokenizer.index_word = {int(number): word for number, word in counts["index_word"].items()}
    tokenizer.index_docs = Counter({int(n): count for n, count in counts["index_docs"].items()})
    return tokenizer


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


__all__ = ["Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json"]

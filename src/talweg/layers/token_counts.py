"""Learning a vocabulary: tokens are counted, batch by batch."""

import collections
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from talweg.core import config as defaults
from talweg.core import errors
from talweg.layers.host_layer import HostLayer
from talweg.layers.vocabularies import counted


class LearnsTokens(HostLayer):
    """The part of a lookup that counts tokens and makes a vocabulary of them."""

    max_tokens: int | None
    mask_token: Any
    oov_token: Any
    output_mode: str
    _fixed: bool
    _tokens: list[Any]
    _read: Callable[..., np.ndarray]
    _take: Callable[[list[Any]], None]
    _token_start: Callable[[], int]
    _set_idf: Callable[[np.ndarray, int], None]

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary: tokens by falling count, then by falling token.

        Args:
            data: an array or list of samples, or an iterable of batches.
            steps: how many batches to read; all of them where None.

        Raises:
            ValueError: the vocabulary was given.
        """
        self.reset_state()
        for i, batch in enumerate(batches_of_tokens(data)):
            if steps is not None and i >= steps:
                break
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch."""
        rows = data if isinstance(data, list) and data and isinstance(data[0], list) else None
        if rows is None:
            array = self._read(data)
            rows = array.reshape(1, -1) if array.ndim < 2 else array.reshape(len(array), -1)
            rows = rows.tolist()
        self._count(rows)

    def _count(self, rows: list[list[Any]]) -> None:
        if self._fixed:
            raise errors.invalid(
                f"Layer {self.name!r}", "the vocabulary", "learned, not given", self._tokens
            )
        for row in rows:
            self._counts.update(row)
            if self.output_mode == "tf_idf":
                self._documents.update(set(row))
        self._rows += len(rows)

    def finalize_state(self) -> None:
        """Make a vocabulary of what was counted."""
        if self._fixed or not self._counts:
            self._take(self._tokens)
            return
        for token in (self.mask_token, self.oov_token):
            self._counts.pop(token, None)
        tokens = counted(self._counts)
        if self.max_tokens:
            tokens = tokens[: self.max_tokens - self._token_start()]
        self._take(tokens)
        if self.output_mode == "tf_idf":
            documents = np.array([self._documents[token] for token in tokens], np.float64)
            weights = np.log(1 + self._rows / (1 + documents))
            self._set_idf(weights.astype(defaults.floatx()), self._token_start())
        self.reset_state()

    def reset_state(self) -> None:
        """Forget what was counted; the vocabulary stays."""
        self._counts: collections.Counter[Any] = collections.Counter()
        self._documents: collections.Counter[Any] = collections.Counter()
        self._rows = 0


def batches_of_tokens(data: Any) -> Iterator[Any]:
    """One batch of an array or list, in columns; else the batches of an iterable."""
    if isinstance(data, (list, tuple)) or hasattr(data, "__array__"):
        rows = data if hasattr(data, "__array__") else list(data)
        flat = np.ndim(rows) == 1 if hasattr(rows, "ndim") else not _nested(rows)
        yield (
            np.asarray(rows, None if hasattr(rows, "dtype") else _kind(rows)).reshape(-1, 1)
            if flat
            else rows
        )
        return
    if isinstance(data, (str, bytes, dict)) or not isinstance(data, Iterable):
        raise errors.wrong_type("adapt", "the data", "an array or an iterable of batches", data)
    for batch in data:
        batch = batch[0] if isinstance(batch, tuple) else batch
        yield batch.numpy() if hasattr(batch, "numpy") else batch


def _nested(rows: list[Any]) -> bool:
    return bool(rows) and not np.isscalar(rows[0]) and not isinstance(rows[0], (str, bytes))


def _kind(rows: list[Any]) -> Any:
    return object if rows and isinstance(rows[0], (str, bytes)) else None

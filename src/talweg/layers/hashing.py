"""Categories to bins by hashing, with the bins of Keras."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from talweg.core import config, errors
from talweg.layers.arguments import choice, integer
from talweg.layers.fingerprints import concatenated, fingerprint64, siphash64
from talweg.layers.host_layer import (
    HostLayer,
    called_on_host,
    encode,
    encode_traced,
    encoded_shape,
    refuse_sparse,
)

_CROSSING_KEY = 0xDECAFCAFFE


def salted(owner: str, salt: Any) -> list[int] | None:
    """A key of two integers from one, two, or None."""
    if salt is None:
        return None
    if isinstance(salt, (tuple, list)) and len(salt) == 2:
        return [integer(owner, "salt", word, 0) for word in salt]
    word = integer(owner, "salt", salt, 0)
    return [word, word]


@functools.lru_cache(maxsize=1 << 16)
def _bin(value: bytes, bins: int, key: tuple[int, int] | None) -> int:
    return (fingerprint64(value) if key is None else siphash64(value, key)) % bins


def bins_of(values: np.ndarray, bins: int, salt: Sequence[int] | None) -> np.ndarray:
    """The bin of every string or integer of an array."""
    key = None if salt is None else (salt[0], salt[1])
    found = [_bin(_as_bytes(value), bins, key) for value in values.ravel().tolist()]
    return np.array(found, dtype=np.int64).reshape(values.shape)


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else b"%d" % value


def categories(value: Any, owner: str) -> np.ndarray:
    """Strings or integers as an array; floats lose their fraction where Keras's Hashing sees them.

    Raises:
        ValueError: numbers with a fraction are to be crossed.
        TypeError: neither text nor numbers.
    """
    if isinstance(value, jax.Array) or hasattr(value, "numpy"):
        value = np.asarray(value)
    array = np.asarray(value)
    kind = array.dtype.kind
    if kind == "f" and owner == "HashedCrossing":
        raise errors.invalid(
            owner, "every input", "integers or strings", array.dtype,
            "Round the column, x.astype('int64'), or put it in bins with Discretization.",
        )  # fmt: skip
    if kind == "f":
        return array.astype(np.int64)
    if kind == "b":
        raise errors.wrong_type(owner, "the input", "strings or integers", array.dtype)
    if kind in "OT" and not all(isinstance(item, (str, bytes, int)) for item in array.flat):
        raise errors.wrong_type(owner, "every entry", "a string or an integer", value)
    if kind not in "iuOUST":
        raise errors.wrong_type(owner, "the input", "strings or integers", array.dtype)
    return array


class Hashing(HostLayer):
    """Strings or integers to one of `num_bins` bins, without a vocabulary.

    bin = FarmHash64(text) mod bins, or SipHash-2-4 under a salt; an integer is hashed as
    its decimal text. The values are those that Keras computes with TensorFlow.

    Args:
        num_bins: the number of bins, that of `mask_value` included.
        mask_value: the input that goes to bin 0, the others then to 1 … num_bins - 1.
        salt: one or two integers that choose another hash.
        output_mode: "int", "one_hot", "multi_hot" or "count".
        sparse: False; JAX arrays are dense.

    In a compiled model, whose arrays are numbers, the program calls the host for it.

    Raises:
        TypeError: the input is no text and no number.

    >>> Hashing(num_bins=3)([["A"], ["B"], ["C"], ["D"], ["E"]]).tolist()
    [[1], [0], [1], [1], [2]]
    """

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ):
        modes = ("int", "one_hot", "multi_hot", "count")
        output_mode = choice("Hashing", "output_mode", output_mode, modes)
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = "int64" if output_mode == "int" else config.floatx()
        super().__init__(**kwargs)
        if output_mode == "int" and self.dtype_policy.name not in ("int32", "int64"):
            raise errors.invalid(
                "Hashing", "dtype", "int32 or int64 where output_mode is 'int'", kwargs["dtype"]
            )
        self.num_bins = integer("Hashing", "num_bins", num_bins)
        self.mask_value = mask_value
        self.salt = salted("Hashing", salt)
        self.output_mode = output_mode
        self.sparse = refuse_sparse("Hashing", sparse)

    reads_text = True

    def _check_traceable(self, *args: Any, **kwargs: Any) -> None:
        """Numbers are hashed by a call of the host."""

    def call(self, inputs: Any) -> Any:
        if isinstance(inputs, jax.core.Tracer):
            indices = called_on_host(self, self._indices, inputs.shape, inputs)
            return encode_traced(indices, self.output_mode, self.num_bins, self._result_dtype())
        return encode(self._indices(inputs), self.output_mode, self.num_bins, self.dtype)

    def _result_dtype(self) -> Any:
        return jax.dtypes.canonicalize_dtype(self.dtype)

    def _indices(self, inputs: Any) -> np.ndarray:
        values = categories(inputs, "Hashing")
        if self.mask_value is None or self.num_bins == 1:
            return bins_of(values, self.num_bins, self.salt)
        mask = self.mask_value
        if values.dtype.kind == "S" and isinstance(mask, str):
            mask = mask.encode()
        indices = bins_of(values, self.num_bins - 1, self.salt) + 1
        return np.where(np.asarray(values == mask, bool), 0, indices)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return encoded_shape(input_shape, self.output_mode, self.num_bins)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "salt": self.salt,
            "mask_value": self.mask_value,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
        }


class HashedCrossing(HostLayer):
    """Combinations of categories to one of `num_bins` bins.

    bin = hash(hash(a), hash(b), …) mod num_bins, with the values of Keras.

    Args:
        num_bins: the number of bins.
        output_mode: "int" or "one_hot".
        sparse: False; JAX arrays are dense.

    In a compiled model, whose arrays are numbers, the program calls the host for it.

    Raises:
        ValueError: fewer than two inputs, or inputs of different shapes, or of more than
            one value in each sample, or numbers that are no integers.

    >>> crossed = HashedCrossing(5)((["A", "B", "A"], [101, 101, 101]))
    >>> crossed.tolist()
    [1, 4, 1]
    """

    def __init__(
        self,
        num_bins: int,
        output_mode: str = "int",
        sparse: bool = False,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        output_mode = choice("HashedCrossing", "output_mode", output_mode, ("int", "one_hot"))
        if output_mode == "int" and dtype is None:
            dtype = "int64"
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.num_bins = integer("HashedCrossing", "num_bins", num_bins)
        self.output_mode = output_mode
        self.sparse = refuse_sparse("HashedCrossing", sparse)

    reads_text = True

    def _check_traceable(self, *args: Any, **kwargs: Any) -> None:
        columns = args[0] if isinstance(args[0], (list, tuple)) else args[:1]
        for column in columns:
            if "int" not in str(column.dtype):
                categories(np.zeros(1, column.dtype), "HashedCrossing")

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            raise errors.invalid(
                "HashedCrossing", "the input", "a list or tuple of at least two", inputs
            )
        dtype = self._dtype_of_codes()
        if any(isinstance(column, jax.core.Tracer) for column in inputs):
            columns = [jnp.asarray(column) for column in inputs]
            shape = self._shape(columns)
            indices = called_on_host(
                self, lambda *parts: self._indices(parts, shape), shape, *columns
            )
            dtype = jax.dtypes.canonicalize_dtype(dtype)
            return encode_traced(indices, self.output_mode, self.num_bins, dtype)
        columns = [categories(column, "HashedCrossing") for column in inputs]
        indices = self._indices(columns, self._shape(columns))
        return encode(indices, self.output_mode, self.num_bins, dtype)

    def _dtype_of_codes(self) -> str:
        return self.dtype if self.output_mode == "int" else self.compute_dtype

    def _shape(self, columns: Sequence[Any]) -> tuple[int, ...]:
        shapes = {column.shape for column in columns}
        shape = columns[0].shape
        if len(shapes) > 1 or len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
            raise errors.invalid(
                "HashedCrossing", "the shape of every input",
                "(), (batch,) or (batch, 1), the same for all", [c.shape for c in columns],
            )  # fmt: skip
        return shape

    def _indices(self, columns: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
        values = [np.asarray(column).ravel().tolist() for column in columns]
        crossed = [self._cross(row) for row in zip(*values, strict=True)]
        return np.array(crossed, dtype=np.int64).reshape(shape)

    def _cross(self, row: tuple[Any, ...]) -> int:
        result = _CROSSING_KEY
        for value in row:
            number = value if isinstance(value, int) else fingerprint64(_as_bytes(value))
            result = concatenated(result, number % 2**64)
        return result % self.num_bins

    def compute_output_shape(self, input_shape: Any) -> Any:
        return encoded_shape(input_shape[0], self.output_mode, self.num_bins)

    def get_config(self) -> dict[str, Any]:
        return {
            "num_bins": self.num_bins,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "name": self.name,
            "dtype": self.dtype,
        }

"""IntegerLookup and StringLookup."""

from typing import Any

import jax.core
import jax.numpy as jnp
import numpy as np

from talweg.core import config as defaults
from talweg.core import errors
from talweg.core.loans import only_shapes
from talweg.layers.host_layer import Unspelled, encode_traced, may_spell_later, strings
from talweg.layers.lookup import IndexLookup
from talweg.ops.keras_tensor import KerasTensor, is_symbolic


class IntegerLookup(IndexLookup):
    """Integers to the indices of a vocabulary.

    Works on the host, and inside compiled models where unknown integers are spread by
    remainder (`oov_method="floormod"`) or there is one index for them.

    Args:
        max_tokens: the largest size of the vocabulary, special tokens included.
        num_oov_indices: how many indices unknown integers share; 0 makes them an error.
        mask_token: the integer that means "nothing here".
        oov_token: what `invert=True` gives for an unknown index.
        vocabulary: integers, or the path of a local file with one per line.
        vocabulary_dtype: "int64".
        idf_weights: for output_mode "tf_idf", one for each integer.
        invert: whether indices are turned into integers.
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf".
        sparse: False; JAX arrays are dense.
        pad_to_max_tokens: whether the output's last axis has `max_tokens` entries.
        oov_method: "floormod" or "farmhash", how unknown integers are spread.
        salt: one or two integers that choose another hash.
        name: the layer's name.

    >>> IntegerLookup(vocabulary=[12, 36])([[12, 7, 36]]).tolist()
    [[1, 0, 2]]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if vocabulary_dtype != "int64":
            raise errors.invalid("IntegerLookup", "vocabulary_dtype", "'int64'", vocabulary_dtype)
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary_dtype, vocabulary,
            idf_weights, invert, output_mode, sparse, pad_to_max_tokens, oov_method, name, salt,
            **kwargs,
        )  # fmt: skip

    def _read(self, value: Any) -> np.ndarray:  # type: ignore[override]
        array = np.asarray(value)
        if array.dtype.kind not in "iu" and array.size:
            raise errors.wrong_type("IntegerLookup", "the input", "integers", array.dtype)
        return array.astype(np.int64)

    def _check_traceable(self, *args: Any, **kwargs: Any) -> None:
        if not self.invert and self.num_oov_indices > 1 and self.oov_method == "farmhash":
            super()._check_traceable(*args, **kwargs)
        # A model that is read from a file is built before the vocabulary is, which is beside it.
        if not self._tokens and self._frozen_vocab_size is None:
            raise self._no_vocabulary("the model is built")

    def call(self, inputs: Any) -> Any:
        if isinstance(inputs, jax.core.Tracer):
            known = self._known_tokens()
            return self._traced_back(known, inputs) if self.invert else self._traced(known, inputs)
        return super().call(inputs)

    def _known_tokens(self) -> np.ndarray:
        if not self._tokens and not only_shapes():
            raise self._no_vocabulary("the model is built")
        tokens = np.asarray(self._tokens or [0], np.int64)
        if np.abs(tokens).max() > np.iinfo(np.int32).max:
            raise errors.invalid(
                f"Layer {self.name!r}", "every token of the vocabulary", "within 32 bits",
                int(np.abs(tokens).max()), "Apply the layer to the data, before fit.",
            )  # fmt: skip
        return tokens

    def _traced_back(self, known_tokens: np.ndarray, indices: Any) -> Any:
        """The tokens of indices inside a compiled program."""
        if not jnp.issubdtype(indices.dtype, jnp.integer):
            raise errors.wrong_type("IntegerLookup", "the input", "indices", indices.dtype)
        table = np.full(self._token_start() + len(known_tokens), self.oov_token, np.int32)
        table[self._token_start() :] = known_tokens
        if self.mask_token is not None:
            table[0] = self.mask_token
        there = (indices >= 0) & (indices < len(table))
        return jnp.where(there, jnp.asarray(table)[jnp.where(there, indices, 0)], self.oov_token)

    def _traced(self, known_tokens: np.ndarray, inputs: Any) -> Any:
        """The lookup inside a compiled program, by binary search in the sorted vocabulary."""
        order = np.argsort(known_tokens)
        tokens = known_tokens[order]
        place = jnp.clip(jnp.searchsorted(tokens.astype(np.int32), inputs), 0, len(tokens) - 1)
        known = jnp.asarray(tokens, "int32")[place] == inputs
        index = jnp.asarray(order + self._token_start(), "int32")[place]
        count = self.num_oov_indices
        # Nothing can be raised here: without a place of its own an unknown integer gets none.
        other = self._oov_start() + inputs % count if count else jnp.full_like(inputs, -1)
        found = jnp.where(known, index, other)
        if self.mask_token is not None:
            masked = 0 if self.output_mode == "int" else -1
            found = jnp.where(inputs == self.mask_token, masked, found)
        found = found.astype("int32")
        depth = self._depth()
        if self.output_mode == "int" or depth is None:
            return found
        if not self._tokens and self.output_mode == "tf_idf":  # of which only the shape is asked
            return encode_traced(found, "count", depth, "float32")
        return self._weighted(encode_traced, found, depth, "int32")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("oov_token", "mask_token"):
            config[name] = None if config[name] is None else int(config[name])
        return config


class StringLookup(IndexLookup):
    """Strings to the indices of a vocabulary, on the host.

    Apply it to the data, or begin a model with `Input((1,), dtype="string")` and the layer. With
    `invert=True` it may be a model's last layer: `predict` then gives text.

    Args:
        max_tokens: the largest size of the vocabulary, special tokens included.
        num_oov_indices: how many indices unknown strings share, by hash; 0 makes them an
            error.
        mask_token: the string that means "nothing here".
        oov_token: what `invert=True` gives for an unknown index.
        vocabulary: strings, or the path of a local file with one per line; a config may
            not name a file.
        idf_weights: for output_mode "tf_idf", one for each string.
        invert: whether indices are turned into strings.
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf".
        pad_to_max_tokens: whether the output's last axis has `max_tokens` entries.
        sparse: False; JAX arrays are dense.
        encoding: of bytes that come as input.
        name: the layer's name.
        salt: one or two integers that choose another hash.

    Raises:
        TypeError: the layer stands where a model has numbers.

    >>> layer = StringLookup()
    >>> layer.adapt(["cat", "dog", "cat"])
    >>> layer(["dog", "cow", "cat"]).tolist()
    [2, 0, 1]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: Any = None,
        **kwargs: Any,
    ):
        self.encoding = encoding
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, "string", vocabulary,
            idf_weights, invert, output_mode, sparse, pad_to_max_tokens, name=name, salt=salt,
            **kwargs,
        )  # fmt: skip

    @property
    def reads_text(self) -> bool:  # type: ignore[override]
        """Whether text is turned into numbers."""
        return not self.invert

    def _check_traceable(self, *args: Any, **kwargs: Any) -> None:
        if not (self.invert and (may_spell_later() or is_symbolic((args, kwargs)))):
            super()._check_traceable(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if not self.invert:
            return super().compute_output_spec(*args, **kwargs)
        return KerasTensor(args[0].shape, "string")

    def call(self, inputs: Any) -> Any:
        if isinstance(inputs, jax.core.Tracer):
            return Unspelled(inputs, self)
        return super().call(inputs)

    def _dtype_of_codes(self) -> str:
        return defaults.floatx() if self.output_mode == "tf_idf" else "int32"

    def _read(self, value: Any) -> np.ndarray:  # type: ignore[override]
        return strings(value, "StringLookup", self.encoding)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "encoding": self.encoding}
        del config["vocabulary_dtype"]
        return config

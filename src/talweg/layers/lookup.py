"""Tokens to indices by a vocabulary that is given or learned."""

import collections
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import config as defaults
from talweg.core import errors
from talweg.layers.arguments import choice, integer
from talweg.layers.hashing import bins_of, salted
from talweg.layers.host_layer import encode, encoded_shape, refuse_sparse
from talweg.layers.token_counts import LearnsTokens
from talweg.layers.vocabularies import from_file, refuse_path

_OLD_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")


class IndexLookup(LearnsTokens):
    """Base of IntegerLookup and StringLookup.

    The vocabulary is [mask token] (output_mode "int" only), the out-of-vocabulary tokens,
    then the tokens; a token's index is its place. Without a mask token there is no first.
    Where output is gathered over a sample, the mask is left out of it.
    """

    _read: Callable[..., np.ndarray]  # input to an array of tokens

    def __init__(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary_dtype: str,
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        name: str | None = None,
        salt: Any = None,
        vocabulary_size: int | None = None,
        has_input_vocabulary: bool | None = None,
        trainable: bool = True,
        dtype: Any = None,
        **kwargs: Any,
    ):
        owner = type(self).__name__
        super().__init__(name=name, **kwargs)
        if max_tokens is not None:
            integer(owner, "max_tokens", max_tokens, 2)
        elif pad_to_max_tokens:
            raise errors.invalid(owner, "max_tokens", "given with pad_to_max_tokens", None)
        self.max_tokens = max_tokens
        self.num_oov_indices = integer(owner, "num_oov_indices", num_oov_indices, 0)
        self.mask_token = mask_token
        self.oov_token = oov_token
        self.vocabulary_dtype = vocabulary_dtype
        self.output_mode = choice(
            owner, "output_mode", _OLD_MODES.get(output_mode, output_mode), _MODES
        )
        self.oov_method = choice(owner, "oov_method", oov_method, ("floormod", "farmhash"))
        if salt is not None and vocabulary_dtype == "int64" and self.oov_method != "farmhash":
            raise errors.invalid(owner, "salt", "None unless oov_method is 'farmhash'", salt)
        self.salt = salted(owner, salt)
        self.invert = invert
        if invert and self.output_mode != "int":
            raise errors.invalid(owner, "output_mode", "'int' with invert=True", output_mode)
        self.sparse = refuse_sparse(owner, sparse)
        self.pad_to_max_tokens = pad_to_max_tokens
        if idf_weights is not None and self.output_mode != "tf_idf":
            raise errors.invalid(
                owner, "idf_weights", "None unless output_mode is 'tf_idf'", idf_weights
            )
        if self.output_mode == "tf_idf" and vocabulary is not None and idf_weights is None:
            raise errors.invalid(owner, "idf_weights", "given with the vocabulary", None)
        self.input_vocabulary = None if isinstance(vocabulary, (str, os.PathLike)) else vocabulary
        self.input_idf_weights = idf_weights
        self._fixed = (
            (vocabulary is not None) if has_input_vocabulary is None else has_input_vocabulary
        )
        self._frozen_vocab_size = vocabulary_size
        self._tokens: list[Any] = []
        self._index: dict[Any, int] = {}
        self._idf: np.ndarray | None = None
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    # -- the vocabulary ------------------------------------------------------------------

    def _oov_start(self) -> int:
        return 1 if self.mask_token is not None and self.output_mode == "int" else 0

    def _token_start(self) -> int:
        return self._oov_start() + self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens in the order of their indices.

        Args:
            include_special_tokens: whether mask and out-of-vocabulary tokens come first.
        """
        if not include_special_tokens:
            return list(self._tokens)
        special = [self.mask_token] * self._oov_start() + [self.oov_token] * self.num_oov_indices
        return special + self._tokens

    def vocabulary_size(self) -> int:
        """How many indices there are, special ones included."""
        return self._token_start() + len(self._tokens)

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take a vocabulary in place of learning one.

        Args:
            vocabulary: tokens, with or without the special ones in front, or the path of
                a local text file with one token per line.
            idf_weights: one for each token, for output_mode "tf_idf".

        Raises:
            ValueError: it is empty, repeats a token, has a special token among the others,
                is too large, or names a file that does not exist.
        """
        owner = type(self).__name__
        if isinstance(vocabulary, (str, os.PathLike)):
            if self.output_mode == "tf_idf":
                raise errors.invalid(owner, "vocabulary", "a list for 'tf_idf'", vocabulary)
            vocabulary = from_file(owner, vocabulary)
            if self.vocabulary_dtype == "int64":
                vocabulary = [int(token) for token in vocabulary]
        if not len(vocabulary):
            raise errors.invalid(owner, "vocabulary", "not empty", vocabulary)
        given = self._read(np.asarray(vocabulary)).ravel().tolist()
        start = self._token_start()
        special = self.get_vocabulary()[:start]
        with_special = start > 0 and given[:start] == special
        tokens = given[start:] if with_special else given
        repeated = [token for token, n in collections.Counter(tokens).items() if n > 1]
        if repeated:
            raise errors.invalid(owner, "vocabulary", "without repeated tokens", repeated)
        reserved = [self.mask_token] + ([self.oov_token] if self.invert else [])
        for token in reserved:
            if token is not None and token in tokens:
                raise errors.invalid(
                    owner, "vocabulary", f"without {token!r}, or with {special} at its start",
                    vocabulary,
                )  # fmt: skip
        self._take(tokens)
        if self.output_mode == "tf_idf" and idf_weights is not None:
            weights = np.asarray(idf_weights, dtype=defaults.floatx())
            if weights.ndim != 1 or len(weights) != len(given):
                raise errors.invalid(
                    owner, "idf_weights", f"{len(given)} numbers, one per token", idf_weights
                )
            self._set_idf(weights, 0 if with_special else start)

    def _set_idf(self, weights: np.ndarray, front: int) -> None:
        """Weights of tokens; special ones get the average, padding gets 0."""
        mean = np.full(front, weights.mean() if front else 0.0)
        weights = np.concatenate([mean, weights])
        if self.pad_to_max_tokens and self.max_tokens is not None:
            weights = np.pad(weights, (0, self.max_tokens - len(weights)))
        self._idf = weights.astype(defaults.floatx())

    def _idf_of_vocabulary(self) -> np.ndarray | None:
        """The weights of the tokens that `get_vocabulary` lists, without padding."""
        return None if self._idf is None else self._idf[: self.vocabulary_size()]

    def _take(self, tokens: list[Any]) -> None:
        size = self._token_start() + len(tokens)
        owner = type(self).__name__
        if self.max_tokens is not None and size > self.max_tokens:
            raise errors.invalid(owner, "vocabulary", f"of {self.max_tokens} tokens at most", size)
        fixed = self.output_mode != "int" and not self.pad_to_max_tokens
        if fixed and self._frozen_vocab_size not in (None, size):
            raise errors.invalid(
                f"{owner} {self.name!r}", "the new vocabulary",
                f"of {self._frozen_vocab_size} tokens, as the output's width is known", size,
            )  # fmt: skip
        self._tokens = tokens
        self._index = {token: i for i, token in enumerate(tokens, self._token_start())}
        self._frozen_vocab_size = size

    # -- the call ------------------------------------------------------------------------

    def _depth(self) -> int | None:
        return self.max_tokens if self.pad_to_max_tokens else self._frozen_vocab_size

    def call(self, inputs: Any) -> Any:
        if self.invert:
            return self._invert(np.asarray(inputs))
        return self.encode_tokens(self._read(inputs))

    def encode_tokens(self, tokens: np.ndarray) -> jax.Array:
        """The output for an array of tokens."""
        indices = self.look_up(tokens)
        if self.output_mode == "int":
            return encode(indices, "int", 0, "int32")
        return self._weighted(encode, indices, self._depth() or 0, "int32")

    def _require_vocabulary(self) -> None:
        if not self._tokens and self._frozen_vocab_size is None:
            raise self._no_vocabulary("the call")

    def _no_vocabulary(self, before: str) -> ValueError:
        return errors.invalid(
            f"Layer {self.name!r}", "the vocabulary", f"known before {before}", None,
            "Call adapt(data), or pass vocabulary=[…].",
        )  # fmt: skip

    def _weighted(self, encoder: Callable[..., Any], indices: Any, depth: int, dtype: Any) -> Any:
        if self.output_mode != "tf_idf":
            return encoder(indices, self.output_mode, depth, dtype)
        if self._idf is None:
            raise errors.invalid(f"Layer {self.name!r}", "idf_weights", "given or learned", None)
        return encoder(indices, "count", depth, self._idf.dtype) * jnp.asarray(self._idf)

    def look_up(self, tokens: np.ndarray) -> np.ndarray:
        """The index of every token; the mask is 0, or -1 where output is gathered.

        Raises:
            ValueError: no vocabulary was given or learned.
        """
        self._require_vocabulary()
        masked = 0 if self.output_mode == "int" else -1
        start, count = self._oov_start(), self.num_oov_indices
        index = self._index if self.mask_token is None else {**self._index, self.mask_token: masked}
        flat = tokens.ravel().tolist()
        found = np.array([index.get(token, -2) for token in flat], dtype=np.int64)
        unknown = np.flatnonzero(found == -2)
        if unknown.size and count == 0:
            raise errors.invalid(
                f"Layer {self.name!r}", "every input", "in the vocabulary", flat[unknown[0]],
                "Use num_oov_indices=1 for a place that takes the others.",
            )  # fmt: skip
        if count == 1:
            found[unknown] = start
        elif unknown.size:
            strange = tokens.ravel()[unknown]
            by_remainder = self.vocabulary_dtype == "int64" and self.oov_method == "floormod"
            bins = strange % count if by_remainder else bins_of(strange, count, self.salt)
            found[unknown] = start + bins
        return found.reshape(tokens.shape)

    def _invert(self, indices: np.ndarray) -> Any:
        self._require_vocabulary()
        if indices.dtype.kind not in "iu":
            raise errors.wrong_type(type(self).__name__, "the input", "indices", indices.dtype)
        known = dict(enumerate(self._tokens, self._token_start()))
        if self.mask_token is not None:
            known[0] = self.mask_token
        values = [known.get(i, self.oov_token) for i in indices.ravel().tolist()]
        kind = object if self.vocabulary_dtype == "string" else np.int64
        result = np.empty(indices.shape, dtype=kind)
        result.ravel()[:] = values
        return result if kind is object else encode(result, "int", 0, "int32")

    def compute_output_shape(self, input_shape: Any) -> Any:
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        return encoded_shape(input_shape, mode, self._depth())

    # -- records and files ---------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "invert": self.invert,
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "oov_token": self.oov_token,
            "mask_token": self.mask_token,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "vocabulary_dtype": self.vocabulary_dtype,
            "idf_weights": listed(self.input_idf_weights),
            "vocabulary": listed(self.input_vocabulary),
            "vocabulary_size": self._frozen_vocab_size,
            "oov_method": self.oov_method,
            "salt": self.salt,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        refuse_path(cls.__name__, config.get("vocabulary"))
        return cls(**config)

    def save_own_variables(self, store: Any) -> None:
        """Keep the weights of "tf_idf" in a file."""
        if self.output_mode == "tf_idf":
            store["idf_weights"] = self._idf

    def load_own_variables(self, store: Any) -> None:
        """Take the weights of "tf_idf" from a file."""
        if self.output_mode == "tf_idf":
            self._idf = np.asarray(store["idf_weights"])

    def save_assets(self, dir_path: str) -> None:
        """Write the vocabulary, unless the config holds it, as vocabulary.txt."""
        if self.input_vocabulary is None:
            text = "\n".join(map(str, self.get_vocabulary()))
            with open(os.path.join(dir_path, "vocabulary.txt"), "w", encoding="utf-8") as file:
                file.write(text)

    def load_assets(self, dir_path: str) -> None:
        """Read the vocabulary from vocabulary.txt."""
        if self.input_vocabulary is not None:
            return
        tokens: list[Any] = from_file(type(self).__name__, os.path.join(dir_path, "vocabulary.txt"))
        if self.vocabulary_dtype == "int64":
            tokens = [int(token) for token in tokens]
        self.set_vocabulary(tokens, None if self._idf is None else self._idf[: len(tokens)])


def listed(value: Any) -> Any:
    """Arrays as lists, for configs."""
    if value is None:
        return None
    return np.asarray(value).tolist() if hasattr(value, "dtype") else list(value)

"""TextVectorization: sentences to indices or to vectors of counts."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.core.serialization import deserialize_keras_object, serialize_keras_object
from talweg.layers.arguments import integer
from talweg.layers.host_layer import HostLayer, strings
from talweg.layers.lookup import listed
from talweg.layers.token_counts import batches_of_tokens
from talweg.layers.token_lookups import StringLookup
from talweg.layers.vocabularies import refuse_path

_PUNCTUATION = re.compile(r"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']""")
_STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
# The spaces that TensorFlow splits at; str.split() would split at more of Unicode's.
_SPACES = re.compile(r"[ \t\n\r\v\f]+")
_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


class TextVectorization(HostLayer):
    """Text to integers: standardize, split, join into n-grams, look up.

    The vocabulary is given, or learned by `adapt`. Index 0 pads, index 1 is any unknown
    token. The layer works on the host: apply it to the data, before `fit`, or begin a model
    with `Input((1,), dtype="string")` and the layer. Such a model is given raw text; without
    `output_sequence_length`, what one call is given is padded to its longest text.

    Args:
        max_tokens: the largest size of the vocabulary, special tokens included.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", a
            function over an array of str, or None. "lower" changes ASCII letters only,
            as Keras does.
        split: "whitespace", "character", a function from an array of str to lists of
            tokens, or None.
        ngrams: n for all n-grams up to n words, or a tuple of the sizes.
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf".
        output_sequence_length: to what rows of indices are cut and padded.
        pad_to_max_tokens: whether vectors have `max_tokens` entries.
        vocabulary: tokens, or the path of a local file; a config may not name a file.
        idf_weights: for "tf_idf", one for each token.
        sparse, ragged: False; JAX arrays are dense.
        encoding: of bytes that come as input.
        name: the layer's name.

    >>> layer = TextVectorization(output_sequence_length=4)
    >>> layer.adapt(["foo bar", "bar baz", "baz bada boom"])
    >>> layer(["Foo, qux: bar!"]).tolist()
    [[4, 1, 3, 0]]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace",
        ngrams: int | tuple[int, ...] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        *,
        vocabulary_size: int | None = None,
        has_input_vocabulary: bool | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        owner = "TextVectorization"
        _choice_or_function("standardize", standardize, _STANDARDIZE)
        _choice_or_function("split", split, ("whitespace", "character"))
        self._standardize, self._split, self._encoding = standardize, split, encoding
        self._ngrams_arg = ngrams
        if ngrams is None or isinstance(ngrams, (tuple, list)):
            self._ngrams = None if ngrams is None else tuple(ngrams)
        else:
            self._ngrams = tuple(range(1, integer(owner, "ngrams", ngrams) + 1))
        for size in self._ngrams or ():
            integer(owner, "each of ngrams", size)
        if output_sequence_length is not None:
            integer(owner, "output_sequence_length", output_sequence_length)
            if output_mode != "int":
                raise errors.invalid(
                    owner, "output_sequence_length", "None unless output_mode is 'int'",
                    output_sequence_length,
                )  # fmt: skip
        self._output_sequence_length = output_sequence_length
        if ragged:
            raise errors.invalid(owner, "ragged", "False", ragged, "JAX arrays are rectangular.")
        self._ragged = False
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            pad_to_max_tokens=pad_to_max_tokens,
            mask_token="",
            output_mode=output_mode,
            sparse=sparse,
            has_input_vocabulary=has_input_vocabulary,
            encoding=encoding,
            vocabulary_size=vocabulary_size,
        )
        self._lookup_layer.built = True  # it is never called, and has nothing to build

    reads_text = True

    def _dtype_of_codes(self) -> str:
        return self._lookup_layer._dtype_of_codes()

    # -- text to tokens --------------------------------------------------------------------

    def _tokens(self, inputs: Any) -> list[Any]:
        """For every text the list of its tokens."""
        text = strings(inputs, "TextVectorization", self._encoding)
        if callable(self._standardize):
            text = strings(self._standardize(text.astype(str)), "TextVectorization")
        elif self._standardize is not None:
            for i, item in enumerate(text.ravel().tolist()):
                text.flat[i] = self._standardized(item)
        if self._split is None:
            return self._grams(np.atleast_2d(text).tolist())
        if text.ndim > 1:
            if text.shape[-1] != 1:
                raise errors.invalid(
                    "TextVectorization", "the input's shape", "(batch,) or (batch, 1)", text.shape
                )
            text = text[..., 0]
        flat = text.ravel().tolist()
        if callable(self._split):
            return self._grams([list(row) for row in self._split(np.array(flat, dtype=str))])
        if self._split == "character":
            return self._grams([list(item) for item in flat])
        return self._grams([[t for t in _SPACES.split(item) if t] for item in flat])

    def _standardized(self, text: str) -> str:
        if "lower" in self._standardize:
            text = text.translate(_UPPER)
        return _PUNCTUATION.sub("", text) if "strip" in self._standardize else text

    def _grams(self, rows: list[list[str]]) -> list[list[str]]:
        if self._ngrams is None:
            return rows
        return [
            [
                " ".join(row[i : i + size])
                for size in self._ngrams
                for i in range(len(row) - size + 1)
            ]
            for row in rows
        ]

    # -- the vocabulary --------------------------------------------------------------------

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn the vocabulary: tokens by falling count, then by falling token.

        Args:
            data: a list or array of texts, or an iterable of batches of them.
            batch_size: accepted as Keras does.
            steps: how many batches to read; all of them where None.
        """
        self.reset_state()
        for i, batch in enumerate(batches_of_tokens(data)):
            if steps is not None and i >= steps:
                break
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch."""
        self._lookup_layer._count(self._tokens(data))

    def finalize_state(self) -> None:
        """Make a vocabulary of what was counted."""
        self._lookup_layer.finalize_state()

    def reset_state(self) -> None:
        """Forget what was counted."""
        self._lookup_layer.reset_state()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The tokens in the order of their indices."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """How many indices there are, special ones included."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take a vocabulary in place of learning one; see `StringLookup.set_vocabulary`."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    # -- the call --------------------------------------------------------------------------

    def call(self, inputs: Any) -> Any:
        shape = np.shape(inputs)
        rows = self._tokens(inputs)
        one = shape == () or (self._split is None and len(shape) == 1)
        width = max(map(len, rows), default=0)
        padded = np.full((len(rows), width), "", dtype=object)
        for i, row in enumerate(rows):
            padded[i, : len(row)] = row
        lookup = self._lookup_layer
        if lookup.output_mode != "int":
            missing = np.arange(width) >= np.array([len(row) for row in rows], int)[:, None]
            output = self._gathered(padded, missing)
        else:
            indices = lookup.look_up(padded)
            size = self._output_sequence_length
            if size is not None:
                indices = np.pad(indices[:, :size], ((0, 0), (0, max(size - width, 0))))
            output = jnp.asarray(indices.astype(np.int32))
        return output[0] if one else output

    def _gathered(self, padded: np.ndarray, missing: np.ndarray) -> jax.Array:
        """Vectors over each row; the padding of short rows counts nowhere."""
        lookup = self._lookup_layer
        if lookup.output_mode == "one_hot" and missing.any():
            raise errors.invalid(
                "TextVectorization", "every text with output_mode='one_hot'",
                "of one number of tokens", [int(n) for n in (~missing).sum(axis=1)],
                "Use 'multi_hot' or 'count'.",
            )  # fmt: skip
        return lookup.encode_tokens(padded)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._lookup_layer.output_mode == "int":
            return (input_shape[0], self._output_sequence_length)
        return self._lookup_layer.compute_output_shape((input_shape[0], None))

    # -- records and files -----------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        lookup = self._lookup_layer
        return {
            **super().get_config(),
            "max_tokens": lookup.max_tokens,
            "standardize": _record(self._standardize),
            "split": _record(self._split),
            "ngrams": self._ngrams_arg,
            "output_mode": lookup.output_mode,
            "output_sequence_length": self._output_sequence_length,
            "pad_to_max_tokens": lookup.pad_to_max_tokens,
            "sparse": lookup.sparse,
            "ragged": self._ragged,
            "vocabulary": listed(lookup.input_vocabulary),
            "idf_weights": listed(lookup.input_idf_weights),
            "encoding": self._encoding,
            "vocabulary_size": self.vocabulary_size(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        refuse_path(cls.__name__, config.get("vocabulary"))
        config = dict(config)
        for name in ("standardize", "split"):
            if not isinstance(config.get(name, ""), str):
                config[name] = deserialize_keras_object(config[name], custom_objects)
        if isinstance(config.get("ngrams"), list):
            config["ngrams"] = tuple(config["ngrams"])
        # An adapted layer's own size, special tokens included; the tokens come as an asset.
        return cls(**config)

    def save_own_variables(self, store: Any) -> None:
        """Keep the weights of "tf_idf" in a file."""
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Any) -> None:
        """Take the weights of "tf_idf" from a file."""
        self._lookup_layer.load_own_variables(store)

    def save_assets(self, dir_path: str) -> None:
        """Write the vocabulary, unless the config holds it, as vocabulary.txt."""
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path: str) -> None:
        """Read the vocabulary from vocabulary.txt."""
        self._lookup_layer.load_assets(dir_path)


def _choice_or_function(name: str, value: Any, options: tuple[str, ...]) -> None:
    if value is not None and not callable(value) and value not in options:
        expected = f"{' or '.join(map(repr, options))}, a function, or None"
        raise errors.invalid("TextVectorization", name, expected, value)


def _record(value: str | Callable[..., Any] | None) -> Any:
    return serialize_keras_object(value) if callable(value) else value

"""The columns of a table, each with the layer that makes numbers of it; for `FeatureSpace`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from talweg.core import errors, names
from talweg.core.serialization import Catalog, deserialize_keras_object, serialize_keras_object
from talweg.layers import (
    CategoryEncoding,
    Discretization,
    HashedCrossing,
    Hashing,
    IntegerLookup,
    Layer,
    Normalization,
    Rescaling,
    StringLookup,
)
from talweg.layers.arguments import choice

_MODULE = "keras.src.layers.preprocessing.feature_space"


class Feature:
    """One column: what type it has, which layer encodes it, and how the result is used.

    Args:
        dtype: "float32", "int32" or "string".
        preprocessor: a layer, or its record.
        output_mode: "float" or "int" for the layer's output as it is, "one_hot".

    >>> Feature("float32", {"module": "keras.layers", "class_name": "Rescaling",
    ...                     "config": {"scale": 0.5, "offset": 0.0}}, "float").preprocessor.scale
    0.5
    """

    recorded_as = (_MODULE, "Feature")

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str):
        self.dtype = dtype
        self.preprocessor: Any = deserialize_keras_object(preprocessor)
        self.output_mode = choice(
            "Feature", "output_mode", output_mode, ("int", "one_hot", "float")
        )

    def cardinality(self, name: str) -> int:
        """How many categories the preprocessor tells apart.

        Raises:
            ValueError: that is not known of this layer.
        """
        layer = self.preprocessor
        if isinstance(layer, (IntegerLookup, StringLookup)):
            return layer.vocabulary_size()
        if isinstance(layer, CategoryEncoding):
            return layer.num_tokens
        if isinstance(layer, Discretization):
            bounds = layer.bin_boundaries
            return layer.num_bins or len(bounds or ()) + 1
        if isinstance(layer, (HashedCrossing, Hashing)):
            return layer.num_bins
        raise errors.invalid(
            f"Feature {name!r}", "output_mode", "'int' or 'float'", self.output_mode,
            f"How many categories {type(layer).__name__} makes is not known.",
        )  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        preprocessor = serialize_keras_object(self.preprocessor)
        preprocessor["build_config"] = build_config(self.preprocessor)
        return {
            "dtype": self.dtype,
            "preprocessor": preprocessor,
            "output_mode": self.output_mode,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Feature":
        """The feature that `get_config` described."""
        return cls(**config)


class Cross:
    """Several columns that count together: each combination is hashed.

    Args:
        feature_names: the columns.
        crossing_dim: how many bins there are.
        output_mode: "one_hot" or "int".

    >>> Cross(("colour", "size"), 8).name
    'colour_X_size'
    """

    recorded_as = (_MODULE, "Cross")

    def __init__(
        self, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ):
        self.feature_names = tuple(feature_names)
        self.crossing_dim = crossing_dim
        self.output_mode = choice("Cross", "output_mode", output_mode, ("int", "one_hot"))

    @property
    def name(self) -> str:
        """The names of the columns with _X_ between them."""
        return "_X_".join(self.feature_names)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            "feature_names": list(self.feature_names),
            "crossing_dim": self.crossing_dim,
            "output_mode": self.output_mode,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Cross":
        """The cross that `get_config` described."""
        return cls(**config)


def build_config(layer: Any) -> dict[str, Any]:
    """What a layer of a column is built for: any number of rows; nothing where it has no say."""
    config = layer.get_build_config()
    if config is None:
        return {"input_shape": [None, 1]}
    shape = config.get("input_shape")
    return {"input_shape": [None, *shape[1:]]} if shape else {}


class Unchanged(Layer):
    """A column of numbers as it is; files know the layer as TFDIdentity."""

    recorded_as = (_MODULE, "TFDIdentity")

    def call(self, inputs: Any) -> Any:
        return inputs


class Joined(Layer):
    """Columns side by side; files know the layer as TFDConcat."""

    recorded_as = (_MODULE, "TFDConcat")

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        return jnp.concatenate(inputs, axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


def _named(kind: str, name: str | None) -> dict[str, str]:
    return {"name": f"{name or names.auto_name(kind)}_preprocessor"}


class Kinds:
    """The kinds of columns: what `FeatureSpace` offers to specify its features with."""

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """A column that a layer of your choice encodes; see `Feature`."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def cross(
        cls, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot"
    ) -> Cross:
        """Columns that count together; see `Cross`."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Numbers as they are."""
        return Feature("float32", Unchanged(dtype="float32", **_named("float", name)), "float")

    @classmethod
    def float_rescaled(
        cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None
    ) -> Feature:
        """`scale` x + `offset`."""
        return Feature("float32", Rescaling(scale, offset, **_named("float_rescaled", name)),
                       "float")  # fmt: skip

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Numbers with mean 0 and variance 1 over the data of `adapt`."""
        return Feature("float32", Normalization(-1, **_named("float_normalized", name)), "float")

    @classmethod
    def float_discretized(
        cls,
        num_bins: int | None,
        bin_boundaries: Any = None,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """The bin of a number; the bins are learned, or given by their boundaries."""
        layer = Discretization(
            num_bins=num_bins, bin_boundaries=bin_boundaries, **_named("float_discretized", name)
        )
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Integers that are names, by a vocabulary that is learned."""
        named = _named("integer_categorical", name)
        layer = IntegerLookup(max_tokens=max_tokens, num_oov_indices=num_oov_indices, **named)
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(
        cls,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:
        """Texts by a vocabulary that is learned."""
        named = _named("string_categorical", name)
        layer = StringLookup(max_tokens=max_tokens, num_oov_indices=num_oov_indices, **named)
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Texts by a hash, without a vocabulary."""
        return Feature("string", Hashing(num_bins, **_named("string_hashed", name)), output_mode)

    @classmethod
    def integer_hashed(
        cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Integers by a hash, without a vocabulary."""
        return Feature("int32", Hashing(num_bins, **_named("integer_hashed", name)), output_mode)


def table_of(data: Any) -> Mapping[str, Any]:
    """Columns by name, from a dict, a table, or batches of them."""
    if isinstance(data, Mapping):
        return data
    if hasattr(data, "columns"):
        return {str(name): data[name] for name in data.columns}
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, np.ndarray)):
        parts = [table_of(batch[0] if isinstance(batch, tuple) else batch) for batch in data]
        if parts:
            return {
                name: np.concatenate([np.atleast_1d(np.asarray(part[name])) for part in parts])
                for name in parts[0]
            }
    raise errors.wrong_type(
        "FeatureSpace", "the data", "a dict of columns, a DataFrame, or batches of them", data
    )


def column_of(table: Mapping[str, Any], name: str, feature: Feature) -> Any:
    """A column as (rows, 1), in the type of its feature."""
    if name not in table:
        raise errors.invalid("FeatureSpace", "the data", f"one with {name!r}", sorted(table))
    values = np.asarray(table[name])
    if feature.dtype.startswith("float"):
        values = values.astype("float32")
    values = values.reshape(1, 1) if values.ndim == 0 else values
    return values[:, None] if values.ndim == 1 else values


TFDIdentity = Unchanged
TFDConcat = Joined
__all__ = ["Cross", "Feature", "TFDConcat", "TFDIdentity"]

_catalog = Catalog("feature", globals(), object, module="keras.layers.preprocessing.feature_space")

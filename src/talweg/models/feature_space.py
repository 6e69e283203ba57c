"""FeatureSpace: a table of numbers and texts as vectors, by one specification."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.core.serialization import Catalog, deserialize_keras_object, serialize_keras_object
from talweg.layers import CategoryEncoding, Discretization, HashedCrossing, Input
from talweg.layers.arguments import choice
from talweg.layers.host_layer import HostLayer, encode
from talweg.models.features import Cross, Feature, Joined, Kinds, build_config, column_of, table_of
from talweg.models.files import save_model
from talweg.ops.keras_tensor import KerasTensor

__all__ = ["FeatureSpace"]

_KINDS = (
    "float", "float_normalized", "float_rescaled", "float_discretized", "integer_categorical",
    "string_categorical", "integer_hashed", "string_hashed",
)  # fmt: skip


class FeatureSpace(Kinds, HostLayer):
    """A table's columns as one vector for each row, or as a dict of encoded columns.

    Give a dict of columns (arrays, lists) or a pandas DataFrame to `adapt`, then call the space
    on such data; columns that it does not name are left out. It works on the host, since text
    does: encode the data before `fit`, or batch by batch in a pipeline.

    Args:
        features: the specification by name of the column: one of the kinds below by name, or
            made by the method of that name, with arguments.
        output_mode: "concat" for one array, columns in the order of the alphabet and crosses
            after them; "dict" for an array each.
        crosses: tuples of names of columns that count together, or what `cross` makes.
        crossing_dim: bins of a cross.
        hashing_dim: bins of hashed columns.
        num_discretization_bins: bins of "float_discretized".
        name: its name.

    Kinds: "float", "float_normalized" (mean 0, variance 1), "float_rescaled",
    "float_discretized", "integer_categorical", "string_categorical" (one-hot by a learned
    vocabulary), "integer_hashed", "string_hashed".

    Raises:
        ValueError: no features, an unknown kind, a cross of columns that are not there.

    >>> space = FeatureSpace({"size": "float_rescaled", "colour": "string_categorical"})
    >>> data = {"size": [1.0, 2.0], "colour": ["red", "blue"]}
    >>> space.adapt(data)
    >>> space(data).shape  # unknown, red and blue, and the size
    (2, 4)
    """

    recorded_as: ClassVar = ("keras.utils", "FeatureSpace")

    def __init__(
        self,
        features: Mapping[str, Any],
        output_mode: str = "concat",
        crosses: Sequence[Any] | None = None,
        crossing_dim: int = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if not features:
            raise errors.invalid("FeatureSpace", "features", "not empty", features)
        self.crossing_dim = crossing_dim
        self.hashing_dim = hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self.output_mode = choice("FeatureSpace", "output_mode", output_mode, ("dict", "concat"))
        self.features = {key: self._feature(key, value) for key, value in features.items()}
        self.crosses = [self._cross(given) for given in crosses or ()]
        self.preprocessors = {key: value.preprocessor for key, value in self.features.items()}
        self.crossers = {
            cross.name: HashedCrossing(cross.crossing_dim, name=cross.name)
            for cross in self.crosses
        }
        self._inputs: dict[str, KerasTensor] = {}
        self._encoded: Any = None
        self._is_adapted = not self._learners()

    def _feature(self, name: str, given: Any) -> Feature:
        if isinstance(given, Mapping):
            given = deserialize_keras_object(given)
        if isinstance(given, Feature):
            return given
        sizes = {
            "float_discretized": (self.num_discretization_bins,),
            "integer_hashed": (self.hashing_dim,),
            "string_hashed": (self.hashing_dim,),
        }
        if given not in _KINDS:
            raise errors.unknown("kind of feature", given, _KINDS)
        return getattr(self, given)(*sizes.get(given, ()), name=name)

    def _cross(self, given: Any) -> Cross:
        if isinstance(given, Mapping):
            given = deserialize_keras_object(given)
        if not isinstance(given, Cross):
            given = Cross(given, self.crossing_dim)
        unknown = [name for name in given.feature_names if name not in self.features]
        if unknown:
            raise errors.unknown("feature in a cross", unknown[0], self.features)
        return given

    # -- learning ------------------------------------------------------------------------

    def _learners(self) -> list[str]:
        """The columns whose layer learns from data."""
        found = []
        for name, layer in self.preprocessors.items():
            given = getattr(layer, "input_mean", None) is not None or getattr(
                layer, "_fixed", False
            )
            if isinstance(layer, Discretization):
                given = layer.num_bins is None
            if hasattr(layer, "adapt") and not given:
                found.append(name)
        return found

    def adapt(self, dataset: Any) -> None:
        """Learn vocabularies, means and bins.

        Args:
            dataset: a dict of columns, a DataFrame, or an iterable of dicts (batches); of
                tuples the first entry counts.

        Raises:
            ValueError: a column is missing.
            TypeError: the data is none of these.
        """
        table = table_of(dataset)
        for name in self._learners():
            self.preprocessors[name].adapt(column_of(table, name, self.features[name]))
        self._is_adapted = True
        self._encoded = None

    def get_inputs(self) -> dict[str, KerasTensor]:
        """A symbolic input for each column."""
        if not self._inputs:
            self._inputs = {
                name: Input((1,), dtype=feature.dtype, name=name)
                for name, feature in self.features.items()
            }
        return self._inputs

    def get_encoded_features(self) -> Any:
        """The encoded table as symbolic tensors: begin a model with it.

        A model that starts there takes what the space returns, one that starts at
        `get_inputs()` the columns themselves, text among them.
        """
        if self._encoded is None:
            self._encoded = self._graph()
        return self._encoded

    def _graph(self) -> Any:
        """The layers of the columns, one after the other, on symbolic inputs."""
        self._check_adapted()
        columns = {name: self.preprocessors[name](x) for name, x in self.get_inputs().items()}
        crossed = {
            cross.name: self.crossers[cross.name]([columns[name] for name in cross.feature_names])
            for cross in self.crosses
        }
        parts = {}
        for group in (columns, crossed):
            for name in sorted(group):
                count = self._categories(name)
                hot = (lambda part: part) if count is None else CategoryEncoding(count)
                parts[name] = hot(group[name])
        if self.output_mode == "dict":
            return parts
        self._check_joinable(parts)
        return Joined()(list(parts.values()))

    # -- the call ------------------------------------------------------------------------

    def call(self, data: Any) -> Any:
        self._check_adapted()
        table = table_of(data)
        single = all(np.ndim(table[name]) == 0 for name in self.features if name in table)
        # On the host to the end: compiling a small program for each step costs more.
        encoded = {
            name: np.asarray(self.preprocessors[name](column_of(table, name, feature)))
            for name, feature in self.features.items()
        }
        crossed = {
            cross.name: np.asarray(
                self.crossers[cross.name]([encoded[name] for name in cross.feature_names])
            )
            for cross in self.crosses
        }
        parts = {name: self._encode(name, encoded[name]) for name in sorted(encoded)}
        parts |= {name: self._encode(name, crossed[name]) for name in sorted(crossed)}
        if single:
            parts = {name: part[0] for name, part in parts.items()}
        if self.output_mode == "dict":
            return {name: jnp.asarray(part) for name, part in parts.items()}
        self._check_joinable(parts)
        return jnp.asarray(np.concatenate(list(parts.values()), axis=-1))

    def _check_adapted(self) -> None:
        if not self._is_adapted:
            raise errors.invalid(
                f"FeatureSpace {self.name!r}", "the space", "adapted", "one that has seen no data",
                "Call adapt(data) first.",
            )  # fmt: skip

    def _check_joinable(self, parts: Mapping[str, Any]) -> None:
        for name, part in parts.items():
            if not jnp.issubdtype(part.dtype, jnp.floating):
                raise errors.invalid(
                    f"Feature {name!r}", "output_mode", "'one_hot' where columns are joined",
                    "int", "Or make the space with output_mode='dict'.",
                )  # fmt: skip

    def _categories(self, name: str) -> int | None:
        """Of how many categories a column or cross is one-hot; None where it is not."""
        spec = self.features.get(name) or next(c for c in self.crosses if c.name == name)
        if spec.output_mode != "one_hot":
            return None
        return spec.crossing_dim if isinstance(spec, Cross) else spec.cardinality(name)

    def _encode(self, name: str, part: np.ndarray) -> np.ndarray:
        count = self._categories(name)
        if count is None:
            return part
        if part.size and not 0 <= part.min() <= part.max() < count:
            raise errors.invalid(f"Feature {name!r}", "every category", f"in 0 … {count - 1}", part)
        return np.asarray(encode(part, "multi_hot", count, "float32"))

    # -- records and files ---------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            "features": serialize_keras_object(self.features),
            "output_mode": self.output_mode,
            "crosses": serialize_keras_object(self.crosses),
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        return cls(**config)

    def get_build_config(self) -> dict[str, Any] | None:
        return {name: build_config(layer) for name, layer in self.preprocessors.items()}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the layers of the columns as they were."""
        for name, built in config.items():
            if built and not self.preprocessors[name].built:
                self.preprocessors[name].build_from_config(built)
        self._is_adapted = True

    def _record(self) -> dict[str, Any]:
        return {**serialize_keras_object(self), "build_config": self.get_build_config()}

    def save(self, filepath: str | os.PathLike[str]) -> None:
        """Write the space as a `.keras` file, which `load_model` reads."""
        save_model(self, filepath)


_catalog = Catalog("feature space", globals(), HostLayer, module="keras.utils")

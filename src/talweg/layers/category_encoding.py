"""Numbers to categories and categories to vectors, inside the model or before it."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from talweg.core import config, errors
from talweg.layers.arguments import choice, integer, number
from talweg.layers.base import Layer
from talweg.layers.host_layer import encode_traced, encoded_shape, refuse_sparse
from talweg.layers.preprocessing import _batches
from talweg.ops.keras_tensor import KerasTensor

_MODES = ("one_hot", "multi_hot", "count")


class CategoryEncoding(Layer):
    """Integer categories as one-hot, multi-hot or count vectors.

    Args:
        num_tokens: the number of categories; inputs are 0 … num_tokens - 1.
        output_mode: "one_hot" for each entry, "multi_hot" (which occur in a sample) or
            "count" (how often).
        sparse: False; JAX arrays are dense.

    Raises:
        ValueError: a category outside the range, where the values are known: Keras on JAX
            gives it a row of zeros.

    >>> CategoryEncoding(num_tokens=4)(np.array([[0, 1], [3, 3]])).tolist()
    [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """

    _allow_non_tensor_positional_args = True

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        mode = "multi_hot" if output_mode == "binary" else output_mode
        self.output_mode = choice("CategoryEncoding", "output_mode", mode, _MODES)
        self.num_tokens = integer("CategoryEncoding", "num_tokens", num_tokens)
        self.sparse = refuse_sparse("CategoryEncoding", sparse)

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        if count_weights is not None and self.output_mode != "count":
            raise errors.invalid(
                "CategoryEncoding", "count_weights", "None unless output_mode is 'count'",
                count_weights,
            )  # fmt: skip
        indices = jnp.asarray(inputs)
        if not isinstance(indices, jax.core.Tracer) and indices.size:
            low, high = int(indices.min()), int(indices.max())
            if low < 0 or high >= self.num_tokens:
                raise errors.invalid(
                    "CategoryEncoding", "every category", f"in 0 … {self.num_tokens - 1}",
                    low if low < 0 else high,
                )  # fmt: skip
        if count_weights is not None:
            count_weights = jnp.asarray(count_weights, self.compute_dtype)
        if jnp.issubdtype(indices.dtype, jnp.floating):
            indices = indices.astype("int32")
        return encode_traced(
            indices, self.output_mode, self.num_tokens, self.compute_dtype, count_weights
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return encoded_shape(input_shape, self.output_mode, self.num_tokens)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tokens": self.num_tokens,
            "output_mode": self.output_mode,
        }


class Discretization(Layer):
    """Numbers to the index of the bin that they fall into.

    Bin i holds boundaries[i - 1] <= x < boundaries[i]; the boundaries are given, or
    learned by `adapt` as quantiles of the data.

    Args:
        bin_boundaries: ascending bounds; n of them make n + 1 bins.
        num_bins: how many bins `adapt` makes.
        epsilon: the tolerance of the quantiles; smaller is more exact.
        output_mode: "int", "one_hot", "multi_hot" or "count".
        sparse: False; JAX arrays are dense.

    Raises:
        ValueError: both or none of the first two are given, or the bounds do not ascend
            (Keras then gives wrong bins).

    >>> Discretization(bin_boundaries=[0.0, 1.0, 2.0])(np.array([[-1.5, 1.0, 5.0]])).tolist()
    [[0, 2, 3]]
    """

    _allow_non_tensor_positional_args = True

    def __init__(
        self,
        bin_boundaries: Any = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, dtype=dtype, **kwargs)
        if (bin_boundaries is None) == (num_bins is None):
            raise errors.invalid(
                "Discretization", "bin_boundaries or num_bins", "given, and not both",
                (bin_boundaries, num_bins),
            )  # fmt: skip
        self.num_bins = (
            None if num_bins is None else integer("Discretization", "num_bins", num_bins)
        )
        self.bin_boundaries = None if bin_boundaries is None else _ascending(bin_boundaries)
        self.epsilon = number("Discretization", "epsilon", epsilon, 1e-9)
        self.output_mode = choice("Discretization", "output_mode", output_mode, ("int", *_MODES))
        self.sparse = refuse_sparse("Discretization", sparse)
        self.reset_state()

    @property
    def input_dtype(self) -> str:  # type: ignore[override]
        """The type that inputs are compared in."""
        return config.floatx()

    @property
    def output_dtype(self) -> str:
        """The type of the output: int32 for indices."""
        return "int32" if self.output_mode == "int" else self.compute_dtype

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the boundaries: quantiles of the data.

        Args:
            data: an array, or an iterable of batches.
            steps: how many batches to read; all of them where None.

        Raises:
            ValueError: the boundaries were given, or the data is empty or not finite.
        """
        if self.num_bins is None:
            raise errors.invalid(
                "Discretization.adapt", "the layer", "made with num_bins", self.bin_boundaries
            )
        self.reset_state()
        for i, batch in enumerate(_batches(data)):
            if steps is not None and i >= steps:
                break
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Add a batch to what the boundaries are learned from."""
        values = np.asarray(data).astype("float32")
        if not np.isfinite(values).all():
            raise errors.invalid(
                "Discretization.adapt", "every entry of the data", "finite", values,
                "Drop or fill NaN and infinity first.",
            )  # fmt: skip
        merged = np.concatenate([_summarized(values, self.epsilon), self.summary], axis=1)
        merged = merged[:, np.argsort(merged[0])]
        self.summary = _compressed(merged, self.epsilon)

    def finalize_state(self) -> None:
        """Make boundaries of what was seen."""
        if self.num_bins is None:
            return
        if self.summary.shape[1] == 0:
            raise errors.invalid("Discretization.adapt", "the data", "not empty", self.summary)
        self.bin_boundaries = _compressed(self.summary, 1.0 / self.num_bins)[0, :-1].tolist()

    def reset_state(self) -> None:
        """Forget the data that was seen."""
        self.summary = np.zeros((2, 0), dtype="float32")

    def call(self, inputs: Any) -> Any:
        if self.bin_boundaries is None:
            raise errors.invalid(
                f"Layer {self.name!r}", "bin_boundaries", "given or learned", None,
                "Call adapt(data) first.",
            )  # fmt: skip
        x = jnp.asarray(inputs)
        if not jnp.issubdtype(x.dtype, jnp.floating):
            x = x.astype(config.floatx())
        bounds = jnp.asarray(self.bin_boundaries, x.dtype)
        indices = jnp.digitize(x, bounds).astype("int32")
        if self.output_mode == "int":
            return indices
        depth = len(self.bin_boundaries) + 1
        return encode_traced(indices, self.output_mode, depth, self.output_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        bounds = self.bin_boundaries
        depth = self.num_bins if bounds is None else len(bounds) + 1
        return encoded_shape(input_shape, self.output_mode, depth)

    def compute_output_spec(self, inputs: Any) -> Any:
        return KerasTensor(self.compute_output_shape(inputs.shape), self.output_dtype)

    def load_own_variables(self, store: Any) -> None:
        """Older files hold the summary of the data; newer ones nothing."""
        if len(store) == 1:
            self.summary = np.asarray(store["0"])

    def get_config(self) -> dict[str, Any]:
        return {
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "name": self.name,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        config = dict(config)
        bounds = config.get("bin_boundaries")
        if bounds is None or config.get("num_bins") is None:
            return cls(**config)
        # An adapted layer has both, which __init__ refuses.
        layer = cls(**{**config, "bin_boundaries": None})
        layer.bin_boundaries = _ascending(bounds)
        return layer


def _ascending(bounds: Any) -> list[float]:
    if not isinstance(bounds, Iterable) or isinstance(bounds, (str, bytes)):
        raise errors.wrong_type("Discretization", "bin_boundaries", "a list of numbers", bounds)
    values = np.asarray(list(bounds), dtype=np.float64)
    if values.ndim != 1 or not (np.diff(values) >= 0).all() or np.isnan(values).any():
        raise errors.invalid("Discretization", "bin_boundaries", "ascending numbers", bounds)
    return bounds if isinstance(bounds, list) else values.tolist()


def _summarized(values: np.ndarray, epsilon: float) -> np.ndarray:
    """Every so-manieth of the sorted values, and how many each stands for."""
    ordered = np.sort(values.ravel())
    step = max(ordered.size / (1.0 / epsilon), 1)
    kept = ordered[int(step - 1) :: int(step)]
    return np.stack([kept, np.full_like(kept, step)])


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """The summary at the quantiles epsilon, 2 epsilon, … 1, by interpolation."""
    if summary.shape[1] * epsilon < 1:
        return summary
    quantiles = epsilon + np.arange(0.0, 1.0, epsilon)
    total = summary[1].cumsum()
    fractions = total / total[-1]
    bounds = np.interp(quantiles, fractions, summary[0])
    weights = np.diff(np.interp(quantiles, fractions, total), prepend=0)
    return np.stack([bounds, weights]).astype("float32")

"""Embedding: a learned vector for each of finitely many indices."""

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from talweg import constraints, initializers, ops, regularizers
from talweg.core import errors
from talweg.layers.arguments import fields, integer, unsupported
from talweg.layers.low_rank import Adaptable, LowRank


class Embedding(LowRank):
    """Row `i` of a table for each index `i`: (…) to (…, output_dim).

    An index outside [0, input_dim) is an error where the indices are known, and a vector
    of NaN inside a compiled step, where nothing can be raised; Keras returns NaN above
    and counts from the end below.

    Args:
        input_dim: the number of rows, the largest index plus 1.
        output_dim: the size of a vector.
        embeddings_initializer: of the table, of shape (input_dim, output_dim); uniform.
        embeddings_regularizer: penalty on the table.
        embeddings_constraint: projection of the table after each update.
        mask_zero: whether index 0 is padding: the output's mask says where it is not.
        weights: the table to start with.
        lora_rank, lora_alpha: a product of this rank learns in place of the table; see `Dense`.
        quantization_config: Keras's; only None is accepted.

    Raises:
        ValueError: a size is not a positive integer; an index is out of range.

    >>> import numpy as np
    >>> Embedding(5, 3)(np.array([[0, 4]])).shape
    (1, 2, 3)
    >>> Embedding(5, 3, name="words")(np.array([[0, 7]]))
    Traceback (most recent call last):
    ValueError: Embedding 'words': every index must be in [0, 5), got 7 in row 0. Raise input_dim.
    """

    embeddings = Adaptable()

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: None = None,
        **kwargs: Any,
    ):
        if kwargs.pop("input_length", None) is not None:
            warnings.warn("Embedding: input_length has no effect; remove it.", stacklevel=2)
        super().__init__(lora_rank=lora_rank, lora_alpha=lora_alpha, **kwargs)
        self.input_dim = integer("Embedding", "input_dim", input_dim)
        self.output_dim = integer("Embedding", "output_dim", output_dim)
        unsupported("Embedding", quantization_config=quantization_config)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = bool(mask_zero)
        self.supports_masking = self.mask_zero
        self.quantization_config = None
        self.autocast = False
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) else [weights])

    def build(self, input_shape: Any = None) -> None:
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        self._enable_lora_if_asked()

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, Tracer):
            inputs = np.asarray(inputs)
            self.check_inputs_host(inputs)
        indices = jnp.asarray(inputs).astype("int32")
        rows = self._through(
            lambda table: table.at[indices].get(mode="clip", wrap_negative_indices=False)
        )
        known = (indices >= 0) & (indices < self.input_dim)
        # What mode="fill" would do, in half the time on a CPU.
        return jnp.where(known[..., None], rows, jnp.nan).astype(self.compute_dtype)

    def check_inputs_host(self, x: np.ndarray) -> None:
        """Refuse indices that are not in the table, before they enter a compiled step.

        Args:
            x: indices, rows along the first axis.

        Raises:
            ValueError: naming the first row with an index out of range, and the index.
        """
        if x.size == 0:
            return
        owner = f"Embedding {self.name!r}"
        fractional = x.dtype.kind == "f" and bool((x != np.trunc(x)).any())
        if x.dtype.kind not in "iufb" or fractional:
            bad = np.flatnonzero(x != np.trunc(x))[0] if fractional else 0
            raise errors.invalid(owner, "every index", "an integer", x.reshape(-1)[bad].item())
        # The extremes first: the search for the culprit is for the failing case only.
        if x.min() < 0 or x.max() >= self.input_dim:
            place = np.argwhere((x < 0) | (x >= self.input_dim))[0]
            index = int(x[tuple(place)])
            row = int(place[0]) if place.size else 0
            remedy = "Raise input_dim." if index > 0 else "Negative indices have no row."
            raise ValueError(
                f"{owner}: every index must be in [0, {self.input_dim}), got {index} in row "
                f"{row}. {remedy}"
            )

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **fields(
                self,
                "input_dim",
                "output_dim",
                "embeddings_initializer",
                "embeddings_regularizer",
                "activity_regularizer",
                "embeddings_constraint",
                "mask_zero",
                "quantization_config",
            ),
        }

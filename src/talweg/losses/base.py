"""What every loss shares: dtype, per-sample values, sample weights, reduction."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from talweg.core import config as settings
from talweg.core import errors
from talweg.core.dtypes import get_policy
from talweg.core.masks import mask_of
from talweg.core.names import auto_name
from talweg.losses.checks import require_finite

Reduction = Literal["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"]
_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def standardize_reduction(reduction: Any) -> Reduction | None:
    """`reduction` if it is one of Keras's.

    Raises:
        ValueError: it is none of them.
    """
    if reduction not in _REDUCTIONS:
        raise errors.invalid(
            "Loss", "reduction", f"one of {', '.join(map(repr, _REDUCTIONS))}", reduction
        )
    return reduction


class Loss:
    """Base of all losses: subclass it and define `call(y_true, y_pred)`.

    Args:
        reduction: "sum_over_batch_size" (or "mean": Σ wᵢ lᵢ / n), "sum" (Σ wᵢ lᵢ),
            "mean_with_sample_weight" (Σ wᵢ lᵢ / Σ wᵢ), "none" or None (wᵢ lᵢ).
        name: its name; snake case of the class, numbered, by default.
        dtype: what it computes in, a name or a policy; `floatx()` by default.

    Raises:
        ValueError: unknown reduction.

    >>> class SquaredError(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return jnp.mean((y_true - y_pred) ** 2, axis=-1)
    >>> float(SquaredError()([[0.0], [2.0]], [[1.0], [1.0]], sample_weight=[1.0, 0.0]))
    0.5
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: Reduction | None = "sum_over_batch_size",
        dtype: Any = None,
    ):
        self.name = name or auto_name(type(self).__name__)
        self.reduction: Reduction | None = standardize_reduction(reduction)
        self._given_dtype = None if dtype is None else get_policy(dtype).compute_dtype

    @property
    def dtype(self) -> str:
        """What the loss computes in."""
        return self._given_dtype or settings.floatx()

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, *, mask: Any = None
    ) -> Array:
        """The reduced loss of a batch.

        Args:
            y_true: targets, (n, …), or a structure of them.
            y_pred: predictions, or the same structure.
            sample_weight: a scalar, one weight per row (n,), or one per value of `call`.
            mask: which values of `call` count; means are taken over those. By default the mask
                that came with `y_pred` from the layers, as from `Embedding(mask_zero=True)`.
        """
        mask = mask_of(y_pred) if mask is None else mask
        y_true = _map_arrays(self.cast_target, y_true)
        y_pred = _map_arrays(lambda x: jnp.asarray(x, self.dtype), y_pred)
        if sample_weight is not None:
            y_true, y_pred = _one_column(y_true, y_pred, sample_weight)
        with jax.named_scope(self.name):
            values = self.call(y_true, y_pred)
            counted = self.counted(y_true, values)
            if counted is not None:
                mask = counted if mask is None else jnp.asarray(mask, bool) & counted
            return reduce_weighted_values(values, sample_weight, mask, self.reduction, self.dtype)

    def call(self, y_true: Any, y_pred: Any) -> Array:
        """The losses of the samples, unreduced: shape (n, …)."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred).")

    def cast_target(self, y_true: Any) -> Array:
        """Targets as `call` takes them: in the dtype of the loss."""
        return jnp.asarray(y_true, self.dtype)

    def counted(self, y_true: Any, values: Array) -> Array | None:
        """Which of `values` enter the mean; None for all."""
        return None

    def check(self, y_true: np.ndarray, output_shape: tuple[int | None, ...]) -> None:
        """Refuse host targets that the loss cannot mean; called once, before training.

        Args:
            y_true: all targets, (rows, …).
            output_shape: of the model's output, the batch None.

        Raises:
            NonFiniteError: a target is NaN or infinite.
            TypeError: the targets are not numbers.
        """
        require_finite(np.asarray(y_true), type(self).__name__)

    @property
    def expects_probabilities(self) -> bool:
        """Whether predictions are read as probabilities, which a linear head does not give."""
        return False

    def get_config(self) -> dict[str, Any]:
        """Keras's keys; dtype only where it was given and is not `floatx()`."""
        config: dict[str, Any] = {"name": self.name, "reduction": self.reduction}
        if self.dtype != settings.floatx():
            config["dtype"] = self.dtype
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Loss":
        """The loss that `get_config` described."""
        return cls(**config)


def _map_arrays(cast: Callable[[Any], Array], structure: Any) -> Any:
    """`cast` on every array of a structure; nested lists of plain numbers are one array."""
    leaves = jax.tree.leaves(structure)
    if isinstance(structure, (list, tuple)) and not any(np.ndim(leaf) for leaf in leaves):
        return cast(structure)
    return jax.tree.map(cast, structure)


def _one_column(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Vectors of n targets and n predictions that come with n weights, as n rows of one."""
    shapes = {getattr(x, "shape", None) for x in (y_true, y_pred)}
    if len(shapes) == 1 and jnp.asarray(sample_weight).shape in shapes and y_pred.ndim == 1:
        return y_true[:, None], y_pred[:, None]
    return y_true, y_pred


def reduce_weighted_values(
    values: Any,
    sample_weight: Any = None,
    mask: Any = None,
    reduction: Reduction | None = "sum_over_batch_size",
    dtype: Any = None,
) -> Array:
    """Weigh per-sample values and reduce them, with Keras's arithmetic.

    Args:
        values: (n, …).
        sample_weight: a scalar, (n,), or a shape that broadcasts to that of `values`.
        mask: booleans like `sample_weight`; a masked value weighs 0, and the means are
            over those that are left.
        reduction: see `Loss`.
        dtype: of the computation; that of `values` by default.

    Raises:
        ValueError: weights of another shape, which Keras may broadcast silently.

    >>> float(reduce_weighted_values(jnp.array([1.0, 3.0]), [1.0, 2.0]))
    3.5
    """
    reduction = standardize_reduction(reduction)
    values = jnp.asarray(values, dtype)
    weight = None if sample_weight is None else jnp.asarray(sample_weight, values.dtype)
    if mask is not None:
        weight = _mask_weights(jnp.asarray(mask, bool), weight, values.dtype, reduction)
    if weight is not None:
        values, weight = _align_weights(values, weight)
        values = values * weight
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values
    total = jnp.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weight is not None:
        return _divide_no_nan(total, jnp.sum(weight))
    return total / max(values.size, 1)


def _mask_weights(
    mask: Array, weight: Array | None, dtype: Any, reduction: Reduction | None
) -> Array:
    masked = mask.astype(dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        # Later divided by the count of all: what is left must weigh all / left.
        masked = masked * _divide_no_nan(jnp.asarray(mask.size, dtype), jnp.sum(masked))
    if weight is None:
        return masked
    masked, weight = _align_weights(masked, weight)
    return masked * weight


def _align_weights(values: Array, weight: Array) -> tuple[Array, Array]:
    """Values and weights of one rank: a weight per row weighs all values of the row."""
    given = weight.shape
    if values.ndim == 0 or weight.ndim == 0:
        return values, weight
    if weight.ndim == values.ndim + 1 and weight.shape[-1] == 1:
        if values.ndim == 1:
            values = values[:, None]
        else:
            weight = weight[..., 0]
    elif values.ndim == 2 and values.shape[-1] == 1 and weight.ndim == 1:
        weight = weight[:, None]
    elif values.ndim == weight.ndim + 1 and values.shape[-1] == 1:
        values = values[..., 0]
    elif weight.ndim < values.ndim and weight.shape == values.shape[: weight.ndim]:
        weight = weight.reshape(weight.shape + (1,) * (values.ndim - weight.ndim))
    fits = weight.ndim == values.ndim and all(
        w in (1, v) for w, v in zip(weight.shape, values.shape, strict=True)
    )
    if not fits and weight.size != 1:
        raise errors.invalid(
            "Loss",
            "sample_weight",
            f"of a shape that fits the losses, {values.shape}",
            given,
            "Give one weight per row, or one per loss.",
        )
    return values, weight


def _divide_no_nan(number: Array, divisor: Array) -> Array:
    zero = divisor == 0
    return jnp.where(zero, 0.0, number / jnp.where(zero, 1.0, divisor))

"""Sums and means over batches, and the mean of any function of labels and predictions.

total <- total + sum_i w_i v_i      count <- count + sum_i w_i      mean = total / count
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.masks import mask_of
from talweg.core.serialization import (
    deserialize_keras_object,
    get_registered_object,
    serialize_keras_object,
)
from talweg.metrics.base import Metric
from talweg.ops import objectives
from talweg.ops.elementwise import divide_no_nan

Array = jax.Array


def weighted(owner: str, values: Array, sample_weight: Any) -> tuple[Array, Array, int]:
    """Values times weights; the weights spread over the axes that both have; the number of
    values under each weight.

    A weight has one entry per sample (n,), per value, or anything that broadcasts to the
    leading axes of the values.
    """
    weights = jnp.asarray(sample_weight, values.dtype)
    if weights.ndim == values.ndim + 1 and weights.shape[-1] == 1:
        weights = weights[..., 0]
    elif values.ndim == weights.ndim + 1 and values.shape[-1] == 1:
        weights = weights[..., None]
    shared = values.shape[: weights.ndim]
    try:
        spread = jnp.broadcast_to(weights, shared)
    except ValueError:
        raise errors.invalid(
            owner,
            "sample_weight",
            f"of shape {shared}, or one that broadcasts to it",
            weights.shape,
            f"The values have shape {values.shape}: one weight per sample, or per value.",
        ) from None
    trailing = values.shape[weights.ndim :]
    spread_out = spread.reshape(shared + (1,) * len(trailing))
    return values * spread_out, spread, math.prod(trailing)


def _values_per_sample(shape: tuple[int, ...]) -> int:
    return math.prod(shape[1:]) or 1


class Sum(Metric):
    """The (weighted) sum of all values.

    Args:
        name: its name in logs.
        dtype: the type of the sum, `floatx()` where none is given.

    >>> float(Sum()([1.0, 3.0, 5.0, 7.0], sample_weight=[1, 1, 0, 0]))
    4.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = jnp.asarray(values, self.dtype)
        if sample_weight is not None:
            values, _, _ = weighted(self.name, values, sample_weight)
        self.total.assign_add(jnp.sum(values))

    def result(self) -> Array:
        return self.total.value


class Mean(Metric):
    """The (weighted) mean of all values.

    Every sample counts once, whatever the number of values it has; one without a batch
    axis counts as one sample. Before the first update the mean is 0.

    Args:
        name: its name in logs.
        dtype: the type of the mean, `floatx()` where none is given.

    >>> float(Mean()([1.0, 3.0, 5.0, 7.0], sample_weight=[1, 1, 0, 0]))
    2.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", self.dtype, name="total")
        self.count = self.add_variable((), "zeros", self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = jnp.asarray(values, self.dtype)
        if sample_weight is None:
            # The count is known before the program runs: one reduction is all there is.
            self.total.assign_add(jnp.sum(values) / _values_per_sample(values.shape))
            self.count.assign_add(values.shape[0] if values.ndim else 1)
            return
        values, weights, trailing = weighted(self.name, values, sample_weight)
        inner = _values_per_sample(weights.shape)
        self.total.assign_add(jnp.sum(values) / (inner * (trailing or 1)))
        self.count.assign_add(jnp.sum(weights) / inner)

    def result(self) -> Array:
        return divide_no_nan(self.total.value, self.count.value)


class MeanMetricWrapper(Mean):
    """The mean of a function of labels and predictions.

    A mask that came with the predictions from the layers weighs with 0 and 1; so it does in the
    means of functions, and in no other metric, as in Keras.

    Args:
        fn: `fn(y_true, y_pred, **kwargs)` to a value per sample, or several.
        name: its name in logs.
        dtype: the type of the mean, `floatx()` where none is given.
        **kwargs: passed on to `fn`.

    >>> def distance(y_true, y_pred):
    ...     return jnp.abs(y_true - y_pred)
    >>> float(MeanMetricWrapper(distance)(jnp.zeros(2), jnp.array([1.0, 2.0])))
    1.5
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, dtype=dtype)
        if not callable(fn):
            raise errors.wrong_type(type(self).__name__, "fn", "a function", fn)
        self._fn = fn
        self._fn_kwargs = kwargs
        if self._direction is None and vars(objectives).get(getattr(fn, "__name__", "")) is fn:
            self._direction = "down"

    def update_state(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        super().update_state(values, _masked(sample_weight, mask_of(y_pred)))

    def get_config(self) -> dict[str, Any]:
        options = {key: serialize_keras_object(v) for key, v in self._fn_kwargs.items()}
        return {**super().get_config(), "fn": _function_record(self._fn), **options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        fn = {"fn": function_of(config.pop("fn"))} if "fn" in config else {}
        return cls(**fn, **deserialize_keras_object(config))


class NamedMean(MeanMetricWrapper):
    """A mean whose class stands for its function: the config holds only the options."""

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, **self._fn_kwargs}


def _masked(weight: Any, mask: Any) -> Any:
    """The weights of (rows, steps), zero where the mask is; `weight` where there is none."""
    if mask is None:
        return weight
    counted = jnp.asarray(mask, jnp.float32)
    if weight is None:
        return counted
    weight = jnp.asarray(weight, jnp.float32)
    if weight.ndim > counted.ndim and weight.shape[-1] == 1:
        weight = weight[..., 0]
    return counted * weight.reshape(weight.shape + (1,) * (counted.ndim - weight.ndim))


def _function_record(fn: Callable[..., Any]) -> Any:
    record = serialize_keras_object(fn)
    if not isinstance(record, str):
        return record
    return {
        "module": "builtins",
        "class_name": "function",
        "config": record,
        "registered_name": "function",
    }


def function_of(record: Any) -> Any:
    """The function of a record: a registered one, or one that this package exports."""
    if not isinstance(record, Mapping) or record.get("class_name") != "function":
        return deserialize_keras_object(record)
    name = str(record["config"])
    found = get_registered_object(name)
    if found is None:
        # The package is complete by the time a config is read.
        from talweg.metrics import _catalog

        known = _catalog.functions()
        if name not in known:
            raise errors.unknown("metric function", name, known)
        found = known[name]
    return found

"""Labels, ranks and segments: one-hot codes, cross-entropies, top k, sums by group."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax, nn

from talweg.core import errors
from talweg.core.config import floatx
from talweg.ops import objectives
from talweg.ops.keras_tensor import Tensor, op


@op
def one_hot(
    x: Tensor, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """1 at the place of the label along a new `axis`, 0 elsewhere (also for no class).

    >>> one_hot([1, 0], 2).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return nn.one_hot(jnp.asarray(x), num_classes, axis=axis, dtype=dtype or floatx())


@op
def multi_hot(
    inputs: Tensor,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
) -> Any:
    """1 at the places of all the labels of a row, 0 elsewhere.

    >>> multi_hot([[0, 2]], 3).tolist()
    [[1.0, 0.0, 1.0]]
    """
    if num_classes is None:
        raise errors.invalid("multi_hot", "num_classes", "given", num_classes)
    labels = jnp.asarray(inputs).astype("int32")
    return one_hot(labels, num_classes, axis, dtype).max(axis=1 if labels.ndim > 1 else 0)


def _same_shape(target: Any, output: Any, owner: str) -> None:
    if target.shape != output.shape:
        raise errors.invalid(owner, "target", f"of the output's shape {output.shape}", target.shape)


@op
def binary_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False) -> Any:
    """-t ln p - (1 - t) ln(1 - p), entry by entry; p = sigmoid(output) with `from_logits`.

    >>> round(float(binary_crossentropy([1.0], [0.5])[0]), 4)
    0.6931
    """
    target, output = jnp.asarray(target), jnp.asarray(output)
    _same_shape(target, output, "binary_crossentropy")
    return objectives.binary_terms(target.astype(output.dtype), output, from_logits)


@op
def categorical_crossentropy(
    target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1
) -> Any:
    """-Σ t ln p along `axis`; p = softmax(output) with `from_logits`.

    >>> round(float(categorical_crossentropy([0.0, 1.0], [0.5, 0.5])), 4)
    0.6931
    """
    target, output = jnp.asarray(target), jnp.asarray(output)
    _same_shape(target, output, "categorical_crossentropy")
    return objectives.categorical_crossentropy(target, output, from_logits, axis=axis)


@op
def sparse_categorical_crossentropy(
    target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1
) -> Any:
    """-ln p of the label along `axis`; p = softmax(output) with `from_logits`.

    A label that is no class gives NaN (in Keras 0, silently).

    >>> round(float(sparse_categorical_crossentropy([1], [[0.5, 0.5]])[0]), 4)
    0.6931
    """
    target, output = jnp.asarray(target), jnp.asarray(output)
    return objectives.sparse_categorical_crossentropy(target, output, from_logits, axis=axis)


@op
def top_k(x: Tensor, k: int, sorted: bool = True) -> Any:
    """The k largest entries along the last axis, descending, and their indices.

    >>> [part.tolist() for part in top_k([1, 3, 2], 2)]
    [[3, 2], [1, 2]]
    """
    return tuple(lax.top_k(jnp.asarray(x), k))


@op
def in_top_k(targets: Tensor, predictions: Tensor, k: int) -> Any:
    """Whether fewer than k predictions of the row are above the target's."""
    own = jnp.take_along_axis(predictions, jnp.asarray(targets)[..., None], axis=-1)
    own = jnp.where(jnp.isnan(own), -jnp.inf, own)
    return jnp.sum(predictions > own, axis=-1) < k


def _by_segment(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    def call(
        data: Tensor,
        segment_ids: Tensor,
        num_segments: int | None = None,
        sorted: bool = False,
    ) -> Any:
        if num_segments is None:
            raise errors.invalid(function.__name__, "num_segments", "given", num_segments)
        return function(data, segment_ids, num_segments, indices_are_sorted=sorted)

    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__ = f"The {what} of the entries of each of `num_segments` segments."
    return op(call)


segment_max = _by_segment(jax.ops.segment_max, "largest")
segment_min = _by_segment(jax.ops.segment_min, "smallest")
segment_prod = _by_segment(jax.ops.segment_prod, "product")
segment_sum = _by_segment(jax.ops.segment_sum, "sum")

"""`tf.nn`: activations, and losses from logits."""

# ruff: noqa: F401 (names are imported to be exported)

from typing import Any

import jax.numpy as jnp

from talweg import ops
from talweg.activations import (
    elu,
    gelu,
    log_softmax,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    swish,
    tanh,
)
from talweg.compat.tensorflow.math import (
    in_top_k,
    l2_normalize,
    top_k,
)
from talweg.ops import (
    moments,
)

_FORMATS = {"NHWC": "channels_last", "NCHW": "channels_first"}


def depth_to_space(input: Any, block_size: int, data_format: str = "NHWC", name: Any = None) -> Any:
    """The channels of each pixel spread over a block of `block_size` x `block_size` pixels.

    >>> depth_to_space([[[[1, 2, 3, 4]]]], 2).tolist()
    [[[[1], [2]], [[3], [4]]]]
    """
    return ops.depth_to_space(input, block_size, _FORMATS[data_format])


def space_to_depth(input: Any, block_size: int, data_format: str = "NHWC", name: Any = None) -> Any:
    """The blocks of `block_size` x `block_size` pixels, each made one pixel of all their channels.

    >>> space_to_depth([[[[1], [2]], [[3], [4]]]], 2).tolist()
    [[[[1, 2, 3, 4]]]]
    """
    return ops.space_to_depth(input, block_size, _FORMATS[data_format])


def leaky_relu(features: Any, alpha: float = 0.2, name: Any = None) -> Any:
    """x where positive, `alpha` x elsewhere."""
    return ops.leaky_relu(features, alpha)


def l2_loss(t: Any, name: Any = None) -> Any:
    """Half the sum of squares.

    >>> float(l2_loss([3.0, 4.0]))
    12.5
    """
    return ops.sum(ops.square(t)) / 2


def bias_add(value: Any, bias: Any, data_format: Any = None, name: Any = None) -> Any:
    """A bias added along the last axis."""
    return ops.add(value, bias)


def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: Any = None) -> Any:
    """The rows of `params` at `ids`."""
    return ops.take(params, ids, 0)


def sigmoid_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, name: Any = None
) -> Any:
    """Binary cross-entropy of each entry, from logits.

    >>> round(float(sigmoid_cross_entropy_with_logits(1.0, 0.0)), 4)
    0.6931
    """
    labels, logits = jnp.asarray(labels), jnp.asarray(logits)
    return jnp.maximum(logits, 0) - logits * labels + jnp.log1p(jnp.exp(-jnp.abs(logits)))


def softmax_cross_entropy_with_logits(
    labels: Any, logits: Any, axis: int = -1, name: Any = None
) -> Any:
    """Cross-entropy of each row of class probabilities, from logits."""
    return -ops.sum(ops.multiply(labels, ops.log_softmax(logits, axis)), axis=axis)


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: Any = None) -> Any:
    """Cross-entropy of each class number, from logits."""
    scores = ops.log_softmax(logits)
    return -jnp.take_along_axis(scores, jnp.asarray(labels)[..., None], axis=-1)[..., 0]

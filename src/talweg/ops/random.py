"""Draws of random numbers inside or outside a compiled step: `talweg.random`.

The same seed gives the bits that Keras gives on JAX. A seed is an integer (the same draws
at each call), a `SeedGenerator` (new ones at each call, its state counting on), a key
of `jax.random`, or None (the next of the global sequence).
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.dtypes import standardize_dtype
from talweg.core.random import SeedGenerator, key_of
from talweg.ops.keras_tensor import Tensor, op

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]

Shape = Sequence[int]


def _key(seed: Any) -> Any:
    return seed if isinstance(seed, jax.Array) else key_of(seed)


def normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Normal draws.

    >>> normal((2, 3), seed=1).shape
    (2, 3)
    """
    draws = jax.random.normal(_key(seed), tuple(shape), standardize_dtype(dtype))
    return draws * stddev + mean


def uniform(
    shape: Shape, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Uniform draws from [minval, maxval)."""
    return jax.random.uniform(_key(seed), tuple(shape), standardize_dtype(dtype), minval, maxval)


def randint(shape: Shape, minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None) -> Any:
    """Uniform integers from [minval, maxval).

    Raises:
        ValueError: `dtype` is no type of integers.
    """
    dtype = standardize_dtype(dtype)
    if "int" not in dtype:
        raise errors.invalid("randint", "dtype", "a type of integers", dtype)
    return jax.random.randint(_key(seed), tuple(shape), minval, maxval, dtype)


def truncated_normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Normal draws within two standard deviations of the mean."""
    dtype = standardize_dtype(dtype)
    draws = jax.random.truncated_normal(_key(seed), -2.0, 2.0, tuple(shape), dtype)
    return draws * stddev + mean


@op
def categorical(logits: Tensor, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """`num_samples` classes per row of logits (batch, classes).

    Raises:
        ValueError: the logits are no matrix.

    >>> categorical([[0.0, -1e9]], 3, seed=1).tolist()
    [[0, 0, 0]]
    """
    logits = jnp.asarray(logits)
    if logits.ndim != 2:
        raise errors.invalid(
            "categorical", "logits", "of shape (batch, classes)", f"shape {logits.shape}"
        )
    shape = (logits.shape[0], num_samples)
    draws = jax.random.categorical(_key(seed), logits[..., None], axis=1, shape=shape)
    return draws.astype(standardize_dtype(dtype))


@op
def shuffle(x: Tensor, axis: int = 0, seed: Any = None) -> Any:
    """x with its entries permuted along `axis`, each column on its own, as in Keras."""
    return jax.random.permutation(_key(seed), x, axis, independent=True)


@op
def dropout(
    inputs: Tensor, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Any = None
) -> Any:
    """Entries set to 0 with probability `rate`, the others divided by 1 - rate.

    Args:
        noise_shape: the shape of the decisions, where entries share them; None takes the
            size of the input.

    >>> dropout(jnp.ones(4), 0.0).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    if rate == 1.0:
        return jnp.zeros_like(inputs)
    if rate == 0.0:
        return inputs
    sizes = noise_shape or inputs.shape
    shape = [own if size is None else size for size, own in zip(sizes, inputs.shape, strict=True)]
    kept = jax.random.bernoulli(_key(seed), 1.0 - rate, tuple(shape))
    return jnp.where(kept, inputs / (1.0 - rate), jnp.zeros_like(inputs))


@op
def gamma(shape: Any, alpha: Tensor, dtype: Any = None, seed: Any = None) -> Any:
    """Draws of the gamma distribution of shape parameter `alpha` and scale 1."""
    return jax.random.gamma(_key(seed), alpha, tuple(shape), standardize_dtype(dtype))


@op
def beta(shape: Any, alpha: Tensor, beta: Tensor, dtype: Any = None, seed: Any = None) -> Any:
    """Draws of the beta distribution."""
    alpha, beta = jnp.asarray(alpha), jnp.asarray(beta)
    return jax.random.beta(_key(seed), alpha, beta, tuple(shape), standardize_dtype(dtype))


@op
def binomial(
    shape: Any, counts: Tensor, probabilities: Tensor, dtype: Any = None, seed: Any = None
) -> Any:
    """How many of `counts` trials succeed, each with its probability."""
    counts, probabilities = jnp.asarray(counts), jnp.asarray(probabilities)
    dtype = standardize_dtype(dtype)
    return jax.random.binomial(_key(seed), counts, probabilities, tuple(shape), dtype)

"""`tf.random`: the seed, and draws outside of compiled steps."""

import random as _python
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg import ops
from talweg.compat.tensorflow._draws import outside_of_steps
from talweg.core.random import set_random_seed
from talweg.ops import random as draws


def set_seed(seed: int) -> None:
    """Make talweg's draws repeat: weights, shuffles, dropout.

    As in TensorFlow, the generators of Python and NumPy are left as they are.
    """
    python, numpy = _python.getstate(), np.random.get_state()
    set_random_seed(seed)
    _python.setstate(python)
    np.random.set_state(numpy)


def normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32", seed: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Normal draws.

    Raises:
        RuntimeError: inside a layer, where every step would repeat the same draws.
    """
    outside_of_steps("random.normal")
    return draws.normal(tuple(shape), mean, stddev, dtype, seed)


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32", seed: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Normal draws within two standard deviations."""
    outside_of_steps("random.truncated_normal")
    return draws.truncated_normal(tuple(shape), mean, stddev, dtype, seed)


def uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", seed: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Uniform draws from [minval, maxval): floats, or integers where `dtype` says so.

    >>> uniform((3,), maxval=5, dtype="int32").shape
    (3,)
    """
    outside_of_steps("random.uniform")
    if jnp.issubdtype(jnp.dtype(dtype), jnp.integer):
        return draws.randint(tuple(shape), minval, maxval, dtype, seed)
    return draws.uniform(tuple(shape), minval, 1.0 if maxval is None else maxval, dtype, seed)


def gamma(
    shape: Any, alpha: Any, beta: Any = None, dtype: Any = "float32", seed: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Draws of gamma distributions: `shape` of them for each entry of `alpha` (and `beta`).

    >>> gamma([2], alpha=[0.5, 3.0, 9.0]).shape
    (2, 3)
    """
    outside_of_steps("random.gamma")
    rate = jnp.asarray(1.0 if beta is None else beta, dtype)
    alpha = jnp.asarray(alpha, dtype)
    shape = (*np.ravel(shape).tolist(), *jnp.broadcast_shapes(alpha.shape, rate.shape))
    return draws.gamma(shape, alpha, dtype, seed) / rate


def shuffle(value: Any, seed: Any = None, name: Any = None) -> Any:
    """The rows in another order, each row whole."""
    outside_of_steps("random.shuffle")
    order = draws.shuffle(jnp.arange(jnp.asarray(value).shape[0]), seed=seed)
    return jax.tree.map(lambda rows: ops.take(rows, order, 0), value)


def categorical(
    logits: Any, num_samples: int, dtype: Any = None, seed: Any = None, name: Any = None
) -> Any:
    """`num_samples` classes per row of logits."""
    outside_of_steps("random.categorical")
    return draws.categorical(logits, num_samples, dtype or "int32", seed)


__all__ = ["categorical", "gamma", "normal", "set_seed", "shuffle", "truncated_normal", "uniform"]

"""Functions of functions: branches, loops, maps, derivatives."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from talweg.core.variables import Variable
from talweg.ops.keras_tensor import applied, is_symbolic


def _symbolic_aware(function: Callable[..., Any]) -> Callable[..., Any]:
    """For functions of functions: variables become arrays, KerasTensors are traced."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if is_symbolic(args, kwargs):
            return applied(call, args, kwargs)
        args, kwargs = jax.tree.map(
            lambda leaf: leaf.value if isinstance(leaf, Variable) else leaf, (args, kwargs)
        )
        return function(*args, **kwargs)

    return call


@_symbolic_aware
def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """`true_fn()` where `pred` holds, else `false_fn()`; both are traced.

    >>> float(cond(True, lambda: 1.0, lambda: 2.0))
    1.0
    """
    return lax.cond(pred, true_fn, false_fn)


@_symbolic_aware
def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`, the index clipped to the branches."""
    return lax.switch(index, branches, *operands)


@_symbolic_aware
def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """The carry after `carry, y = f(carry, x)` over the leading axis, and the stacked ys.

    >>> total, sums = scan(lambda c, x: (c + x, c + x), jnp.zeros(()), jnp.arange(4.0))
    >>> float(total), sums.tolist()
    (6.0, [0.0, 1.0, 3.0, 6.0])
    """
    return lax.scan(f, init, xs, length, reverse, unroll)


@_symbolic_aware
def associative_scan(
    f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """Running results of the associative `f` along `axis`, in logarithmic depth.

    >>> associative_scan(lambda a, b: a + b, jnp.arange(4)).tolist()
    [0, 1, 3, 6]
    """
    return lax.associative_scan(f, elems, reverse, axis)


@_symbolic_aware
def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """`loop_vars = body(*loop_vars)` while `cond(*loop_vars)`, and at most so many times.

    >>> int(while_loop(lambda i: i < 5, lambda i: i + 2, jnp.int32(0)))
    6
    """
    several = isinstance(loop_vars, (tuple, list))
    start = tuple(loop_vars) if several else (loop_vars,)

    def going(state: tuple[Any, tuple[Any, ...]]) -> Any:
        more = cond(*state[1])
        return more if maximum_iterations is None else more & (state[0] < maximum_iterations)

    def step(state: tuple[Any, tuple[Any, ...]]) -> tuple[Any, tuple[Any, ...]]:
        new = body(*state[1])
        return state[0] + 1, tuple(new) if isinstance(new, (tuple, list)) else (new,)

    _, end = lax.while_loop(going, step, (jnp.int32(0), start))
    return type(loop_vars)(end) if several else end[0]


@_symbolic_aware
def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """`value = body_fun(i, value)` for i from `lower` to `upper` (not included)."""
    return lax.fori_loop(lower, upper, body_fun, init_val)


@_symbolic_aware
def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """`f` of each slice along the leading axis, one after the other, stacked."""
    return lax.map(f, xs)


@_symbolic_aware
def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """`function` of each slice along the leading axis, all at once, stacked.

    >>> vectorized_map(lambda x: x.sum(), jnp.ones((2, 3))).tolist()
    [3.0, 3.0]
    """
    return jax.vmap(function)(elements)


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: `f` returns its value and a function from the value's gradient to its own.

    >>> @custom_gradient
    ... def doubled(x):
    ...     return x, lambda upstream: upstream * 2.0
    >>> float(jax.grad(doubled)(3.0))
    2.0
    """
    wrapped = jax.custom_gradient(f)

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        arrays = [leaf.value if isinstance(leaf, Variable) else leaf for leaf in args]
        return wrapped(*arrays, **kwargs)

    return call


def jvp(fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """The value of `fun` at `primals` and its derivative along `tangents`.

    >>> value, slope = jvp(lambda x: x * x, (3.0,), (1.0,))
    >>> float(value), float(slope)
    (9.0, 6.0)
    """
    return jax.jvp(fun, tuple(primals), tuple(tangents), has_aux=has_aux)

"""The search for a step along a line that lowers the loss enough and flattens it.

    decrease   f(a) <= f(0) + c1 a f'(0)
    curvature  |f'(a)| <= c2 |f'(0)|

First the step doubles until an interval with such a point is found, then the interval is
narrowed by cubic or quadratic interpolation or halves. Nocedal & Wright, Numerical
Optimization, algorithms 3.5 and 3.6. Where the loss is too flat for its rounding, the
decrease is judged by the slope (Hager & Zhang, ACM TOMS 32, 2006): f'(a) <= (2 c1 - 1)
f'(0) while f(a) <= f(0) + 1e-6 |f(0)|.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

DECREASE, CURVATURE, FLATNESS, NARROWEST = 1e-4, 0.9, 1e-6, 1e-5


class Point(NamedTuple):
    """A step, and the loss and its slope there."""

    step: Any
    value: Any
    slope: Any


class Search(NamedTuple):
    """The state of the search.

    Attributes:
        count: how many steps were tried.
        last: the last of them.
        low: the end of the interval with the lower loss.
        high: its other end.
        third: a third point for the cubic.
        safe: the best point of sufficient decrease; the start where there is none.
        bracketed: whether an interval was found.
        done: whether `last` is what was sought.
        failed: whether the search gave up.
    """

    count: Any
    last: Point
    low: Point
    high: Point
    third: Point
    safe: Point
    bracketed: Any
    done: Any
    failed: Any


def strong_wolfe(
    along: Callable[[jax.Array], tuple[jax.Array, jax.Array]],
    value: jax.Array,
    slope: jax.Array,
    max_steps: int,
) -> jax.Array:
    """A step that meets both conditions, or the best that lowers the loss; else 0.

    Args:
        along: the loss and its slope at a step; evaluated once a trial.
        value: the loss at step 0.
        slope: its slope at step 0, negative.
        max_steps: how many steps are tried.
    """
    zero = jnp.zeros_like(value)
    start = Point(zero, value, slope)
    no = jnp.bool_(False)
    search = Search(jnp.int32(0), start, start, start, start, start, no, no, no)

    def try_one(search: Search) -> Search:
        first = search.count == 0
        further = jnp.where(first, 1, 2 * search.last.step)
        step = jnp.where(search.bracketed, _between(search), further).astype(value.dtype)
        new = Point(step, *along(step))
        short, steep = _errors(new, start)
        met = (short <= 0) & (steep <= 0)
        search = search._replace(done=met)
        found, narrowed = _bracket(search, new, short > 0), _narrowed(search, new, short > 0)
        search = _where(search.bracketed, narrowed, found)
        out_of_steps = search.count + 1 >= max_steps
        narrow = jnp.abs(search.high.step - search.low.step) <= NARROWEST
        stuck = search.bracketed & narrow & (search.safe.step > 0)
        return search._replace(
            count=search.count + 1, last=new, failed=(out_of_steps | stuck) & ~met
        )

    search = jax.lax.while_loop(lambda s: ~(s.done | s.failed), try_one, search)
    return jnp.where(search.done, search.last.step, search.safe.step)


def _errors(new: Point, start: Point) -> tuple[jax.Array, jax.Array]:
    """By how much each condition is missed; not a number counts as infinitely."""
    short = new.value - start.value - DECREASE * new.step * start.slope
    flat = jnp.maximum(
        new.slope - (2 * DECREASE - 1) * start.slope,
        new.value - start.value - FLATNESS * jnp.abs(start.value),
    )
    short = jnp.minimum(short, flat)
    steep = jnp.abs(new.slope) - CURVATURE * jnp.abs(start.slope)
    return (
        jnp.where(jnp.isnan(short), jnp.inf, short),
        jnp.where(jnp.isnan(steep), jnp.inf, steep),
    )


def _bracket(search: Search, new: Point, short: jax.Array) -> Search:
    """Between this step and the last one, if it went too far; else further."""
    last = search.last
    too_far = short | ((new.value >= last.value) & (search.count > 0))
    uphill = (new.slope >= 0) & ~too_far
    low, high = _where(uphill, new, last), _where(uphill, last, new)
    return search._replace(
        low=low, high=high, third=low,
        safe=_where(short, search.safe, new),
        bracketed=too_far | uphill,
    )  # fmt: skip


def _narrowed(search: Search, new: Point, short: jax.Array) -> Search:
    """The part of the interval that keeps a point with both conditions."""
    low, high = search.low, search.high
    replaces_high = short | (new.value >= low.value)
    turns = (new.slope * (high.step - low.step) >= 0) & ~replaces_high
    return search._replace(
        low=_where(replaces_high, low, new),
        high=_where(replaces_high, new, _where(turns, low, high)),
        third=_where(replaces_high | turns, high, low),
        safe=_where(~short & (new.value < search.safe.value), new, search.safe),
    )


def _between(search: Search) -> jax.Array:
    """A step inside the interval: the minimum of a cubic, of a parabola, or the middle."""
    low, high, third = search.low, search.high, search.third
    width = jnp.abs(high.step - low.step)
    left = jnp.minimum(high.step, low.step)
    cubic, parabola = _cubic(low, high, third), _parabola(low, high)

    def inside(step: jax.Array, margin: float) -> jax.Array:
        return (step > left + margin * width) & (step < left + (1 - margin) * width)

    middle = (low.step + high.step) / 2
    return jnp.where(inside(cubic, 0.2), cubic, jnp.where(inside(parabola, 0.1), parabola, middle))


def _parabola(low: Point, high: Point) -> jax.Array:
    """Where the parabola through both, with the slope of `low`, is lowest."""
    width = high.step - low.step
    bend = (high.value - low.value - low.slope * width) / jnp.square(width)
    return low.step - low.slope / (2 * bend)


def _cubic(low: Point, high: Point, third: Point) -> jax.Array:
    """Where the cubic through all three, with the slope of `low`, is lowest; NaN if nowhere."""
    b, c = high.step - low.step, third.step - low.step
    rise_b = high.value - low.value - low.slope * b
    rise_c = third.value - low.value - low.slope * c
    scale = jnp.square(b * c) * (b - c)
    a3 = (jnp.square(c) * rise_b - jnp.square(b) * rise_c) / scale
    a2 = (b**3 * rise_c - c**3 * rise_b) / scale
    return low.step + (-a2 + jnp.sqrt(jnp.square(a2) - 3 * a3 * low.slope)) / (3 * a3)


def _where(condition: jax.Array, yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)

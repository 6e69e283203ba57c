"""Values drawn from a hyperparameter's own declaration."""

from typing import Any

from talweg.core import errors
from talweg.core.hyperparameters import Hyper


def values_of(declaration: Hyper) -> Any:
    """A Hypothesis strategy for the numbers that a declaration accepts.

    >>> from talweg.optimizers import Adam
    >>> values_of(Adam.hypers["amsgrad"])
    booleans()
    """
    strategies = errors.extra("hypothesis", "dev", "talweg.testing").strategies
    interval = declaration.interval
    if interval is None:
        return strategies.booleans()
    if declaration.integer:
        return strategies.integers(int(interval.low), 1000)
    bounded = interval.high != float("inf")
    return strategies.floats(
        min_value=interval.low,
        max_value=interval.high if bounded else None,
        exclude_min=not interval.closed_low,
        exclude_max=bounded and not interval.closed_high,
        allow_nan=False,
        allow_infinity=False,
        width=32,
    )


def sample(declaration: Hyper, check: Any, count: int = 8) -> None:
    """Call `check(value)` for some values that the declaration accepts."""
    hypothesis = errors.extra("hypothesis", "dev", "talweg.testing")
    steady = hypothesis.settings(max_examples=count, deadline=None, derandomize=True, database=None)
    steady(hypothesis.given(value=values_of(declaration))(lambda value: check(value)))()

"""Batteries: what must hold for any optimizer, schedule, callback, layer, loss or metric.

For your own class, in one line,

    from talweg.testing import checks
    checks.optimizer(MyOptimizer)

or with one test for each check, under pytest:

    @parametrize_with_checks(checks.OPTIMIZER, {"mine": MyOptimizer})
    def test_mine(check):
        check()

Every check is a function whose name says what must hold. It takes a factory, which makes
a fresh object at each call, and raises AssertionError. Nothing is decided by a class's
name: what differs between classes is read from their declarations.
"""

from talweg.testing import checks
from talweg.testing.parametrize import parametrize_with_checks
from talweg.testing.strategies import values_of

__all__ = ["checks", "parametrize_with_checks", "values_of"]

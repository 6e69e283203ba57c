"""A battery as pytest parameters."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from talweg.core import errors


def parametrize_with_checks(
    battery: Sequence[Callable[[Any], None]], factories: Mapping[str, Any]
) -> Any:
    """A decorator: one test for each check of a battery and each factory.

    Args:
        battery: for example `checks.OPTIMIZER`.
        factories: what makes the objects, by the name that the tests shall carry.

    The test takes one argument, `check`, and calls it.
    """
    pytest = errors.extra("pytest", "dev", "parametrize_with_checks")
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(partial(check, make), id=f"{name}-{check.__name__}")
            for name, make in factories.items()
            for check in battery
        ],
    )

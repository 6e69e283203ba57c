"""Hyperparameters, declared once.

    class Adam(Optimizer):
        learning_rate: float = hyper(1e-3, "[0, 1e10]", search=(1e-5, 1e-1))
        beta_1: float = hyper(0.9, "[0, 1)", hint="0.9 is the usual choice.")
        amsgrad: bool = static(False)

From the declaration come the constructor, repr, `get_config`, validation and its
message, the documentation, the default search range and the invalid-value tests. A
`hyper` is data: an array in the optimizer's state, which can change at any step without
recompiling. A `static` changes the structure of the program.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from talweg.core import errors


@dataclass(frozen=True)
class Interval:
    """A range of numbers: low, high, and whether each end belongs to it."""

    low: float
    high: float
    closed_low: bool
    closed_high: bool

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Read the mathematical notation.

        >>> Interval.parse("[0, 1)")
        Interval(low=0.0, high=1.0, closed_low=True, closed_high=False)
        """
        low, high = text[1:-1].split(",")
        return cls(float(low), float(high), text[0] == "[", text[-1] == "]")

    def __contains__(self, value: float) -> bool:
        above = value >= self.low if self.closed_low else value > self.low
        below = value <= self.high if self.closed_high else value < self.high
        return math.isfinite(value) and above and below

    def outside(self) -> list[float]:
        """Values that must be refused; what the batteries of tests try."""
        values = [math.nan, math.inf, -math.inf]
        if math.isfinite(self.low):
            values.append(self.low - 1.0 if self.closed_low else self.low)
        if math.isfinite(self.high):
            values.append(self.high * 2 + 1.0 if self.closed_high else self.high)
        return values


@dataclass(frozen=True)
class Hyper:
    """The declaration of one hyperparameter; `hyper` and `static` make it."""

    default: Any
    interval: Interval | None = None
    notation: str = ""
    hint: str = ""
    search: tuple[float, float] | None = None
    optional: bool = False
    integer: bool = False
    name: str = ""

    @property
    def traced(self) -> bool:
        """Whether the value is data of the program (an array) and not its structure."""
        return self.interval is not None and not self.integer

    def named(self, name: str) -> "Hyper":
        return replace(self, name=name)

    def check(self, owner: str, value: Any) -> Any:
        """`value` as a Python number, or the error that explains what is expected."""
        if value is None and self.optional:
            return None
        if self.interval is None:
            return self._check_static(owner, value)
        expected = f"an integer in {self.notation}" if self.integer else f"in {self.notation}"
        if isinstance(value, (bool, str, bytes)) or value is None or np.ndim(value) != 0:
            raise errors.wrong_type(owner, self.name, f"a number {expected}", value, self.hint)
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise errors.wrong_type(
                owner, self.name, f"a number {expected}", value, self.hint
            ) from None
        if number not in self.interval or (self.integer and number != int(number)):
            raise errors.invalid(owner, self.name, expected, number, self.hint)
        return int(number) if self.integer else number

    def _check_static(self, owner: str, value: Any) -> Any:
        if isinstance(self.default, bool):
            if not isinstance(value, (bool, np.bool_)):
                raise errors.wrong_type(owner, self.name, "True or False", value, self.hint)
            return bool(value)
        return value


def hyper(
    default: float | None,
    interval: str,
    *,
    hint: str = "",
    search: tuple[float, float] | None = None,
    optional: bool = False,
    kw_only: bool = False,
) -> Any:
    """Declare a hyperparameter that is data: changing it never recompiles.

    Args:
        default: its value where the user gives none; None makes it optional (off).
        interval: what is accepted, as "[0, 1)" or "(0, inf)".
        hint: the remedy, the last sentence of the error message.
        search: the range that a search draws from by default, on a log scale.
        optional: whether None (off) is accepted. Whether it is None is structure.
        kw_only: for type checkers: listed after the positional arguments.
    """
    return Hyper(
        default, Interval.parse(interval), interval, hint, search, optional or default is None
    )


def static(
    default: Any, interval: str | None = None, *, hint: str = "", kw_only: bool = False
) -> Any:
    """Declare an argument that changes the structure of the program.

    Args:
        default: its value; a bool accepts only True and False.
        interval: for an integer, what is accepted; None is accepted where it is the default.
        hint: the remedy, the last sentence of the error message.
        kw_only: for type checkers: listed after the positional arguments.
    """
    parsed = None if interval is None else Interval.parse(interval)
    return Hyper(
        default, parsed, interval or "", hint, None, default is None, integer=parsed is not None
    )

"""Hyperparameters, declared once.

    class Adam(Optimizer):
        learning_rate: float = hyper(1e-3, "[0, 1e10]", search=(1e-5, 1e-1))
        beta_1: float = hyper(default=0.9, interval="[0, 1)", hint="0.9 is the usual choice.")
        amsgrad: bool = static(default=False)

From the declaration come the constructor, repr, `get_config`, validation and its
message, the documentation, the default search range and the invalid-value tests. A
`hyper` is data: an array in the optimizer's state, which can change at any step without
recompiling. A `static` changes the structure of the program.
"""

import inspect
import math
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, cast, dataclass_transform

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
    init: bool = True
    off_at_zero: bool = False
    name: str = ""

    @property
    def traced(self) -> bool:
        """Whether the value is data of the program (an array) and not its structure."""
        return self.interval is not None and not self.integer

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else instance.read_hyper(self)

    def __set__(self, instance: Any, value: Any) -> None:
        instance.write_hyper(self, value)

    def check(self, owner: str, value: Any) -> Any:
        """`value` as a Python number, or the error that explains what is expected."""
        if value is None and self.optional:
            return None
        if self.interval is None:
            return self._check_static(owner, value)
        expected = f"an integer in {self.notation}" if self.integer else f"in {self.notation}"
        kind = expected if self.integer else f"a number {expected}"
        if not _is_scalar(value):
            raise errors.wrong_type(owner, self.name, kind, value, self.hint)
        try:
            number = float(cast(Any, value))
        except (TypeError, ValueError):
            raise errors.wrong_type(owner, self.name, kind, value, self.hint) from None
        # What the program will see: 0.99999999 is 1 in float32.
        with np.errstate(over="ignore"):
            rounded = number if self.integer else float(np.float32(number))
        inside = number in self.interval and rounded in self.interval
        if not inside or (self.integer and number != int(number)):
            raise errors.invalid(owner, self.name, expected, number, self.hint)
        return int(number) if self.integer else number

    def _check_static(self, owner: str, value: Any) -> Any:
        if isinstance(self.default, bool):
            if not isinstance(value, (bool, np.bool_)):
                raise errors.wrong_type(owner, self.name, "True or False", value, self.hint)
            return bool(value)
        return value


def _is_scalar(value: object) -> bool:
    if value is None or isinstance(value, (bool, str, bytes)):
        return False
    return np.ndim(cast(Any, value)) == 0 and getattr(value, "dtype", None) != np.bool_


def hyper(
    *,
    default: float | None,
    interval: str,
    hint: str = "",
    search: tuple[float, float] | None = None,
    optional: bool = False,
    init: bool = True,
    off_at_zero: bool = False,
    kw_only: bool = False,
) -> Any:
    """Declare a hyperparameter that is data: changing it never recompiles.

    Args:
        default: its value where the user gives none; None makes it optional (off).
        interval: what is accepted, as "[0, 1)" or "(0, inf)".
        hint: the remedy, the last sentence of the error message.
        search: the range that a search draws from by default, on a log scale.
        optional: whether None (off) is accepted. Whether it is None is structure.
        init: whether it is an argument of the constructor, and so of the config.
        off_at_zero: at zero the program lacks a part; it cannot be switched on later.
        kw_only: for type checkers: listed after the positional arguments.
    """
    return Hyper(
        default=default,
        interval=Interval.parse(interval),
        notation=interval,
        hint=hint,
        search=search,
        optional=optional or default is None,
        init=init,
        off_at_zero=off_at_zero,
    )


def static(
    *, default: Any = None, interval: str | None = None, hint: str = "", required: bool = False,
    kw_only: bool = False,
) -> Any:  # fmt: skip
    """Declare an argument that changes the structure of the program.

    Args:
        default: its value; a bool accepts only True and False.
        interval: for an integer, what is accepted; None is accepted where it is the default.
        hint: the remedy, the last sentence of the error message.
        required: whether it must be given: None, the default, is refused.
        kw_only: for type checkers: listed after the positional arguments.
    """
    parsed = None if interval is None else Interval.parse(interval)
    return Hyper(
        default=default,
        interval=parsed,
        notation=interval or "",
        hint=hint,
        optional=default is None and not required,
        integer=parsed is not None,
    )


@dataclass_transform(field_specifiers=(hyper, static))
class Declared:
    """A class whose constructor, repr and config come from its declarations.

    Arguments come in the order of declaration, a subclass's own before those it
    inherits. Reading and assigning a declared attribute goes through `read_hyper` and
    `write_hyper`, so an assigned value is checked like a constructed one.
    """

    hypers: ClassVar[dict[str, Hyper]] = {}
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Hyper)}
        inherited = {name: value for name, value in cls.hypers.items() if name not in own}
        cls.hypers = {**own, **inherited}
        cls.__signature__ = _signature(cls)

    def __init__(self, *args: Any, **kwargs: Any):
        owner = type(self).__name__
        self._values: dict[str, Any] = {}
        if "lr" in kwargs and "learning_rate" in self.hypers:
            warnings.warn(f"{owner}: lr is now learning_rate.", stacklevel=2)
            kwargs["learning_rate"] = kwargs.pop("lr")
        names = [name for name, value in self.hypers.items() if value.init]
        if len(args) > len(names):
            raise TypeError(f"{owner} takes at most {len(names)} arguments, got {len(args)}.")
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in self.hypers:
                raise TypeError(str(errors.unknown(f"argument of {owner}", name, names)))
            if name in given:
                raise TypeError(f"{owner}: {name} was given twice, by position and by name.")
            given[name] = value
        for name, declaration in self.hypers.items():
            self.write_hyper(declaration, given.get(name, declaration.default))

    def read_hyper(self, declaration: Hyper) -> Any:
        """The present value of a declared attribute."""
        return self._values[declaration.name]

    def write_hyper(self, declaration: Hyper, value: Any) -> None:
        """Check and set a declared attribute."""
        self._values[declaration.name] = declaration.check(type(self).__name__, value)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal object."""
        return {name: self.read_hyper(value) for name, value in self.hypers.items() if value.init}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Any":
        """The object that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        changed = (
            f"{name}={self.read_hyper(value)!r}"
            for name, value in self.hypers.items()
            if self.read_hyper(value) != value.default
        )
        return f"{type(self).__name__}({', '.join(changed)})"


def _signature(cls: type[Declared]) -> inspect.Signature:
    """The declared arguments, or those of a constructor that the user wrote."""
    written = list(inspect.signature(cls.__init__).parameters.values())[1:]
    if any(p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in written):
        return inspect.Signature(written)
    return inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=value.default)
            for name, value in cls.hypers.items()
            if value.init
        ]
    )

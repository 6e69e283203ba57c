"""The arguments that all optimizers share, as live cells, and the law of the rate:

    rate(step) = (constant or schedule(step)) * rate_multiplier

Every numeric hyperparameter lives in a `Variable`. The pure state holds what the cells
hold at that moment, so a change acts at the next step, without recompiling.
"""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from talweg.core import errors, names
from talweg.core.hyperparameters import Declared, Hyper, hyper, static
from talweg.core.serialization import (
    custom_object_scope,
    deserialize_keras_object,
    serialize_keras_object,
)
from talweg.core.variables import Variable
from talweg.schedules import LearningRateSchedule

RATE = "[0, 1e10]"


@jax.tree_util.register_static
@dataclass(frozen=True, eq=False)
class Scheduled:
    """A schedule as a pytree without leaves: another schedule is another program."""

    schedule: LearningRateSchedule

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scheduled) and other.schedule is self.schedule

    def __hash__(self) -> int:
        return id(self.schedule)


class Hyperparameters(Declared):
    """What every optimizer can be told; the arguments are described at `Optimizer`."""

    learning_rate: Any = hyper(
        default=0.001, interval=RATE, search=(1e-5, 1e-1), hint="Usual: 1e-4 to 1e-1."
    )
    weight_decay: float | None = hyper(default=None, interval="[0, inf)", kw_only=True)
    clipnorm: float | None = hyper(default=None, interval="(0, inf)", kw_only=True)
    clipvalue: float | None = hyper(default=None, interval="(0, inf)", kw_only=True)
    global_clipnorm: float | None = hyper(default=None, interval="(0, inf)", kw_only=True)
    use_ema: bool = static(default=False, kw_only=True)
    ema_momentum: float = hyper(default=0.99, interval="[0, 1]", kw_only=True)
    ema_overwrite_frequency: int | None = static(default=None, interval="[1, inf)", kw_only=True)
    loss_scale_factor: float | None = hyper(default=None, interval="(0, inf)", kw_only=True)
    gradient_accumulation_steps: int | None = static(
        default=None, interval="[2, inf)", kw_only=True
    )
    name: str | None = static(default=None, kw_only=True)
    # The factor on the rate, over any schedule; state, not an argument.
    rate_multiplier: float = hyper(default=1.0, interval=RATE, init=False, kw_only=True)

    def __init__(self, *args: Any, **kwargs: Any):
        owner = type(self).__name__
        if "decay" in kwargs:
            raise TypeError(
                f"{owner}: decay is no argument any more. Give a schedule: learning_rate="
                "schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=decay)."
            )
        self.schedule: LearningRateSchedule | None = None
        self._cells: dict[str, Variable] = {}
        self._rate_callable: Callable[[], Any] | None = None
        self._warned_of_zero = False
        self._switched_off: frozenset[str] = frozenset()
        super().__init__(*args, **kwargs)
        clippers = ("clipnorm", "clipvalue", "global_clipnorm")
        given = {name: self._values[name] for name in clippers if self._values[name] is not None}
        if len(given) > 1:
            raise ValueError(
                f"{owner}: Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set, "
                f"got {given}."
            )
        if self._values["name"] is None:
            self._values["name"] = names.auto_name(owner)
        for name, cell in self._cells.items():
            if cell.name == name:  # not a Variable of the user's
                cell.path = f"{self.name}/{name}"
        with names.name_scope(str(self.name)):
            self._iterations = Variable(0, dtype="int32", trainable=False, name="iteration")

    @property
    def built(self) -> bool:
        """Whether there is state, so that the structure of the program is settled."""
        return False

    def read_hyper(self, declaration: Hyper) -> Any:
        """A number as given, the Variable of a constant rate, or the schedule's rate now."""
        name = declaration.name
        if name == "learning_rate":
            if self.schedule is not None:
                return self.schedule(self._iterations.value)
            self._ask_callable()
            return self._cells[name]
        given = self._values.get(name)
        if name not in self._cells:
            return given
        value = self._cells[name].value
        if isinstance(value, Tracer):
            return value
        # The number as the user wrote it, unless the cell has moved on since.
        return given if np.float32(given) == float(value) else float(value)

    def write_hyper(self, declaration: Hyper, value: Any) -> None:
        """Check and set; takes effect at the next step, without recompiling."""
        name = declaration.name
        if name == "learning_rate" and not self._take_rate(value):
            return
        number = declaration.check(type(self).__name__, value)
        if name in self._values:
            self._check_structure(declaration, number)
        self._values[name] = number
        if not declaration.traced or number is None:
            return
        if name in self._cells:
            self._cells[name].assign(number)
        else:
            self._cells[name] = self._cell(declaration, number)
        if name == "learning_rate":
            self._warn_of_zero(number)

    def _check_structure(self, declaration: Hyper, number: Any) -> None:
        """Refuse a change after which the program would be another one."""
        owner, name = type(self).__name__, declaration.name
        if (number is None) != (self._values[name] is None):
            raise errors.invalid(owner, name, "given at construction to be changed later", number)
        if self.built and not declaration.traced:
            raise errors.invalid(
                owner, name, "set before the optimizer is built", number,
                "It is part of the structure of the program.",
            )  # fmt: skip
        if number and name in self._switched_off:
            raise errors.invalid(owner, name, "above 0 at construction to be changed later", number)

    def _cell(self, declaration: Hyper, number: float) -> Variable:
        return Variable(
            np.float32(number),
            trainable=False,
            name=declaration.name,
            validator=partial(declaration.check, type(self).__name__),
        )

    # -- the rate --------------------------------------------------------------------

    def _take_rate(self, value: Any) -> bool:
        """Adopt a schedule, a callable or a Variable; True if `value` is a plain number."""
        owner = type(self).__name__
        declaration = self.hypers["learning_rate"]
        if isinstance(value, dict):
            value = deserialize_keras_object(cast(Any, value))
        if isinstance(value, LearningRateSchedule):
            self.schedule, self._rate_callable = value, None
            self._cells.pop("learning_rate", None)
            self._values["learning_rate"] = value
            return False
        if isinstance(value, Variable) and not self._values.keys() & {"learning_rate"}:
            number = declaration.check(owner, value)
            value.validator = partial(declaration.check, owner)
            self._adopt(number, value)
            return False
        if callable(value):
            self._check_callable(value)
            number = declaration.check(owner, value())
            self.schedule, self._rate_callable = None, value
            self._adopt(number, self._cell(declaration, number))
            return False
        if self.schedule is not None:
            raise TypeError(
                f"{owner}: learning_rate follows {type(self.schedule).__name__} and cannot be set "
                f"to {errors.shown(value)}. Set rate_multiplier to scale the schedule, or assign "
                "another schedule."
            )
        declaration.check(owner, value)
        self._rate_callable = None
        return True

    def _adopt(self, number: float, cell: Variable) -> None:
        self._cells["learning_rate"] = cell
        self._values["learning_rate"] = number
        self._warn_of_zero(number)

    def _check_callable(self, value: Callable[..., Any]) -> None:
        try:
            inspect.signature(value).bind()
        except TypeError:
            raise errors.wrong_type(
                type(self).__name__, "learning_rate", "a callable without arguments", value,
                "For a rate that depends on the step, subclass schedules.LearningRateSchedule.",
            ) from None  # fmt: skip

    def _ask_callable(self) -> None:
        if self._rate_callable is not None:
            self._cells["learning_rate"].assign(self._rate_callable())

    def _warn_of_zero(self, number: float) -> None:
        if number == 0 and not self._warned_of_zero:
            self._warned_of_zero = True
            warnings.warn(
                f"{type(self).__name__}: learning_rate is 0, so that no weight will move.",
                stacklevel=2,
            )

    def hyper_state(self) -> dict[str, jax.Array]:
        """The numeric hyperparameters as arrays, read from their cells."""
        self._ask_callable()
        return {name: cell.value for name, cell in self._cells.items()}

    def rate_at(self, state: Any) -> jax.Array:
        """The law of the rate, a float32 scalar, for a pure state."""
        if state.schedule is None:
            base = state.hyper["learning_rate"]
        else:
            base = jnp.asarray(state.schedule.schedule(state.iterations), jnp.float32)
        return base * state.hyper["rate_multiplier"]

    lr = property(
        lambda self: self.learning_rate,
        lambda self, value: setattr(self, "learning_rate", value),
        doc="Keras 2's name of `learning_rate`.",
    )

    # -- config ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer; the rate as float32 or a record."""
        config = super().get_config()
        if self.schedule is not None:
            config["learning_rate"] = serialize_keras_object(self.schedule)
        else:
            config["learning_rate"] = float(self._cells["learning_rate"].value)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """The optimizer that `get_config` described; `custom_objects` for its schedule."""
        with custom_object_scope(custom_objects or {}):
            return cls(**config)

    def __repr__(self) -> str:
        config = self.get_config()
        if isinstance(config["learning_rate"], float):
            config["learning_rate"] = float(f"{config['learning_rate']:.7g}")
        shown = (
            f"{name}={config[name]!r}"
            for name, value in self.hypers.items()
            if name in config and name != "name" and config[name] != value.default
        )
        return f"{type(self).__name__}({', '.join(shown)})"

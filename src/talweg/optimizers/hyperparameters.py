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
from talweg.core.loans import current_loan
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
class Schedules:
    """Schedules by the name of what follows them, as a pytree without leaves.

    Another schedule is another program.
    """

    by_name: dict[str, LearningRateSchedule]

    def at(self, step: Any) -> dict[str, jax.Array]:
        """Their values at a step, float32 scalars."""
        return {
            name: jnp.asarray(schedule(step), jnp.float32)
            for name, schedule in self.by_name.items()
        }

    def _identity(self) -> tuple[tuple[str, int], ...]:
        return tuple((name, id(schedule)) for name, schedule in self.by_name.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedules) and other._identity() == self._identity()

    def __hash__(self) -> int:
        return hash(self._identity())


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
        if "decay" in kwargs and "decay" not in self.hypers:
            raise TypeError(
                f"{owner}: decay is no argument any more. Give a schedule: learning_rate="
                "schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=decay)."
            )
        self._cells: dict[str, Variable] = {}
        self._rate_callable: Callable[[], Any] | None = None
        self._warned_of_zero = False
        self._switched_off: frozenset[str] = frozenset()
        super().__init__(*args, **kwargs)
        clippers = ("clipnorm", "clipvalue", "global_clipnorm")
        given = {
            name: self._values[name] for name in clippers if self._values.get(name) is not None
        }
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

    @property
    def schedules(self) -> dict[str, LearningRateSchedule]:
        """The hyperparameters that follow a schedule."""
        pairs = ((name, self._values.get(name)) for name in self.hypers)
        return {name: value for name, value in pairs if isinstance(value, LearningRateSchedule)}

    @property
    def schedule(self) -> LearningRateSchedule | None:
        """The schedule of the rate; None where it is constant."""
        return self.schedules.get("learning_rate")

    @property
    def scheduled(self) -> Schedules:
        """The schedules as they stand in the pure state."""
        return Schedules(self.schedules)

    def uses(self, name: str) -> bool:
        """Whether a hyperparameter that is off at zero has a part in the program."""
        return bool(self._values[name])

    def read_hyper(self, declaration: Hyper) -> Any:
        """A number as given, the Variable of a constant rate, or a schedule's value now."""
        name = declaration.name
        given = self._values.get(name)
        if isinstance(given, LearningRateSchedule):
            return given(self._iterations.value)
        if name == "learning_rate":
            self._ask_callable()
            return self._cells[name]
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
        if declaration.traced and isinstance(value, dict):
            value = deserialize_keras_object(cast(Any, value))
        if declaration.traced and isinstance(value, LearningRateSchedule):
            self._follow(declaration, value)
            return
        if name == "learning_rate" and self._takes_live_rate(declaration, value):
            return
        number = declaration.check(type(self).__name__, value)
        if isinstance(self._values.get(name), LearningRateSchedule):
            raise self._follows_already(name, value)
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
            self._rate_callable = None
            self._warn_of_zero(number)

    def start_with(self, name: str, value: Any) -> None:
        """Set an argument as the constructor does, before anything is built."""
        self._values.pop(name, None)
        self._cells.pop(name, None)
        self.write_hyper(self.hypers[name], value)

    def _follow(self, declaration: Hyper, schedule: LearningRateSchedule) -> None:
        """Let a hyperparameter follow a schedule from here on."""
        owner, name = type(self).__name__, declaration.name
        if name == "rate_multiplier":
            raise errors.wrong_type(
                owner, name, "a number", schedule, "Give the schedule to learning_rate."
            )
        if name != "learning_rate":
            declaration.check(owner, np.asarray(schedule(0)))
            if name in self._values:
                self._check_structure(declaration, schedule)
        self._cells.pop(name, None)
        self._values[name] = schedule
        if name == "learning_rate":
            self._rate_callable = None

    def _follows_already(self, name: str, value: Any) -> TypeError:
        remedy = "Set rate_multiplier to scale the schedule, or assign another schedule."
        if name != "learning_rate":
            remedy = "Assign another schedule."
        return TypeError(
            f"{type(self).__name__}: {name} follows {type(self._values[name]).__name__} and "
            f"cannot be set to {errors.shown(value)}. {remedy}"
        )

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

    def _takes_live_rate(self, declaration: Hyper, value: Any) -> bool:
        """Adopt a callable or the user's own Variable; False if `value` is neither."""
        owner = type(self).__name__
        if isinstance(value, Variable) and "learning_rate" not in self._values:
            number = declaration.check(owner, value)
            value.validator = partial(declaration.check, owner)
            self._adopt(number, value)
            return True
        if callable(value) and not isinstance(value, Variable):
            self._check_callable(value)
            number = declaration.check(owner, value())
            self._rate_callable = value
            self._adopt(number, self._cell(declaration, number))
            return True
        return False

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
        cell, loan = self._cells.get("learning_rate"), current_loan.get()
        if self._rate_callable is None or cell is None:
            return
        if loan is None or loan.reader(cell) is None:  # else what it said before this step stands
            cell.assign(self._rate_callable())

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

    def values_at(self, state: Any) -> dict[str, jax.Array]:
        """The numeric hyperparameters of a pure state, those of schedules included."""
        return {**state.hyper, **state.schedules.at(state.iterations)}

    def rate_at(self, state: Any) -> jax.Array:
        """The law of the rate, a float32 scalar, for a pure state."""
        return self.values_at(state)["learning_rate"] * state.hyper["rate_multiplier"]

    lr = property(
        lambda self: self.learning_rate,
        lambda self, value: setattr(self, "learning_rate", value),
        doc="Keras 2's name of `learning_rate`.",
    )

    # -- config ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer; the rate as float32, schedules as records."""
        config = {k: self.read_hyper(h) for k, h in self.hypers.items() if h.init}
        if "learning_rate" in self._cells:
            config["learning_rate"] = float(self._cells["learning_rate"].value)
        for name, schedule in self.schedules.items():
            config[name] = serialize_keras_object(schedule)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """The optimizer that `get_config` described; `custom_objects` for its schedule."""
        with custom_object_scope(custom_objects or {}):
            return cls(**config)

    def __repr__(self) -> str:
        config = {**self.get_config(), **self.schedules}
        if isinstance(config.get("learning_rate"), float):
            config["learning_rate"] = float(f"{config['learning_rate']:.7g}")
        shown = (
            f"{name}={config[name]!r}"
            for name, value in self.hypers.items()
            if name in config and name != "name" and config[name] != value.default
        )
        return f"{type(self).__name__}({', '.join(shown)})"

"""Old ways of writing that live on objects: active while the import hook is installed."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.callbacks import History
from talweg.compat.names import GRADIENTS
from talweg.core.errors import invalid, shown, wrong_type
from talweg.core.variables import Variable, lend
from talweg.models import Model
from talweg.optimizers import Optimizer
from talweg.schedules import InverseTimeDecay

_GONE = {
    "predict_classes": (
        "write numpy.argmax(model.predict(x), axis=-1), or, for a single sigmoid output, "
        "(model.predict(x) > 0.5).astype('int32')"
    ),
    "predict_proba": "write model.predict(x)",
    "fit_generator": "write model.fit(generator, steps_per_epoch=…)",
    "evaluate_generator": "write model.evaluate(generator, steps=…)",
    "predict_generator": "write model.predict(generator, steps=…)",
}
_ABSENT = object()
_before: dict[tuple[type, str], Any] = {}


class _Gone:
    """A method that Keras dropped: reading it says what to write now."""

    def __init__(self, name: str, remedy: str):
        self.name = name
        self.remedy = remedy

    def __get__(self, instance: Any, owner: type) -> Any:
        message = f"{owner.__name__}.{self.name} is gone from Keras: {self.remedy}."
        raise AttributeError(message, name=self.name, obj=None)


def enable() -> None:
    """Put the old ways in place."""
    for name, remedy in _GONE.items():
        if not hasattr(Model, name):
            _put(Model, name, _Gone(name, remedy))
    if not hasattr(Model, "reset_states"):
        _put(Model, "reset_states", _reset_states)
    _put(Optimizer, "__init__", _with_decay(Optimizer.__init__))
    _put(Optimizer, "minimize", _minimize)
    _put(History, "__init__", _with_lr(History.__init__))
    for kind in (type(jnp.zeros(())), Variable):
        _put(kind, "numpy", _numpy)


def disable() -> None:
    """Take them away again."""
    for (cls, name), value in _before.items():
        if value is _ABSENT:
            delattr(cls, name)
        else:
            setattr(cls, name, value)
    _before.clear()


def _put(cls: type, name: str, value: Any) -> None:
    _before[cls, name] = vars(cls).get(name, _ABSENT)
    setattr(cls, name, value)


def _reset_states(model: Model) -> None:
    """Keras 2's `model.reset_states()`: stateful recurrent layers begin anew."""
    for layer in model.layers:
        if hasattr(layer, "reset_states"):
            layer.reset_states()


def _minimize(
    optimizer: Optimizer, loss: Any, var_list: Any, tape: Any = None, **_of_tensorflow: Any
) -> Variable:
    """Keras 2's `optimizer.minimize(loss, var_list)`: a step on a function without arguments.

    What the function assigns beside, as Dropout does its seed, is kept.
    """
    if not callable(loss):
        raise wrong_type("minimize", "loss", "a function without arguments", loss, GRADIENTS)
    found = var_list() if callable(var_list) else var_list
    variables = [found] if isinstance(found, Variable) else list(found)
    beside: list[Variable] = []

    def objective(arrays: list[Any]) -> tuple[Any, list[Any]]:
        with lend(variables, arrays, catch_all=True) as loan:
            total = jnp.sum(jnp.asarray(loss()))
        beside[:] = [v for v in loan.written.values() if not any(v is own for own in variables)]
        return total, loan.values(beside)

    values = [variable.value for variable in variables]
    gradients, assigned = jax.grad(objective, has_aux=True)(values)
    for variable, value in zip(beside, assigned, strict=True):
        variable.assign(value)
    return optimizer.apply_gradients(zip(gradients, variables, strict=True))


def _numpy(array: jax.Array | Variable) -> Any:
    """TensorFlow's `tensor.numpy()`: without axes a NumPy scalar, which `round` takes, too."""
    return np.array(array)[()]


class _Curves(dict[str, list[Any]]):
    """`history.history`, where the rate may be asked for by Keras 2's name."""

    def __missing__(self, name: str) -> list[Any]:
        if name == "lr" and "learning_rate" in self:
            return self["learning_rate"]
        raise KeyError(name)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def _with_lr(initialize: Callable[..., None]) -> Callable[..., None]:
    """`__init__` of `History` whose curves answer to "lr"."""

    @functools.wraps(initialize)
    def init(self: History) -> None:
        initialize(self)
        self.history = _Curves(self.history)

    return init


def _with_decay(initialize: Callable[..., None]) -> Callable[..., None]:
    """`__init__` that understands Keras 2's `decay`: rate / (1 + decay * iterations)."""

    @functools.wraps(initialize)
    def init(self: Optimizer, *args: Any, **kwargs: Any) -> None:
        decay = kwargs.pop("decay", None)
        initialize(self, *args, **kwargs)
        if not decay:
            return
        owner = type(self).__name__
        if self.schedule is not None:
            raise invalid(owner, "decay", "left out beside a schedule", decay)
        # As text first: the shortest decimal of the float32, 0.01 and not 0.009999999776.
        rate = float(str(np.float32(self.learning_rate)))
        warnings.warn(
            f"{owner}: decay={shown(decay)} is Keras 2's. It is taken as learning_rate="
            f"InverseTimeDecay({rate:g}, decay_steps=1, decay_rate={decay:g}).",
            stacklevel=2,
        )
        self.learning_rate = InverseTimeDecay(rate, decay_steps=1, decay_rate=decay)

    return init

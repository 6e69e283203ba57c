"""Losses made of a function: the user's, or one that talweg exports under a class of its own."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from talweg.core.hyperparameters import Hyper, Interval
from talweg.core.serialization import get_registered_name, serialize_keras_object
from talweg.losses.base import Loss, Reduction
from talweg.losses.checks import require_finite, with_batch
from talweg.ops.targets import Shape, aligned_shapes, same_rank


class LossFunctionWrapper(Loss):
    """A loss from a function of (y_true, y_pred) that returns one value per sample.

    Args:
        fn: the function; y_true and y_pred reach it with trailing ones reconciled.
        reduction, name, dtype: see `Loss`.
        **kwargs: passed on to `fn`.

    >>> def squared(y_true, y_pred, power):
    ...     return jnp.mean(jnp.abs(y_true - y_pred) ** power, axis=-1)
    >>> float(LossFunctionWrapper(squared, power=3)([[0.0]], [[2.0]]))
    8.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Array:
        """`fn` on targets and predictions of one rank."""
        pairs = jax.tree.map(_same_rank, y_true, y_pred)
        structure = jax.tree.structure(y_true)
        y_true, y_pred = jax.tree.transpose(structure, jax.tree.structure((0, 0)), pairs)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def check(self, y_true: np.ndarray, output_shape: Shape) -> None:
        known = described(functools.partial(self.fn, **self._fn_kwargs))
        if known is None:
            super().check(y_true, output_shape)
        else:
            known.check(y_true, output_shape)

    @property
    def expects_probabilities(self) -> bool:
        return expects_probabilities(functools.partial(self.fn, **self._fn_kwargs))

    def get_config(self) -> dict[str, Any]:
        """Keras's keys: those of `Loss`, the function's record, its arguments."""
        name = getattr(self.fn, "__name__", None)
        registered = get_registered_name(self.fn) if name else name
        record = {
            "module": "builtins",
            "class_name": "function",
            "config": registered,
            "registered_name": "function" if registered == name else registered,
        }
        arguments = {k: serialize_keras_object(v) for k, v in self._fn_kwargs.items()}
        return {**super().get_config(), "fn": record, **arguments}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Loss:
        config = dict(config)
        if isinstance(config.get("fn"), (str, Mapping)):
            from talweg.losses import get

            config["fn"] = get(config["fn"])
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.fn}, kwargs={self._fn_kwargs})>"


def _same_rank(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    true, pred = same_rank(y_true.shape, y_pred.shape)
    return y_true.reshape(cast(Any, true)), y_pred.reshape(cast(Any, pred))


class ExportedLoss(LossFunctionWrapper):
    """Base of the classes that stand for one exported function.

    A subclass names its `formula` and hands the function's options to `__init__`; they
    become attributes and enter the config.
    """

    formula: ClassVar[Callable[..., Array]]
    # Intervals of numeric options, checked at construction.
    ranges: ClassVar[dict[str, str]] = {}
    # Options that Keras's config forgets: written only where they are not the default.
    unlisted: ClassVar[tuple[str, ...]] = ()
    # Whether targets are integer labels, which a half-precision cast would round.
    labels: ClassVar[bool] = False

    _classes: ClassVar[dict[Callable[..., Any], type["ExportedLoss"]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "formula" in vars(cls):
            ExportedLoss._classes[cls.formula] = cls

    def __init__(
        self,
        reduction: Reduction | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ):
        for option, interval in self.ranges.items():
            rule = Hyper(None, Interval.parse(interval), interval, name=option)
            rule.check(type(self).__name__, options[option])
        super().__init__(self.formula, reduction=reduction, name=name, dtype=dtype, **options)
        for option, value in options.items():
            setattr(self, option, value)

    def call(self, y_true: Any, y_pred: Any) -> Array:
        """The values of the samples; the function reconciles or refuses the shapes."""
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def cast_target(self, y_true: Any) -> Array:
        return jnp.asarray(y_true) if self.labels else super().cast_target(y_true)

    def check(self, y_true: np.ndarray, output_shape: Shape) -> None:
        """Refuse NaN, and targets whose shape or values the formula cannot mean.

        Raises:
            NonFiniteError: a target is NaN or infinite.
            ValueError: shapes or values do not fit; the first bad row is named.
        """
        y_true = np.asarray(y_true)
        require_finite(y_true, type(self).__name__)
        self.check_shape(y_true, with_batch(output_shape, y_true))
        self.check_values(y_true, output_shape)

    def check_shape(self, y_true: np.ndarray, y_pred: Shape) -> None:
        """Refuse the shape of host targets for predictions of shape `y_pred`."""
        aligned_shapes(y_true.shape, y_pred, type(self).__name__)

    def check_values(self, y_true: np.ndarray, output_shape: Shape) -> None:
        """Refuse finite target values that the formula cannot mean."""

    @property
    def expects_probabilities(self) -> bool:
        return self._fn_kwargs.get("from_logits") is False

    def get_config(self) -> dict[str, Any]:
        defaults = inspect.signature(type(self)).parameters
        options = {
            name: value
            for name, value in self._fn_kwargs.items()
            if name not in self.unlisted or value != defaults[name].default
        }
        return {**Loss.get_config(self), **options}

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self._fn_kwargs.items())
        return f"<{type(self).__name__}(reduction={self.reduction!r}{options})>"


def described(loss: Any) -> Loss | None:
    """The loss object that a loss, an exported function or a partial of one stands for."""
    if isinstance(loss, Loss):
        return loss
    options: dict[str, Any] = {}
    while isinstance(loss, functools.partial):
        options = {**loss.keywords, **options}
        loss = loss.func
    found = ExportedLoss._classes.get(loss) if inspect.isfunction(loss) else None
    if found is None:
        return None
    known = inspect.signature(found).parameters
    return found(**{name: value for name, value in options.items() if name in known})


def checker(loss: Any) -> Callable[[np.ndarray, Shape], None]:
    """The host check of any loss: `check(y_true, output_shape)` raises or returns None.

    Args:
        loss: a loss, an exported function, or any callable (NaN is refused, nothing else).

    >>> from talweg import losses
    >>> checker(losses.binary_crossentropy)(np.array([0, 1, 2]), (None, 1))
    Traceback (most recent call last):
    ...
    ValueError: BinaryCrossentropy: y at row 2 must be in [0, 1], got 2. \
Map the two classes to 0 and 1; for more classes use sparse_categorical_crossentropy.
    """
    known = described(loss)
    if known is not None:
        return known.check
    owner = getattr(loss, "__name__", type(loss).__name__)
    return lambda y_true, output_shape: require_finite(np.asarray(y_true), owner)


def expects_probabilities(loss: Any) -> bool:
    """Whether a loss reads predictions as probabilities, so that a linear head is a mistake.

    >>> from talweg import losses
    >>> expects_probabilities(losses.BinaryCrossentropy(from_logits=True))
    False
    """
    known = described(loss)
    return known is not None and known.expects_probabilities

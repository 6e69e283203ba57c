"""Keras's way to give parts of a model optimizers of their own; `ByPath` can do more."""

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from talweg.core import errors
from talweg.core.hyperparameters import Hyper, hyper
from talweg.core.serialization import deserialize_keras_object, serialize_keras_object
from talweg.core.variables import Variable
from talweg.optimizers.base import Optimizer
from talweg.optimizers.cautious import innermost
from talweg.optimizers.composed import Several
from talweg.optimizers.state import OptimizerState, Tensor


class OptimizerMap(MutableMapping[str, Optimizer]):
    """Optimizers by the paths of the weights they step.

    A key is a path, or a regular expression that the whole of a path matches. A path that is
    a key itself goes by it; else one key at most may match.

    Args:
        default_optimizer: the optimizer of all that no key matches.
        optimizer_map: a dict of keys and optimizers.

    Raises:
        TypeError: `default_optimizer` is no optimizer, or `optimizer_map` no dict.
        ValueError: a key that is there already, or is no text; an optimizer that is none, or
            that holds others by path or scales the loss; a path that several keys match.

    >>> from talweg.optimizers import SGD, Adam
    >>> optimizers = OptimizerMap(Adam(), {"encoder/.*": SGD()})
    >>> optimizers["encoder/dense/kernel"]
    SGD()
    >>> optimizers["head/kernel"]
    Adam()
    """

    def __init__(self, default_optimizer: Any, optimizer_map: Any = None):
        if not isinstance(default_optimizer, Optimizer):
            raise errors.wrong_type(
                "OptimizerMap", "default_optimizer", "an optimizer", default_optimizer
            )
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise errors.wrong_type("OptimizerMap", "optimizer_map", "a dict", optimizer_map)
        self._default = default_optimizer
        self._by_key: dict[str, Optimizer] = dict(cast(Any, optimizer_map) or {})

    @property
    def default_optimizer(self) -> Optimizer:
        """The optimizer of all that no key matches."""
        return self._default

    def __getitem__(self, key: str) -> Optimizer:
        if key in self._by_key:
            return self._by_key[key]
        matching = [pattern for pattern in self._by_key if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise errors.invalid(
                "OptimizerMap", "optimizer_map", f"of one key for {key}", matching,
                "Make the keys match different paths.",
            )  # fmt: skip
        return self._by_key[matching[0]] if matching else self._default

    def __setitem__(self, key: str, value: Optimizer) -> None:
        if not isinstance(cast(object, key), str):
            raise errors.invalid("OptimizerMap", "key", "text", key)
        if key in self._by_key:
            raise errors.invalid("OptimizerMap", "key", "one that is not there yet", key)
        _check(value)
        self._by_key[key] = value

    def __delitem__(self, key: str) -> None:
        del self._by_key[key]

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_key)

    def __call__(self, variable: Any) -> Optimizer:
        """The optimizer of a variable, by its path."""
        return self[variable.path]

    def __repr__(self) -> str:
        return f"OptimizerMap({self._default!r}, {self._by_key!r})"

    def get_config(self) -> dict[str, Any]:
        """The records of the optimizers."""
        return {
            "default_optimizer": serialize_keras_object(self._default),
            "optimizer_map": serialize_keras_object(self._by_key),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "OptimizerMap":
        """The map that `get_config` described."""
        read = deserialize_keras_object(config, custom_objects)
        return cls(read["default_optimizer"], read["optimizer_map"])


class MultiOptimizer(Several):
    """Each weight is stepped by the optimizer that a map chooses for it.

    When to use it: for programs and files of Keras; `ByPath` takes factors as well.

    Args:
        optimizer_map: an `OptimizerMap`, or a function from a variable (of which the pure
            face knows `path` and `name`) to its optimizer.
        loss_scale_factor: what the loss was multiplied by; in the place of that of each
            optimizer inside.
        name: the name of the optimizer.

    Raises:
        TypeError: `optimizer_map` is neither.
        ValueError: an optimizer inside is none, or holds others by path or scales the loss.
        AttributeError: `learning_rate` is asked for: the optimizers inside have one each.

    >>> from talweg.optimizers import SGD, Adam
    >>> MultiOptimizer(OptimizerMap(Adam(), {"encoder/.*": SGD()})).optimizers
    [SGD(), Adam()]

    Source: keras.optimizers.MultiOptimizer.
    """

    loss_scale_factor: float | None = hyper(default=None, interval="(0, inf)")

    def __init__(
        self, optimizer_map: Any, loss_scale_factor: float | None = None, name: str | None = None
    ):
        if not callable(optimizer_map):
            raise errors.wrong_type(
                "MultiOptimizer", "optimizer_map",
                "an OptimizerMap or a function from a variable to its optimizer", optimizer_map,
            )  # fmt: skip
        self._map = cast(Callable[[Any], Optimizer], optimizer_map)
        self._places: dict[str, int] = {}
        listed: list[Any] = []
        if isinstance(optimizer_map, Mapping):
            listed += cast(Any, optimizer_map).values()
        if hasattr(optimizer_map, "default_optimizer"):
            listed.append(cast(Any, optimizer_map).default_optimizer)
        super().__init__([], loss_scale_factor=loss_scale_factor, name=name)
        for optimizer in listed:
            self._place_of(optimizer)
        # Keras lists a rate of its own, which nothing reads.
        self._unused_rate = Variable(0.0, trainable=False, name="learning_rate")

    # -- which optimizer -------------------------------------------------------------

    def _place_of(self, optimizer: Any) -> int:
        """The number of an optimizer inside, which may be new."""
        for place, known in enumerate(self.parts):
            if known is optimizer:
                return place
        _check(optimizer)
        self.take([optimizer])
        self._hand_factor(optimizer)
        return len(self.parts) - 1

    def _hand_factor(self, optimizer: Optimizer) -> None:
        for inside in innermost(optimizer):
            inside.start_with("loss_scale_factor", self.loss_scale_factor)

    def members(self, tensors: Sequence[Tensor]) -> list[list[int]]:
        for tensor in tensors:
            if tensor.name not in self._places:
                weight = SimpleNamespace(path=tensor.name, name=tensor.name.rpartition("/")[2])
                self._places[tensor.name] = self._place_of(self._map(weight))
        members: list[list[int]] = [[] for _ in self.parts]
        for i, tensor in enumerate(tensors):
            members[self._places[tensor.name]].append(i)
        return members

    def build(self, var_list: Sequence[Variable]) -> None:
        variables = list(var_list)
        if not self.built:
            self._places = {v.path: self._place_of(self._map(v)) for v in variables}
        super().build(variables)

    def init_leaves(
        self, params: Sequence[Any], tensors: Sequence[Tensor], hyper: dict[str, Any] | None = None
    ) -> OptimizerState:
        self.members(tensors)  # which may bring new ones inside
        return super().init_leaves(params, tensors, hyper)

    # -- hyperparameters -------------------------------------------------------------

    def hyper_of(self, hyper: dict[str, Any], part: int) -> dict[str, Any]:
        factor = {k: v for k, v in hyper.items() if k == "loss_scale_factor"}
        return {**super().hyper_of(hyper, part), **factor}

    def scaled_loss(self, loss: Any, state: OptimizerState) -> Any:
        return Optimizer.scaled_loss(self, loss, state)

    def read_hyper(self, declaration: Hyper) -> Any:
        if declaration.name == "learning_rate":
            raise AttributeError(self._has_none("learning_rate"))
        return super().read_hyper(declaration)

    def write_hyper(self, declaration: Hyper, value: Any) -> None:
        super().write_hyper(declaration, value)
        if declaration.name == "loss_scale_factor":
            for part in self.parts:
                self._hand_factor(part)

    @property
    def variables(self) -> list[Variable]:
        """The count of steps, a rate that nothing reads, then those of the optimizers inside."""
        inside = [v for part in self.parts for v in part.variables]
        return [self._iterations, self._unused_rate, *inside]

    # -- config ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {"optimizer_map": serialize_keras_object(self._map), **super().get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MultiOptimizer":
        read = deserialize_keras_object(config["optimizer_map"], custom_objects)
        return cls(**{**config, "optimizer_map": read})

    def __repr__(self) -> str:
        return f"MultiOptimizer({self._map!r})"


def _check(optimizer: Any) -> None:
    """Refuse what cannot be one of several."""
    if not isinstance(optimizer, Optimizer):
        raise errors.invalid("MultiOptimizer", "optimizer", "an optimizer", optimizer)
    if isinstance(optimizer, MultiOptimizer) or optimizer.handles_overflow:
        raise errors.invalid(
            "MultiOptimizer", "optimizer", "neither a MultiOptimizer nor a loss scaler", optimizer,
            "Put that around: it is one for the whole model.",
        )  # fmt: skip

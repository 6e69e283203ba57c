"""Different parts of a model, different steps: another optimizer, or factors on one.

    rate of a tensor = (constant or schedule) * rate_multiplier * part.rate

The factors of a part are data: they can be changed while a model trains, without
recompiling, and "frozen" is one of them.

Layer-wise decay: Howard & Ruder, Universal Language Model Fine-tuning for Text
Classification, ACL 2018, arXiv:1801.06146, with one factor from each layer to the next.
"""

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from talweg.core import errors
from talweg.core.hyperparameters import Declared, Hyper, hyper, static
from talweg.core.serialization import serialize_keras_object
from talweg.core.variables import Variable
from talweg.optimizers.base import Optimizer
from talweg.optimizers.composed import Several, Wrapper, optimizer_from
from talweg.optimizers.state import Factors, Objective, OptimizerState, Tensor

Pattern = str | Callable[[str], bool]


class Part(Declared):
    """What is different about a part of a model.

    Args:
        optimizer: its own; None for that of the rest of the model.
        rate: the factor of its learning rate.
        decay: the factor of its weight decay.
        clip: the factor of the limit that its gradients are clipped to.
        frozen: whether it stands still, its moments included.

    Every attribute but `optimizer` can be set while a model trains.

    >>> part = Part(rate=0.1)
    >>> part.frozen = True
    >>> part.rate, part.frozen
    (0.1, True)
    """

    rate: float = hyper(default=1.0, interval="[0, inf)")
    decay: float = hyper(default=1.0, interval="[0, inf)")
    clip: float = hyper(default=1.0, interval="(0, inf)")
    frozen: bool = static(default=False)

    def __init__(self, optimizer: Any = None, **factors: Any):
        self.optimizer: Optimizer | None = None if optimizer is None else optimizer_from(optimizer)
        self._cells: dict[str, Variable] = {}
        super().__init__(**factors)

    def write_hyper(self, declaration: Hyper, value: Any) -> None:
        super().write_hyper(declaration, value)
        name, checked = declaration.name, self._values[declaration.name]
        if name in self._cells:
            self._cells[name].assign(np.asarray(checked, self._cells[name].dtype))
        else:
            kind = np.bool_ if isinstance(checked, bool) else np.float32
            self._cells[name] = Variable(np.asarray(checked, kind), trainable=False, name=name)

    def __setattr__(self, name: str, value: Any) -> None:
        # A misspelt factor would be kept, and change nothing.
        fixed = name == "optimizer" and name in vars(self)
        if fixed or not (name in self.hypers or name == "optimizer" or name.startswith("_")):
            remedy = f"Set it on its optimizer: part.optimizer.{name}."
            if self.__dict__.get("optimizer") is None or fixed:
                remedy = "An optimizer of its own is given when the part is made."
            raise AttributeError(
                f"Part: {name} cannot be set; {', '.join(self.hypers)} can. {remedy}"
            )
        super().__setattr__(name, value)

    def hyper_state(self) -> dict[str, Any]:
        """The factors as arrays, read from their cells."""
        return {name: cell.value for name, cell in self._cells.items()}

    def get_config(self) -> dict[str, Any]:
        inner = None if self.optimizer is None else serialize_keras_object(self.optimizer)
        return {"optimizer": inner, **super().get_config()}


class ByPath(Several):
    """One optimizer per part of the model, or one for all with factors.

    A pattern is that of a shell ("encoder/*", "*bias"), compared with the path of each
    weight and with every tail of it that begins after a slash; or a function of the path.
    The first that fits counts; what none fits is stepped by `default`.

    Args:
        parts: by pattern: a number (the factor of the rate), an optimizer or its name, or a
            `Part`, which takes factors for rate, weight decay and clipping, and `frozen`.
        default: the optimizer of all else.
        name: the name of the optimizer.

    Raises:
        ValueError: when it is built: a pattern that fits no weight, with those that there are.

    `optimizer["encoder/*"]` is the part, live:

    >>> optimizer = ByPath({"encoder/*": 0.1, "*/bias": Part(decay=0.0)}, default="adam")
    >>> optimizer["encoder/*"].frozen = True

    Several optimizers clip and average each for itself: `global_clipnorm` is the norm over
    the tensors of one optimizer.

    When to use it: fine-tuning with a slow or frozen encoder; a method for matrices beside
    one for all else; no decay on biases.

    Source: parameter groups, as in torch.optim, and optax.multi_transform.
    """

    def __init__(self, parts: Mapping[Pattern, Any], default: Any = "adam", **kwargs: Any):
        if not isinstance(parts, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.wrong_type("ByPath", "parts", 'a dict, as {"encoder/*": 0.1}', parts)
        self._parts_by_pattern = {key: _part(key, value) for key, value in parts.items()}
        self._default = optimizer_from(default)
        own = [p.optimizer for p in self._parts_by_pattern.values() if p.optimizer is not None]
        super().__init__([self._default, *own], **kwargs)

    def __getitem__(self, pattern: Pattern) -> Part:
        if pattern not in self._parts_by_pattern:
            known = [str(key) for key in self._parts_by_pattern]
            raise KeyError(str(errors.unknown("part", pattern, known)))
        return self._parts_by_pattern[pattern]

    def __iter__(self) -> Iterator[Pattern]:
        return iter(self._parts_by_pattern)

    @property
    def default(self) -> Optimizer:
        """The optimizer of the weights that no pattern fits."""
        return self._default

    # -- hyperparameters: by the names of the parts ----------------------------------

    def _labels(self) -> list[str]:
        """For each optimizer inside, the key of its hyperparameters."""
        own = [_label(k) for k, p in self._parts_by_pattern.items() if p.optimizer is not None]
        return ["default", *own]

    def hyper_state(self) -> dict[str, Any]:
        stored = self.own_hyper_state()
        for pattern, part in self._parts_by_pattern.items():
            stored[_label(pattern)] = part.hyper_state()
        for label, inner in zip(self._labels(), self.parts, strict=True):
            stored[label] = {**stored.get(label, {}), **inner.hyper_state()}
        return stored

    def hyper_of(self, hyper: dict[str, Any], part: int) -> dict[str, Any]:
        own = {k: v for k, v in hyper[self._labels()[part]].items() if k not in Part.hypers}
        return {**own, "rate_multiplier": own["rate_multiplier"] * hyper["rate_multiplier"]}

    def set_hyperparameter(self, name: str, value: Any) -> None:
        """Set "encoder/*/rate", "default/learning_rate" and the like by name."""
        label, _, own = name.rpartition("/")
        labels = {_label(pattern): part for pattern, part in self._parts_by_pattern.items()}
        if not label:
            super().set_hyperparameter(name, value)
        elif label == "default":
            self._default.set_hyperparameter(own, value)
        elif label not in labels:
            raise errors.unknown("part", label, ["default", *labels])
        elif own in Part.hypers:
            setattr(labels[label], own, bool(value) if own == "frozen" else value)
        elif (optimizer := labels[label].optimizer) is not None:
            optimizer.set_hyperparameter(own, value)
        else:
            raise errors.unknown(f"factor of {label}", own, Part.hypers)

    # -- the step --------------------------------------------------------------------

    def _assigned(self, tensors: Sequence[Tensor]) -> list[Pattern | None]:
        """The pattern of each tensor."""
        found = [
            next((key for key in self._parts_by_pattern if _fits(key, tensor.name)), None)
            for tensor in tensors
        ]
        for pattern in self._parts_by_pattern:
            if pattern not in found and tensors:
                names = ", ".join(tensor.name for tensor in tensors)
                raise errors.invalid(
                    "ByPath", "parts", "patterns that fit a weight which no earlier one fits",
                    pattern, f"The weights are {names}.",
                )  # fmt: skip
        return found

    def members(self, tensors: Sequence[Tensor]) -> list[list[int]]:
        optimizers: list[list[int]] = [[] for _ in self.parts]
        places = {id(inner): k for k, inner in enumerate(self.parts)}
        for i, pattern in enumerate(self._assigned(tensors)):
            own = None if pattern is None else self._parts_by_pattern[pattern].optimizer
            optimizers[0 if own is None else places[id(own)]].append(i)
        return optimizers

    def update_leaves(
        self, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        known: dict[Pattern | None, Factors | None] = {None: None}
        for pattern in self._parts_by_pattern:
            own = state.hyper[_label(pattern)]
            known[pattern] = Factors(own["rate"], own["decay"], own["clip"], own["frozen"])
        assigned = self._assigned(tensors)
        tensors = [
            tensor.within(known[pattern]) for tensor, pattern in zip(tensors, assigned, strict=True)
        ]
        return self.update_members(gradients, state, params, tensors, objective)

    def get_config(self) -> dict[str, Any]:
        for pattern in self._parts_by_pattern:
            if not isinstance(pattern, str):
                raise errors.invalid(
                    "ByPath", "parts", "patterns as text to be saved", pattern,
                    "A function cannot be written into a file.",
                )  # fmt: skip
        return {
            "parts": {str(k): part.get_config() for k, part in self._parts_by_pattern.items()},
            "default": serialize_keras_object(self._default),
            **super().get_config(),
        }

    def __repr__(self) -> str:
        parts = {k: v.optimizer or v for k, v in self._parts_by_pattern.items()}
        return f"ByPath({parts!r}, default={self._default!r})"


class LayerwiseDecay(Wrapper):
    """Each layer learns slower than the one above it: rate * decay^(layers above).

    The weights under one path ("block_1/dense/…") are a layer; the layers come in the order
    of their weights in the model.

    When to use it: fine-tuning, where what lies near the data is to change least.

    Args:
        inner_optimizer: an optimizer, its name or its record.
        decay: the factor from one layer to the one below it; 0.9.

    >>> LayerwiseDecay("adam", 0.8).decay
    0.8

    Source: Howard & Ruder, ACL 2018, arXiv:1801.06146 (there 1 / 2.6).
    """

    decay: float = hyper(default=0.9, interval="[0, 1]", hint="Usual: 0.65 to 0.95.")

    def update_leaves(
        self, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        layers = list(dict.fromkeys(_layer(tensor.name) for tensor in tensors))
        one, moves = jnp.float32(1.0), jnp.bool_(False)
        factors = {
            layer: Factors(state.hyper["decay"] ** (len(layers) - 1 - k), one, one, moves)
            for k, layer in enumerate(layers)
        }
        tensors = [tensor.within(factors[_layer(tensor.name)]) for tensor in tensors]
        return self.update_members(gradients, state, params, tensors, objective)


def _layer(name: str) -> str:
    return name.rpartition("/")[0] or name


def _label(pattern: Pattern) -> str:
    return pattern if isinstance(pattern, str) else getattr(pattern, "__qualname__", str(pattern))


def _fits(pattern: Pattern, name: str) -> bool:
    if not isinstance(pattern, str):
        return bool(pattern(name))
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"*/{pattern}")


def _part(pattern: Any, given: Any) -> Part:
    if not isinstance(pattern, str) and not callable(pattern):
        raise errors.wrong_type("ByPath", "parts", "by a pattern or a function", pattern)
    if isinstance(given, dict) and "class_name" not in given:
        return Part(**given)  # its config
    if isinstance(given, Part):
        return given
    number = isinstance(given, (int, float, np.number)) and not isinstance(given, bool)
    return Part(rate=given) if number else Part(given)

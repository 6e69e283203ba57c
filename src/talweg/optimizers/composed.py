"""Optimizers made of optimizers.

A composed optimizer declares hyperparameters of its own and hands the step on. It does
its part before and after: `update_leaves` is what a subclass writes. The optimizers inside
keep their variables, rates and schedules, which stay live:

    lookahead = Lookahead(Adam(1e-3), steps=5)
    lookahead.learning_rate = 1e-4            # the inner one's; the same as
    lookahead.inner_optimizer.learning_rate = 1e-4

In the pure state, `hyper` holds the hyperparameters of all, `inner` all else of the
optimizers inside.

Longer than other files: one inside and many inside share all but how names lead to them.
"""

import inspect
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.hyperparameters import Hyper, hyper
from talweg.core.serialization import serialize_keras_object
from talweg.core.variables import Variable
from talweg.optimizers.base import Optimizer
from talweg.optimizers.hyperparameters import RATE
from talweg.optimizers.state import Objective, OptimizerState, Tensor, among, wide
from talweg.schedules import LearningRateSchedule

# Stands before the names of hyperparameters inside that the wrapper has as well.
INSIDE = "inner_optimizer/"


class Composed(Optimizer):
    """Base of the optimizers that hand the step on to those inside.

    Clipping, decay, averages and the like belong to the optimizers inside: a composed one
    has the hyperparameters that its class declares, and a name.

    Args:
        parts: the optimizers inside.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = [base for base in cls.__mro__ if base not in Optimizer.__mro__]
        declared = {
            n for base in own for n, value in vars(base).items() if isinstance(value, Hyper)
        }
        cls.hypers = {n: h for n, h in cls.hypers.items() if n in declared | {"name"}}

    def __init__(self, parts: Sequence[Optimizer], *args: Any, **kwargs: Any):
        self.parts: tuple[Optimizer, ...] = ()
        self.take(parts)
        super().__init__(*args, **kwargs)

    def take(self, parts: Sequence[Optimizer]) -> None:
        """Put optimizers inside, behind those that are."""
        owner = type(self).__name__
        for part in parts:
            if not isinstance(cast(object, part), Optimizer):
                raise errors.wrong_type(owner, "optimizer", "an optimizer", part)
            if part.built:
                raise errors.invalid(
                    owner, "optimizer", "one that no model was trained with yet", part,
                    "Make a new one: its state belongs to that model.",
                )  # fmt: skip
        self.parts = (*self.parts, *parts)
        for trait in ("needs_objective", "handles_overflow", "trains_elsewhere"):
            setattr(self, trait, any(getattr(one, trait) for one in (type(self), *self.parts)))

    # -- what a subclass defines -----------------------------------------------------

    def members(self, tensors: Sequence[Tensor]) -> list[list[int]]:
        """For each optimizer inside, the positions of its tensors; all, by default."""
        return [list(range(len(tensors))) for _ in self.parts]

    def hyper_of(self, hyper: dict[str, Any], part: int) -> dict[str, Any]:
        """The hyperparameters of an optimizer inside, out of `hyper_state`'s."""
        raise NotImplementedError

    # -- state -----------------------------------------------------------------------

    def build(self, var_list: Sequence[Variable]) -> None:
        variables = list(var_list)
        if not self.built:
            members = self.members([Tensor(variable.path) for variable in variables])
            for part, own in zip(self.parts, members, strict=True):
                part.build([variables[i] for i in own])
        super().build(variables)

    @property
    def state(self) -> OptimizerState:
        inner = tuple(part.state._replace(hyper={}) for part in self.parts)
        return super().state._replace(inner=inner)

    def init_leaves(
        self, params: Sequence[Any], tensors: Sequence[Tensor], hyper: dict[str, Any] | None = None
    ) -> OptimizerState:
        stored = {**self.hyper_state(), **(hyper or {})}
        leaves = [wide(jnp.asarray(leaf)) for leaf in params]
        h = SimpleNamespace(**stored)
        state = OptimizerState(
            iterations=jnp.int32(0),
            hyper=stored,
            slots=tuple(self.init_slots(leaf, h) for leaf in leaves),
            shared=self.init_shared(leaves, h),
            average=(),
            accumulated=(),
            schedules=self.scheduled,
        )
        inner = [
            part.init_leaves(
                [params[i] for i in own], [tensors[i] for i in own], self.hyper_of(state.hyper, k)
            )._replace(hyper={})
            for k, (part, own) in enumerate(zip(self.parts, self.members(tensors), strict=True))
        ]
        return state._replace(inner=tuple(inner))

    def inner_state(self, state: OptimizerState, part: int) -> OptimizerState:
        """The whole state of an optimizer inside."""
        hyper = self.hyper_of(state.hyper, part)
        if not state.inner:  # before `build` there are hyperparameters only
            return self.parts[part].cells_now()._replace(hyper=hyper)
        return state.inner[part]._replace(hyper=hyper)

    def update_leaves(
        self, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """One step, by default that of the optimizers inside."""
        return self.update_members(gradients, state, params, tensors, objective)

    def update_part(
        self, part: int, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """One step of an optimizer inside, over lists of its own tensors.

        It goes by the constraints: what is done after it must know where the weights are.
        """
        inner = self.inner_state(state, part)
        new, inner = self.parts[part].update_leaves(gradients, inner, params, tensors, objective)
        for i, tensor in enumerate(tensors):
            if tensor.constraint is not None and gradients[i] is not None:
                new[i] = tensor.constraint(new[i])
        kept = list(state.inner)
        kept[part] = inner._replace(hyper={})
        return new, state._replace(inner=tuple(kept))

    def update_members(
        self, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """One step of every optimizer inside, each over its own tensors."""
        self.check_gradients(gradients)
        moved = [jnp.asarray(p) for p in params]
        for k, own in enumerate(self.members(tensors)):
            grads = [gradients[i] for i in own]
            if all(gradient is None for gradient in grads):
                continue
            new, state = self.update_part(
                k, grads, state, [params[i] for i in own], [tensors[i] for i in own],
                objective and among(objective, params, own),
            )  # fmt: skip
            for i, value in zip(own, new, strict=True):
                moved[i] = value
        return moved, state._replace(iterations=state.iterations + 1)

    @property
    def variables(self) -> list[Variable]:
        """The own state, then that of the optimizers inside."""
        own = [self._iterations]
        if self._state is not None:
            own += jax.tree.leaves((self._state.slots, self._state.shared))
        return [*own, *(v for part in self.parts for v in part.variables)]

    @property
    def tensors(self) -> list[Tensor]:
        found = super().tensors
        for part, own in zip(self.parts, self.members(found), strict=True):
            for i, tensor in zip(own, part.tensors, strict=True):
                found[i] = found[i]._replace(decays=found[i].decays and tensor.decays)
        return found

    # -- what the optimizers inside do -----------------------------------------------

    def rate_at(self, state: OptimizerState) -> jax.Array:
        """The rate of the first optimizer inside."""
        return self.parts[0].rate_at(self.inner_state(state, 0))

    def applied_rates(self, state: OptimizerState) -> dict[str, Any]:
        return self.parts[0].applied_rates(self.inner_state(state, 0))

    def scaled_loss(self, loss: Any, state: OptimizerState) -> Any:
        for k, part in enumerate(self.parts):
            loss = part.scaled_loss(loss, self.inner_state(state, k))
        return loss

    def evaluation_leaves(
        self, params: Sequence[Any], state: OptimizerState, tensors: Sequence[Tensor]
    ) -> list[Any]:
        return self._by_parts("evaluation_leaves", params, state, tensors)

    def training_leaves(
        self, params: Sequence[Any], state: OptimizerState, tensors: Sequence[Tensor]
    ) -> list[Any]:
        return self._by_parts("training_leaves", params, state, tensors)

    def _by_parts(
        self, way: str, params: Sequence[Any], state: OptimizerState, tensors: Sequence[Tensor]
    ) -> list[Any]:
        moved = list(params)
        for k, own in enumerate(self.members(tensors)):
            there = getattr(self.parts[k], way)(
                [moved[i] for i in own], self.inner_state(state, k), [tensors[i] for i in own]
            )
            for i, value in zip(own, there, strict=True):
                moved[i] = value
        return moved

    @property
    def listens_to_epochs(self) -> bool:
        return any(part.listens_to_epochs for part in self.parts)

    def epoch_done(self, epoch: int, logs: dict[str, Any]) -> None:
        for part in self.parts:
            part.epoch_done(epoch, logs)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        for part in self.parts:
            part.finalize_variable_values(part.trainable_variables)

    @property
    def iterations(self) -> Any:
        """How many steps were taken."""
        return self._iterations


class Wrapper(Composed):
    """Base of the optimizers that change what one other does.

    Every attribute of the optimizer inside that the wrapper lacks can be read and set
    through it: the rate, its multiplier, the weight decay.

    Args:
        inner_optimizer: an optimizer, its name or its record.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        written = inspect.signature(cls.__init__).parameters.values()
        if not any(parameter.kind is parameter.VAR_POSITIONAL for parameter in written):
            return  # all of its arguments are written
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        own = [
            inspect.Parameter(name, kind, default=declaration.default)
            for name, declaration in cls.hypers.items()
            if declaration.init
        ]
        cls.__signature__ = inspect.Signature([inspect.Parameter("inner_optimizer", kind), *own])

    def __init__(self, inner_optimizer: Any, *args: Any, **kwargs: Any):
        super().__init__([optimizer_from(inner_optimizer)], *args, **kwargs)

    @property
    def inner_optimizer(self) -> Optimizer:
        """The optimizer inside."""
        return self.parts[0]

    def hyper_of(self, hyper: dict[str, Any], part: int) -> dict[str, Any]:
        inner = {name: value for name, value in hyper.items() if name not in self.hypers}
        return {name.removeprefix(INSIDE): value for name, value in inner.items()}

    def hyper_state(self) -> dict[str, Any]:
        inner = self.inner_optimizer.hyper_state()
        hidden = {name for name in inner if name in self.hypers or name.startswith(INSIDE)}
        named = {(INSIDE + name if name in hidden else name): inner[name] for name in inner}
        return {**named, **super().hyper_state()}

    def read_hyper(self, declaration: Hyper) -> Any:
        if declaration.name in self.hypers:
            return super().read_hyper(declaration)
        return getattr(self.inner_optimizer, declaration.name)

    def write_hyper(self, declaration: Hyper, value: Any) -> None:
        if declaration.name in self.hypers:
            super().write_hyper(declaration, value)
        else:
            setattr(self.inner_optimizer, declaration.name, value)

    def __getattr__(self, name: str) -> Any:
        # Only for what is not found: what the rule of the optimizer inside declares.
        if not name.startswith("_") and "parts" in vars(self):
            return getattr(self.inner_optimizer, name)
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        parts = vars(self).get("parts", ())
        if parts and name not in self.hypers and _has_hyper(parts[0], name):
            setattr(parts[0], name, value)
        else:
            super().__setattr__(name, value)

    def set_hyperparameter(self, name: str, value: Any) -> None:
        if name in self.hypers:
            super().set_hyperparameter(name, value)
        else:
            self.inner_optimizer.set_hyperparameter(name.removeprefix(INSIDE), value)

    @property
    def schedule(self) -> LearningRateSchedule | None:
        """The schedule of the rate of the optimizer inside."""
        return self.inner_optimizer.schedule

    @property
    def free_rate(self) -> str:
        return self.inner_optimizer.free_rate

    @property
    def average_variables(self) -> list[Variable]:
        return self.inner_optimizer.average_variables

    def get_config(self) -> dict[str, Any]:
        inner = serialize_keras_object(self.inner_optimizer)
        return {"inner_optimizer": inner, **super().get_config()}

    def __repr__(self) -> str:
        own = [
            f"{name}={getattr(self, name)!r}"
            for name, declaration in self.hypers.items()
            if name != "name" and declaration.init and getattr(self, name) != declaration.default
        ]
        return f"{type(self).__name__}({', '.join([repr(self.inner_optimizer), *own])})"


class Several(Composed):
    """Base of the optimizers that hand different steps to different ones."""

    rate_multiplier: float = hyper(default=1.0, interval=RATE, init=False, kw_only=True)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers inside."""
        return list(self.parts)

    def hyper_of(self, hyper: dict[str, Any], part: int) -> dict[str, Any]:
        own = hyper[str(part)]
        return {**own, "rate_multiplier": own["rate_multiplier"] * hyper["rate_multiplier"]}

    def own_hyper_state(self) -> dict[str, Any]:
        """The hyperparameters that are not of the optimizers inside."""
        return super().hyper_state()

    def hyper_state(self) -> dict[str, Any]:
        parts = zip(self._labels(), self.parts, strict=True)
        inner = {label: part.hyper_state() for label, part in parts}
        return {**self.own_hyper_state(), **inner}

    def _labels(self) -> list[str]:
        """For each optimizer inside, the key of its hyperparameters."""
        return [str(i) for i in range(len(self.parts))]

    def set_hyperparameter(self, name: str, value: Any) -> None:
        """Set an own one by name, or one inside, as "0/learning_rate"."""
        label, _, inside = name.partition("/")
        if name in self.hypers:
            super().set_hyperparameter(name, value)
        elif label in self._labels() and inside:
            self.parts[self._labels().index(label)].set_hyperparameter(inside, value)
        else:
            own = [n for n, declaration in self.hypers.items() if declaration.traced]
            inner = [f"{each}/learning_rate" for each in self._labels()]
            raise ValueError(
                f"Unknown hyperparameter of {type(self).__name__} {errors.shown(name)}. "
                f"Known: {', '.join([*own, *inner])}, and so the others of each."
            )

    def read_hyper(self, declaration: Hyper) -> Any:
        if declaration.name in self.hypers:
            return super().read_hyper(declaration)
        if declaration.name == "learning_rate":
            return self.parts[0].learning_rate
        raise AttributeError(self._has_none(declaration.name))

    def write_hyper(self, declaration: Hyper, value: Any) -> None:
        if declaration.name not in self.hypers:
            raise AttributeError(self._has_none(declaration.name))
        super().write_hyper(declaration, value)

    def _has_none(self, name: str) -> str:
        return (
            f"{type(self).__name__} has no {name} of its own: set it on one of its optimizers, "
            f"as optimizer.optimizers[0].{name}; rate_multiplier scales the rates of all."
        )

    @property
    def free_rate(self) -> str:
        return "rate_multiplier"


def _has_hyper(optimizer: Optimizer, name: str) -> bool:
    if name in optimizer.hypers:
        return True
    return isinstance(optimizer, Wrapper) and _has_hyper(optimizer.inner_optimizer, name)


def optimizer_from(given: Any) -> Any:
    """An optimizer from all that `optimizers.get` takes, but None.

    Raises:
        TypeError: it is none.
    """
    from talweg import optimizers  # which imports this module

    if given is None:
        raise errors.wrong_type("An optimizer", "the one inside", "an optimizer or its name", None)
    return optimizers.get(given)

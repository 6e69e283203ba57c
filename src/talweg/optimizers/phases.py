"""One optimizer after another, over one training.

    Phases([(Adam(1e-3), 10), (SGD(1e-2, momentum=0.9), None)])

The phase and how far it is are part of the state, so a resumed training goes on in it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from talweg.core import errors
from talweg.core.serialization import serialize_keras_object
from talweg.optimizers.composed import Several, optimizer_from
from talweg.optimizers.state import Objective, OptimizerState, Tensor

NEVER = 2**31 - 1


@dataclass(frozen=True)
class Steps:
    """A phase of so many steps.

    >>> Steps(1000).count
    1000
    """

    count: int

    def __post_init__(self) -> None:
        _check_count("Steps", "count", self.count)


@dataclass(frozen=True)
class Epochs:
    """A phase of so many epochs.

    >>> Epochs(10).count
    10
    """

    count: int

    def __post_init__(self) -> None:
        _check_count("Epochs", "count", self.count)


@dataclass(frozen=True)
class Plateau:
    """A phase that ends when a value has not fallen for some epochs.

    Args:
        monitor: the name of the value in the logs.
        patience: how many epochs without a new lowest value end the phase.
        min_delta: by how much a value must be lower to count.

    >>> Plateau("val_loss", patience=5).patience
    5
    """

    monitor: str = "val_loss"
    patience: int = 5
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        _check_count("Plateau", "patience", self.patience)
        if not self.min_delta >= 0:
            raise errors.invalid("Plateau", "min_delta", "in [0, inf)", self.min_delta)


Until = Steps | Epochs | Plateau | None
_KINDS = {kind.__name__: kind for kind in (Steps, Epochs, Plateau)}


class Shared(NamedTuple):
    """Which phase it is, and how far: its steps, its epochs, its lowest value, its wait."""

    phase: Any
    steps: Any
    epochs: Any
    lowest: Any
    wait: Any


class Phases(Several):
    """One optimizer after another.

    What a phase takes over from the one before: the weights, always. Where both are of the
    same class, with the same slots, also the moments and the count of steps, so that bias
    correction and schedules go on; where not, its moments and its count begin anew. Averages
    of `use_ema` go on where both keep them. `carried` says it in words.

    Args:
        phases: pairs of an optimizer (or its name) and when it ends: a number of epochs,
            `Steps`, `Epochs`, `Plateau`; None for the last, which does not end.
        name: the name of the optimizer.

    Raises:
        ValueError: no phase, an end that is no end, or a phase after one without end.

    When to use it: a fast method first and one that generalizes better after it; a warm-up
    with one part frozen.

    Epochs and plateaus are counted by `fit`; in a loop of your own, and in `compare`, use
    `Steps`. The logs name the phase by its number, from 0.

    >>> phases = Phases([("adam", 10), ("sgd", None)])
    >>> phases.carried
    ['Adam → SGD: begins anew']

    Source: Keskar & Socher, Improving Generalization Performance by Switching from Adam to
    SGD, arXiv:1712.07628, whose switch has a condition of its own.
    """

    def __init__(self, phases: Sequence[tuple[Any, Any]], **kwargs: Any):
        if isinstance(phases, (str, bytes)) or not all(
            isinstance(cast(object, phase), (tuple, list)) and len(phase) == 2 for phase in phases
        ):
            raise errors.wrong_type("Phases", "phases", "pairs (optimizer, end)", phases)
        if not phases:
            raise errors.invalid("Phases", "phases", "at least one pair", phases)
        self.ends = tuple(_until(end) for _, end in phases)
        if None in self.ends[:-1]:
            raise errors.invalid(
                "Phases", "phases", "with an end in every phase but the last", phases
            )
        super().__init__([optimizer_from(optimizer) for optimizer, _ in phases], **kwargs)

    @property
    def phase(self) -> int:
        """The number of the present phase, from 0."""
        return int(self.state.shared.phase.value) if self.built else 0

    @property
    def listens_to_epochs(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether an end is counted in epochs."""
        return any(isinstance(end, (Epochs, Plateau)) for end in self.ends)

    @property
    def carried(self) -> list[str]:
        """What each phase but the first takes over, in words."""
        lines: list[str] = []
        for before, after in zip(self.parts, self.parts[1:], strict=False):
            what = "goes on with its moments and its count" if _alike(before, after) else (
                "begins anew"
            )  # fmt: skip
            if before.use_ema and after.use_ema:
                what += ", the average goes on"
            lines.append(f"{type(before).__name__} → {type(after).__name__}: {what}")
        return lines

    # -- the step --------------------------------------------------------------------

    def init_shared(self, params: Sequence[Any], h: Any) -> Shared:
        zero = jnp.int32(0)
        return Shared(zero, zero, zero, jnp.float32(jnp.inf), zero)

    def update_leaves(
        self, gradients: Sequence[Any], state: OptimizerState, params: Sequence[Any],
        tensors: Sequence[Tensor], objective: Objective | None = None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        def step_of(part: int) -> Any:
            def step(operand: Any) -> Any:
                params, state = operand
                return self.update_part(part, gradients, state, params, tensors, objective)

            return step

        start = [jnp.asarray(p) for p in params]
        branches = [step_of(part) for part in range(len(self.parts))]
        new, state = jax.lax.switch(state.shared.phase, branches, (start, state))
        shared = state.shared._replace(steps=state.shared.steps + 1)
        state = state._replace(shared=shared, iterations=state.iterations + 1)
        limits = [end.count if isinstance(end, Steps) else NEVER for end in self.ends]
        if min(limits) == NEVER:
            return new, state
        over = shared.steps >= jnp.array(limits, jnp.int32)[shared.phase]
        return new, jax.lax.cond(over, self.advance_phase, lambda state: state, state)

    def advance_phase(self, state: OptimizerState) -> OptimizerState:
        """The state at the start of the next phase; pure."""
        last = len(self.parts) - 1

        def hand_over(part: int) -> Any:
            def handed(state: OptimizerState) -> OptimizerState:
                inner = list(state.inner)
                inner[part + 1] = self._carried(part, inner[part], inner[part + 1])
                return state._replace(inner=tuple(inner))

            return handed

        branches = [hand_over(part) for part in range(last)] + [lambda state: state]
        state = jax.lax.switch(state.shared.phase, branches, state)
        zero = jnp.int32(0)
        following = jnp.minimum(state.shared.phase + 1, last)
        return state._replace(shared=Shared(following, zero, zero, jnp.float32(jnp.inf), zero))

    def _carried(self, part: int, old: OptimizerState, new: OptimizerState) -> OptimizerState:
        before, after = self.parts[part], self.parts[part + 1]
        if _alike(before, after):
            new = new._replace(
                iterations=old.iterations, slots=old.slots, shared=old.shared, inner=old.inner
            )
        if before.use_ema and after.use_ema:
            new = new._replace(average=old.average)
        return new

    def epoch_done(self, epoch: int, logs: dict[str, Any]) -> None:
        """Count an epoch of the present phase, and end it where it is over."""
        super().epoch_done(epoch, logs)
        end = self.ends[self.phase]
        if not isinstance(end, (Epochs, Plateau)):
            return
        cells: Shared = self.state.shared
        cells.epochs.assign(cells.epochs.value + 1)
        over = isinstance(end, Epochs) and int(cells.epochs.value) >= end.count
        if isinstance(end, Plateau):
            if end.monitor not in logs:
                raise errors.unknown("value to monitor", end.monitor, logs)
            value = float(logs[end.monitor])
            better = value < float(cells.lowest.value) - end.min_delta
            if better:
                cells.lowest.assign(value)
            cells.wait.assign(0 if better else cells.wait.value + 1)
            over = int(cells.wait.value) >= end.patience
        if over:
            self.write_state(self.advance_phase(self.cells_now()))

    # -- what the present phase does -------------------------------------------------

    def _of_phase(self, state: OptimizerState, of_part: Any) -> Any:
        """What a function of a part gives for the present one."""
        if not state.inner:
            return of_part(0)
        branches = [lambda part=part: of_part(part) for part in range(len(self.parts))]
        return jax.lax.switch(state.shared.phase, branches)

    def rate_at(self, state: OptimizerState) -> jax.Array:
        """The rate of the present phase."""
        return self._of_phase(state, lambda k: self.parts[k].rate_at(self.inner_state(state, k)))

    def applied_rates(self, state: OptimizerState) -> dict[str, Any]:
        # A phase that has just begun has applied none yet: then it is the rate to come.
        def of_part(k: int) -> jax.Array:
            rates = self.parts[k].applied_rates(self.inner_state(state, k))
            return next(iter(rates.values()))

        phase = state.shared.phase if state.inner else jnp.int32(0)
        return {"learning_rate": self._of_phase(state, of_part), "phase": phase}

    def scaled_loss(self, loss: Any, state: OptimizerState) -> Any:
        def of_part(k: int) -> Any:
            return self.parts[k].scaled_loss(loss, self.inner_state(state, k))

        return self._of_phase(state, of_part)

    def _by_parts(
        self, way: str, params: Sequence[Any], state: OptimizerState, tensors: Sequence[Tensor]
    ) -> list[Any]:
        def of_part(k: int) -> list[Any]:
            return getattr(self.parts[k], way)(params, self.inner_state(state, k), tensors)

        return self._of_phase(state, of_part)

    # -- config ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        pairs = [
            [serialize_keras_object(optimizer), _record(end)]
            for optimizer, end in zip(self.parts, self.ends, strict=True)
        ]
        return {"phases": pairs, **super().get_config()}

    def __repr__(self) -> str:
        pairs = list(zip(self.parts, self.ends, strict=True))
        return f"Phases({pairs!r})"


def _alike(before: Any, after: Any) -> bool:
    """Whether the state of one is a state of the other: one class, one structure."""
    return type(before) is type(after) and all(
        before.uses(name) == after.uses(name) if declaration.off_at_zero
        else declaration.traced or getattr(before, name) == getattr(after, name)
        for name, declaration in before.hypers.items()
        if name != "name"
    )  # fmt: skip


def _until(end: Any) -> Until:
    if isinstance(end, dict):
        fields = dict(end)
        kind = fields.pop("until", None)
        if kind not in _KINDS:
            raise errors.unknown("end of a phase", kind, _KINDS)
        return _KINDS[kind](**fields)
    if end is None or isinstance(end, (Steps, Epochs, Plateau)):
        return end
    return Epochs(end)


def _record(end: Until) -> dict[str, Any] | None:
    return None if end is None else {"until": type(end).__name__, **asdict(end)}


def _check_count(owner: str, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise errors.invalid(owner, name, "a positive integer", value)

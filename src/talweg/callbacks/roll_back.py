"""Going back to the last good state when a training diverges, with a lower rate."""

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from talweg.callbacks import console
from talweg.callbacks.base import Callback, Logs
from talweg.callbacks.monitor_callback import check_number
from talweg.core import errors
from talweg.core.events import Alarm, BlockDone, Event


@dataclass
class Remembered:
    """A state of the training, in the host's memory.

    Attributes:
        step: how many steps the optimizer had taken.
        loss: the mean loss on the way to it; infinite while not known.
        arrays: the values of all cells, in their order.
    """

    step: int
    loss: float
    arrays: list[np.ndarray]


class RollBackOnDivergence(Callback):
    """Goes back to a good state when the training diverges, lowers the rate, and continues.

    The state is all that training moves: weights, statistics and seeds of the layers, slots,
    averages and counts of the optimizer, the scale of the loss under float16; schedules and
    phases go back with the count. It is copied when the training begins and at the end of
    every epoch. Hyperparameters are not part of it. The data goes on where it was, and the
    metrics of the epoch begin anew.

    The rate is lowered by the factor that is free: the constant, or the `rate_multiplier`
    where there is a schedule or several optimizers. Going back to the same state again, it
    is lower each time; where no epoch ended in between, an earlier state is taken, as long as
    there is one. Every time is an `Alarm` event of the kind "rollback" and a printed line.

    Memory: `copies` copies of weights and optimizer state in the host's memory, none on the
    device; with Adam, three times the weights each. `nbytes` says how much it is.

    Args:
        factor: new rate = rate * factor; in (0, 1).
        max_times: how often to go back in one run; then `fit` warns and stops as without.
        keep: "best", the remembered state with the lowest loss, or "last".
        copies: how many states are remembered, the latest ones.
        seconds: to remember a state so often within epochs, too; None does not.
        on: the kinds of alarms that make it go back. "divergence" needs nothing else;
            "spike" and "exploded" need `Alarms()` among the callbacks.
        verbose: 0 prints nothing.

    Attributes:
        times: how often it went back in this run. A resumed run counts on; the states
            themselves are not part of `state()`.

    Raises:
        ValueError: a factor outside (0, 1), an unknown `keep`, no copy at all.

    Give it before `SwapEMAWeights(swap_on_epoch=True)`, which leaves other weights in the
    model at the end of an epoch.

    >>> RollBackOnDivergence(factor=0.5, max_times=3).times
    0
    """

    def __init__(
        self,
        factor: float = 0.5,
        max_times: int = 8,
        keep: str = "best",
        copies: int = 3,
        seconds: float | None = None,
        on: Sequence[str] = ("divergence",),
        verbose: int = 1,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        if not 0 < check_number(owner, "factor", factor) < 1:
            raise errors.invalid(owner, "factor", "in (0, 1)", factor, "0.5 is usual.")
        if keep not in ("best", "last"):
            raise errors.unknown("state to keep", keep, ("best", "last"))
        if isinstance(copies, bool) or not isinstance(copies, int) or copies < 1:
            raise errors.invalid(owner, "copies", "a positive integer", copies)
        self.factor = factor
        self.max_times = check_number(owner, "max_times", max_times)
        self.keep = keep
        self.copies = copies
        self.seconds = None if seconds is None else check_number(owner, "seconds", seconds)
        self.on = (on,) if isinstance(on, str) else tuple(on)
        self.verbose = verbose
        self._reset()

    def _reset(self) -> None:
        self.times = 0
        self._kept: deque[Remembered] = deque(maxlen=self.copies)
        self._tried: Remembered | None = None
        self._training = False
        self._remembered_at = time.perf_counter()
        self._cells: list[Any] = []

    @property
    def nbytes(self) -> int:
        """How many bytes the remembered states hold now."""
        return sum(array.nbytes for state in self._kept for array in state.arrays)

    # -- hooks -----------------------------------------------------------------------

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()
        if self.model is not None and self.model.optimizer.built:
            self._cells = self._all_cells()
            self._remember_between_epochs(math.inf)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._training = True

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._training = False
        loss = (logs or {}).get("loss", math.inf)
        # An epoch that diverged in its end has gone back: there is nothing new.
        if not math.isnan(loss) and self._kept:
            self._remember_between_epochs(loss)

    def on_train_end(self, logs: Logs = None) -> None:
        self._training = False
        self._kept.clear()
        self._cells, self._tried = [], None

    def on_event(self, event: Event) -> None:
        if isinstance(event, BlockDone) and self._kept:
            self._after_block(float(event.logs.get("loss", math.nan)))
        elif isinstance(event, Alarm) and event.kind in self.on and self._training:
            self._go_back(event)

    def _after_block(self, loss: float) -> None:
        first = self._kept[0]
        if first.loss == math.inf and math.isfinite(loss):
            first.loss = loss
        due = self.seconds is not None and (
            time.perf_counter() - self._remembered_at >= self.seconds
        )
        if due and math.isfinite(loss):
            self._remember(loss)

    # -- the states ------------------------------------------------------------------

    def _all_cells(self) -> list[Any]:
        """Everything that training moves."""
        model = self.model
        state = model.optimizer.state._replace(hyper={})
        return [
            *model.trainable_variables,
            *model.non_trainable_variables,
            *jax.tree.leaves(state),
        ]

    def _remember_between_epochs(self, loss: float) -> None:
        """Where the model may hold the weights to use: those to train are remembered."""
        optimizer = self.model.optimizer
        optimizer.move_to_training()
        self._remember(loss)
        optimizer.move_to_evaluation()

    def _remember(self, loss: float) -> None:
        arrays = [np.array(cell.value) for cell in self._cells]
        self._kept.append(Remembered(self._step(), loss, arrays))
        self._tried = None
        self._remembered_at = time.perf_counter()

    def _step(self) -> int:
        return int(np.asarray(self.model.optimizer._iterations.value))

    def _choose(self) -> Remembered:
        if self._tried is not None and len(self._kept) > 1:
            self._kept = deque((s for s in self._kept if s is not self._tried), self.copies)
        if self.keep == "last":
            return self._kept[-1]
        return min(reversed(self._kept), key=lambda state: state.loss)

    def _go_back(self, alarm: Alarm) -> None:
        if self.times >= self.max_times or not self._kept:
            return
        model, optimizer = self.model, self.model.optimizer
        here, chosen = self._step(), self._choose()
        for cell, array in zip(self._cells, chosen.arrays, strict=True):
            cell.assign(array)
        model.reset_metrics()
        before = float(optimizer.rate)
        free = optimizer.free_rate
        setattr(optimizer, free, float(getattr(optimizer, free)) * self.factor)
        model.recover()
        self.times += 1
        self._tried = chosen
        message = (
            f"Went back from step {here} to step {chosen.step} after an alarm of the kind "
            f"{alarm.kind!r}, with a rate of {float(optimizer.rate):.3g} in place of "
            f"{before:.3g} ({self.times} of {self.max_times} times)."
        )
        if self.verbose > 0:
            console.say(message)
        self.tell(Alarm(step=chosen.step, kind="rollback", message=message))

    # -- resuming --------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return {"times": self.times}

    def restore(self, state: dict[str, Any]) -> None:
        self.times = int(state["times"])

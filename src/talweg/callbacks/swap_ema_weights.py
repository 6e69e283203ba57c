"""Evaluation with the averaged weights."""

from typing import Any

import jax.numpy as jnp

from talweg.callbacks.base import Callback, Logs
from talweg.core import errors


class SwapEMAWeights(Callback):
    """Puts the moving average of the weights into the model for every evaluation.

    For an optimizer with `use_ema=True` (Polyak averaging). After the evaluation, or the
    prediction (where Keras forgets it), the weights that are trained are back.

    Args:
        swap_on_epoch: whether the average is in the model from the end of an epoch to the
            beginning of the next, for callbacks behind this one (a checkpoint, say). The
            training then ends with it, also where it is stopped early.

    Raises:
        ValueError: the optimizer keeps no average.

    Example:

        model.compile(optimizer=Adam(use_ema=True), loss="mse")
        model.fit(x, y, validation_data=(u, v), callbacks=[SwapEMAWeights()])
    """

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        # (variable, its trained value) while the averages are in the model. The optimizer's
        # averages stay where they are.
        self._trained: list[tuple[Any, Any]] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._trained = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self.swap_on_epoch:
            self._put_trained()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.swap_on_epoch:
            self._put_averages()

    def on_test_begin(self, logs: Logs = None) -> None:
        self._put_averages()

    def on_test_end(self, logs: Logs = None) -> None:
        self._put_trained()

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._put_averages()

    def on_predict_end(self, logs: Logs = None) -> None:
        self._put_trained()

    def _put_averages(self) -> None:
        if self._trained is not None:
            return
        pairs = [pair for optimizer in self._averaging() for pair in _pairs(optimizer)]
        self._trained = [(variable, variable.value) for variable, _ in pairs]
        for variable, average in pairs:
            # A copy: the engine donates its buffers, so no two variables may share one.
            variable.assign(jnp.array(average.value, copy=True))

    def _put_trained(self) -> None:
        for variable, value in self._trained or ():
            variable.assign(value)
        self._trained = None

    def _averaging(self) -> list[Any]:
        """The optimizers that keep averages: inside a loss scaler, or among many."""
        outer = getattr(self.model, "optimizer", None)
        outer = getattr(outer, "inner_optimizer", outer)
        optimizers = [
            optimizer
            for optimizer in getattr(outer, "optimizers", None) or [outer]
            if getattr(optimizer, "use_ema", False)
        ]
        if not optimizers:
            raise errors.invalid(
                "SwapEMAWeights",
                "model.optimizer",
                "an optimizer that averages the weights",
                outer,
                "Make it with use_ema=True.",
            )
        return optimizers


def _pairs(optimizer: Any) -> list[tuple[Any, Any]]:
    if not optimizer.built:  # nothing was trained, so nothing was averaged
        return []
    return list(zip(optimizer.trainable_variables, optimizer.average_variables, strict=True))

"""Stopping when the loss is no number."""

import math

from talweg.callbacks import console
from talweg.callbacks.base import Callback, Logs


class TerminateOnNaN(Callback):
    """Stops the training at the first batch whose loss is NaN or infinite.

    Args:
        raise_error: whether to raise instead, so that no other callback's `on_train_end`
            is called.

    Raises:
        RuntimeError: with `raise_error`, at that batch.

    >>> TerminateOnNaN().reads
    'logs'
    """

    reads = "logs"

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"TerminateOnNaN: the loss must be finite, got {loss} at batch {batch}. "
                "A lower learning rate or clipnorm=1.0 is the usual cure."
            )
        if not self.model.stop_training:
            console.say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True

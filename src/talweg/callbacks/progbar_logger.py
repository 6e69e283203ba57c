"""The progress bar of fit, evaluate and predict."""

from typing import Any

from talweg.callbacks import console
from talweg.callbacks.base import Callback, Logs
from talweg.callbacks.progress import Progbar


class ProgbarLogger(Callback):
    """Prints the epochs, their progress and their metrics; `fit` adds one.

    It follows the blocks of the engine and has no batch hooks, so it never shortens a
    block. Inside `fit`, validation is silent. `params["verbose"]` is 0 (silent), 1 (a bar)
    or 2 (a line per epoch).

    >>> ProgbarLogger().has_batch_hooks
    False
    """

    reads = "logs"

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.progbar: Progbar | None = None
        self.target: int | None = None
        self.verbose = 1
        self.epochs = 1
        self._in_fit = False
        self._validating = False

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = params.get("epochs") or 1
        self.target = params.get("steps")

    def on_train_begin(self, logs: Logs = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: Logs = None) -> None:
        self._in_fit = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self.verbose and self.epochs > 1:
            console.say(f"Epoch {epoch + 1}/{self.epochs}")
        self._begin()

    def on_block_end(self, step: int, logs: Logs = None) -> None:
        if not self._validating:
            self.seen = step
            if self.progbar is not None and self.verbose == 1:
                self.progbar.update(step, (logs or {}).items(), finalize=False)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._end(logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        self._validating = self._in_fit
        if not self._in_fit:
            self._begin()

    def on_test_end(self, logs: Logs = None) -> None:
        self._validating = False
        if not self._in_fit:
            self._end(logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._begin()

    def on_predict_end(self, logs: Logs = None) -> None:
        self._end(None)

    def _begin(self) -> None:
        self.seen = 0
        self.progbar = Progbar(
            self.target, verbose=self.verbose, interval=0.1, stateless_metrics=()
        )

    def _end(self, logs: Logs) -> None:
        if self.target is None:
            self.target = self.seen
        if self.progbar is not None:
            self.progbar.target = self.target
            self.progbar.update(self.target, (logs or {}).items(), finalize=True)
        self.progbar = None

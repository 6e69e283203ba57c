"""Writing the model to a file while it is trained."""

import os
import re
from pathlib import Path
from typing import Any, Literal

from talweg.callbacks import console
from talweg.callbacks.base import Logs
from talweg.callbacks.folders import make_writable
from talweg.callbacks.monitor_callback import MonitorCallback
from talweg.core import errors
from talweg.core.events import CheckpointSaved


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, every epoch or every so many batches.

    A file is replaced only by one that is whole. NaN is never the best value. Every save is
    told as a `CheckpointSaved` event.

    Args:
        filepath: the name, ending in ".keras", or in ".weights.h5" with `save_weights_only`; in
            ".h5" or ".hdf5" for the layout of Keras 2. May hold `{epoch:02d}`, counted from 1,
            `{batch}`, and the names of the logs: `{val_loss:.2f}`.
        monitor: the key of the number in the logs that says which is best.
        verbose: 1 prints what is done.
        save_best_only: whether to save only when `monitor` is better than ever before. As long
            as the logs have never had it, every epoch is saved, with a warning.
        save_weights_only: whether to save weights (and optimizer) without the config.
        mode: "min", "max", or "auto" (a loss falls, a metric of the model knows).
        save_freq: "epoch", or every how many batches, counted across epochs.
        initial_value_threshold: a value to beat for the first save.

    Raises:
        ValueError: another ending, an unknown `save_freq`, a placeholder that the logs lack.
        OSError: in `fit`, at once, if the folder cannot be written.

    >>> ModelCheckpoint("best.keras", save_best_only=True).monitor
    'val_loss'
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Literal["epoch"] | int = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        owner = type(self).__name__
        self.filepath = os.fspath(filepath)
        endings = (".weights.h5" if save_weights_only else ".keras", ".h5", ".hdf5")
        if not self.filepath.endswith(endings):
            expected = f"a name that ends in {' or '.join(endings)}"
            raise errors.invalid(owner, "filepath", expected, self.filepath)
        whole = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not whole:
            raise errors.invalid(owner, "save_freq", "'epoch' or a positive integer", save_freq)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._epoch = 0
        self._batches = 0
        self._seen = 0

    @property
    def has_batch_hooks(self) -> bool:
        """Batches are looked at only where they are counted: else blocks stay long."""
        return self.save_freq != "epoch"

    def due_in(self) -> int:
        """Blocks end where the next file is due."""
        return 1 if self.save_freq == "epoch" else int(self.save_freq) - self._batches

    def on_train_begin(self, logs: Logs = None) -> None:
        folder = Path(self.filepath).parent
        if "{" not in str(folder):
            make_writable(folder, type(self).__name__)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch
        self._seen = 0

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += batch + 1 - self._seen
        self._seen = batch + 1
        if self._batches >= self.save_freq:
            self._batches = 0
            self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        if self.save_best_only:
            value = self.current(logs)
            if value is None and self.best is not None:
                return
            if value is not None and not self.is_improvement(value, self.best):
                if self.verbose > 0:
                    console.say(
                        f"Epoch {epoch + 1}: {self.monitor} did not improve from {self.best}"
                    )
                return
            before, self.best = self.best, value
        path = self._path(epoch, batch, logs)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose > 0:
            why = f"{self.monitor} improved from {before} to {self.best}, " if (
                self.save_best_only and self.best is not None
            ) else ""  # fmt: skip
            console.say(f"Epoch {epoch + 1}: {why}saved to {path}")
        self.tell(CheckpointSaved(step=int(self.model.optimizer.iterations), path=path))

    def _path(self, epoch: int, batch: int | None, logs: Logs) -> str:
        values: dict[str, Any] = {"epoch": epoch + 1, **(logs or {})}
        if batch is not None:
            values["batch"] = batch + 1
        names = re.findall(r"(?<!{){(\w+)[:!}]", self.filepath)
        for name in names:
            if name not in values:
                raise errors.unknown("placeholder of filepath", name, values)
        return self.filepath.format(**values)

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "batches": self._batches, "seen": self._seen}

    def restore(self, state: dict[str, Any]) -> None:
        self.best = state["best"]
        self._batches = int(state["batches"])
        self._seen = int(state["seen"])

"""Going on with a training that was killed."""

import os
import warnings
from pathlib import Path
from typing import Any, Literal

from talweg.callbacks.base import Callback, Logs
from talweg.callbacks.folders import make_writable
from talweg.core import errors
from talweg.core.events import CheckpointSaved, EpochDone, Event
from talweg.core.random import global_state, set_global_state

_LATEST, _PREVIOUS = "latest.h5", "previous.h5"


class BackupAndRestore(Callback):
    """Keeps the state of the training in a folder, and begins where a killed run ended.

    Run the same program again: after the last whole epoch it goes on, and ends with the
    numbers of a run that was never interrupted: weights, optimizer, rates, seeds, order of
    the data, history, and what the other callbacks remember in `state()`. Data that comes
    from a generator of your own begins anew, so its order must depend on the epoch alone.

    The file is replaced only by a whole one and carries checksums: a damaged one is an error,
    never a wrong state. Every save is told as a `CheckpointSaved` event.

    Args:
        backup_dir: the folder; of this training only. Made where it is missing.
        save_freq: "epoch". (Keras also counts batches; a state amid an epoch is not kept
            here.)
        double_checkpoint: whether the file before the latest is kept, too, and taken where
            the latest is damaged.
        delete_checkpoint: whether the files are removed when `fit` ends as it should.

    Raises:
        ValueError: another `save_freq`; in `fit`, a backup of another model.
        OSError: in `fit`, at once, if the folder cannot be written.

    >>> BackupAndRestore("backup").save_freq
    'epoch'
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: Literal["epoch"] | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        owner = type(self).__name__
        if not os.fspath(backup_dir):
            raise errors.invalid(owner, "backup_dir", "the name of a folder", backup_dir)
        if save_freq != "epoch":
            raise errors.invalid(
                owner, "save_freq", "'epoch'", save_freq, "A state amid an epoch is not kept."
            )
        self.backup_dir = Path(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint

    def on_train_begin(self, logs: Logs = None) -> None:
        make_writable(self.backup_dir, type(self).__name__)
        for unfinished in self.backup_dir.glob(f".{_LATEST}.*.tmp"):  # of a run that was killed
            unfinished.unlink(missing_ok=True)

    def epochs_left(self, epochs: range) -> range:
        told = self._restored()
        if told is None:
            return epochs
        set_global_state(told["random"])
        batches = self._listeners.batches
        if told["seed"] is not None and hasattr(batches, "seed"):
            batches.seed = told["seed"]
        self._listeners.restore(told["callbacks"])
        first = epochs.stop if told["stopped"] else told["epoch"] + 1
        return range(max(first, epochs.start), max(epochs.stop, epochs.start))

    def _restored(self) -> dict[str, Any] | None:
        problems: list[str] = []
        for name in (_LATEST, _PREVIOUS):
            path = self.backup_dir / name
            if not path.exists():
                continue
            try:
                told = self.model.restore_state(path)
            except ValueError as error:
                problems.append(str(error))
                continue
            for problem in problems:
                warnings.warn(f"{problem} The one before it was taken.", stacklevel=2)
            return told
        if problems:
            raise ValueError(
                f"{problems[0]} Remove {self.backup_dir} to begin anew, or mend what was changed."
            )
        return None

    def on_event(self, event: Event) -> None:
        if not isinstance(event, EpochDone):
            return
        path = self.backup_dir / _LATEST
        if self.double_checkpoint and path.exists():
            os.replace(path, self.backup_dir / _PREVIOUS)
        listeners = self._listeners
        told = {
            "epoch": event.epoch,
            "stopped": bool(self.model.stop_training),
            "seed": getattr(listeners.batches, "seed", None),
            "random": global_state(),
            "callbacks": listeners.state(),
        }
        self.model.backup_state(path, told)
        self.tell(CheckpointSaved(step=event.step, path=str(path)))

    def on_train_end(self, logs: Logs = None) -> None:
        if self.delete_checkpoint:
            for name in (_LATEST, _PREVIOUS):
                (self.backup_dir / name).unlink(missing_ok=True)

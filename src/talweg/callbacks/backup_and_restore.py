"""Going on with a training that was killed."""

import math
import os
import secrets
import warnings
import zlib
from pathlib import Path
from typing import Any, Literal

from talweg.callbacks.base import Callback, Logs
from talweg.callbacks.callback_list import plain
from talweg.callbacks.folders import Lock, make_writable
from talweg.core import errors
from talweg.core.events import BlockDone, CheckpointSaved, EpochDone, Event, RunEnded
from talweg.core.random import global_state, set_global_state

_LATEST, _PREVIOUS, _LOCK = "latest.h5", "previous.h5", "run.lock"


class BackupAndRestore(Callback):
    """Keeps the state of the training in a folder, and begins where a killed run ended.

    Run the same program again: where the last backup was made it goes on, and ends with the
    numbers of a run that was never interrupted: weights, optimizer, rates, seeds, order of
    the data, metrics, history, and what the other callbacks remember in `state()`. Data that
    comes from a generator of your own begins anew, so its order must depend on the epoch
    alone; what was used of an interrupted epoch is passed over.

    The file is replaced only by a whole one, and carries checksums, a version and the name of
    its run: one that is damaged, newer or another's is an error, never a wrong state. A second
    training in the folder is refused while the first one lives. Every save is told as a
    `CheckpointSaved` event.

    Args:
        backup_dir: the folder; of this training only. Made where it is missing.
        save_freq: "epoch", or every how many batches, counted across epochs.
        double_checkpoint: whether the file before the latest is kept, too, and taken, with a
            warning, where the latest is damaged.
        delete_checkpoint: whether the files are removed when `fit` ends as it should, and the
            folder where nothing else is in it.

    Raises:
        ValueError: another `save_freq`; in `fit`, a backup of another run or model.
        OSError: in `fit`, at once, if the folder cannot be written, or another one writes it.

    >>> BackupAndRestore("backup", save_freq=100).save_freq
    100
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
        if backup_dir is None or not os.fspath(backup_dir):  # pyright: ignore
            raise errors.invalid(owner, "backup_dir", "the name of a folder", backup_dir)
        whole = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not whole:
            raise errors.invalid(owner, "save_freq", "'epoch' or a positive integer", save_freq)
        self.backup_dir = Path(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._lock: Lock | None = None
        self._run: str | None = None
        # The interrupted epoch, from when its backup was found until it is gone on with.
        self._interrupted: int | None = None
        # Where the training is: the epoch, its steps, and the steps since the last backup.
        self._epoch = self._steps = self._unsaved = 0

    @property
    def has_batch_hooks(self) -> bool:
        """Whether batches are counted: blocks must then end where a backup is due."""
        return self.save_freq != "epoch"

    def due_in(self) -> int:
        """Blocks end where the next backup is due."""
        return 1 if self.save_freq == "epoch" else int(self.save_freq) - self._unsaved

    def on_train_begin(self, logs: Logs = None) -> None:
        owner = type(self).__name__
        make_writable(self.backup_dir, owner)
        self._lock = Lock(self.backup_dir / _LOCK, owner)
        self._run = _told_run(self._lock.text)
        self._unsaved = 0
        for unfinished in self.backup_dir.glob(f".{_LATEST}.*.tmp"):  # of a run that was killed
            unfinished.unlink(missing_ok=True)

    def epochs_left(self, epochs: range) -> range:
        told = self._restored()
        if told is None:
            self._belong(self._run or secrets.token_hex(8))
            return epochs
        self._belong(told["run"])
        self._take_up(told)
        self._interrupted = told["epoch"] if told["steps"] else None
        first = epochs.stop if told["stopped"] else told["epoch"]
        return range(max(first, epochs.start), max(epochs.stop, epochs.start))

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch, self._steps = epoch, 0

    def steps_done(self, epoch: int) -> tuple[int, dict[str, Any]]:
        if self._interrupted != epoch:
            return 0, {}
        self._interrupted = None
        # Again, since this epoch began once more: what was done to the model then is undone.
        told = self.model.restore_state(self.backup_dir / _LATEST, self._run)
        self._take_up(told)
        self._steps = told["steps"]
        return told["steps"], told["logs"]

    def _belong(self, run: str) -> None:
        """The folder is that run's."""
        assert self._lock is not None
        self._run = run
        self._lock.text = f"{run} {zlib.crc32(run.encode())}"

    def _take_up(self, told: dict[str, Any]) -> None:
        """What is not in the model: random numbers, the order of the data, the callbacks."""
        set_global_state(told["random"])
        batches = self._listeners.batches
        if told["seed"] is not None and hasattr(batches, "seed"):
            batches.seed = told["seed"]
        self._listeners.restore(told["callbacks"])

    def _restored(self) -> dict[str, Any] | None:
        """What the newest sound backup told, which is then the latest; None where there is none."""
        problems: list[str] = []
        for name in (_LATEST, _PREVIOUS):
            path = self.backup_dir / name
            if not path.exists():
                continue
            try:
                told = self.model.restore_state(path, self._run)
            except ValueError as error:
                problems.append(str(error))
                continue
            for problem in problems:
                warnings.warn(f"{problem} The one before it was taken.", stacklevel=2)
            # A damaged one makes way, else it would push out the sound one at the next save.
            os.replace(path, self.backup_dir / _LATEST)
            return told
        if problems:
            raise ValueError(
                f"{problems[0]} Remove {self.backup_dir} to begin anew, or mend what was changed."
            )
        return None

    def on_event(self, event: Event) -> None:
        if isinstance(event, RunEnded):
            self._release()
        elif isinstance(event, EpochDone):
            if self.save_freq == "epoch":
                self._save(event.step, event.epoch + 1, 0, {})
        elif isinstance(event, BlockDone) and self.save_freq != "epoch":
            self._steps += event.steps
            self._unsaved += event.steps
            # Not where training ends at once, or would have to go back first.
            last = self.model.stop_training or not math.isfinite(event.logs.get("loss", 0.0))
            if self._unsaved >= self.save_freq and not last:
                self._unsaved = 0
                self._save(event.step, self._epoch, self._steps, event.logs)

    def _save(self, step: int, epoch: int, steps: int, logs: dict[str, Any]) -> None:
        """Write the state after `step` steps in all, which are so many of the epoch."""
        path = self.backup_dir / _LATEST
        if self.double_checkpoint and path.exists():
            os.replace(path, self.backup_dir / _PREVIOUS)
        listeners = self._listeners
        told = {
            "run": self._run,
            "epoch": epoch,
            "steps": steps,
            "logs": plain(logs),
            "stopped": bool(self.model.stop_training),
            "seed": getattr(listeners.batches, "seed", None),
            "random": global_state(),
            "callbacks": listeners.state(),
        }
        self.model.backup_state(path, told, amid=steps > 0)
        self.tell(CheckpointSaved(step=step, path=str(path)))

    def on_train_end(self, logs: Logs = None) -> None:
        if self.delete_checkpoint:
            for name in (_LATEST, _PREVIOUS):
                (self.backup_dir / name).unlink(missing_ok=True)
        self._release(remove=self.delete_checkpoint)

    def _release(self, remove: bool = False) -> None:
        if self._lock is None:
            return
        self._lock.release(remove)
        self._lock = None
        if remove and not any(self.backup_dir.iterdir()):
            self.backup_dir.rmdir()


def _told_run(text: str) -> str | None:
    """The name of the run in a lock; None where it is empty or damaged."""
    run, _, checksum = text.partition(" ")
    return run if run and checksum == str(zlib.crc32(run.encode())) else None

"""A run as a folder: its log of events, and the commands that others leave in it.

    runs/first/events.jsonl      one event a line, appended, never rewritten
    runs/first/commands.jsonl    what another process wants of the run, read between blocks
    runs/first/events.lock       held by the process that trains; another one is refused

Whoever watches a run reads its folder and never touches the process that trains.
"""

import json
import os
from pathlib import Path
from typing import Any

from talweg.callbacks.base import Callback
from talweg.callbacks.callback_list import plain
from talweg.callbacks.folders import Lock
from talweg.core import errors
from talweg.core.events import Alarm, BlockDone, EpochDone, Event, RunEnded, RunStarted, read_log

EVENTS, COMMANDS = "events.jsonl", "commands.jsonl"
_LOCK = "events.lock"


class RunFolder(Callback):
    """Writes the events of a run into a folder, and obeys the commands found there.

    Commands are JSON lines, which `send` writes: `{"set": {"learning_rate": 1e-4}}` sets
    hyperparameters of the optimizer, `{"stop": true}` ends the training after the block.
    They are obeyed between two blocks, so within about 0.2 s. One that cannot be obeyed
    becomes an Alarm event and changes nothing. Nothing in them is ever executed.

    Args:
        path: the folder; made where it is missing. A log that is there already is gone on
            with: every run in it begins with RunStarted.

    Raises:
        OSError: when `fit` begins, if the folder cannot be made or written, or if another
            training writes into it now.

    >>> import tempfile
    >>> folder = RunFolder(tempfile.mkdtemp())
    >>> folder.on_event(RunStarted(step=0, epochs=5, steps_per_epoch=100))
    >>> [event.epochs for event in folder.events()]
    [5]
    """

    def __init__(self, path: str | os.PathLike[str]):
        super().__init__()
        self.path = Path(path)
        self._log = self.path / EVENTS
        self._commands = self.path / COMMANDS
        self._obeyed = 0
        self._lock: Lock | None = None

    def events(self) -> list[Event]:
        """All events that the folder holds."""
        return read_log(self._log) if self._log.exists() else []

    def on_event(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.path.mkdir(parents=True, exist_ok=True)
            self._release()
            self._lock = Lock(self.path / _LOCK, type(self).__name__)
            _end_last_line(self._log)
            # What was asked of an earlier run is not for this one.
            self._obeyed = self._commands.stat().st_size if self._commands.exists() else 0
        self._append(event)
        if isinstance(event, BlockDone):
            self._obey(event.step)
        elif isinstance(event, RunEnded):
            self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release(remove=True)
            self._lock = None

    def _append(self, event: Event) -> None:
        if isinstance(event, (BlockDone, EpochDone)):
            record = {**vars(event), "logs": plain(event.logs)}
            event = type(event)(**record)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(event.to_json() + "\n")
            if not isinstance(event, BlockDone):
                log.flush()
                os.fsync(log.fileno())

    def _obey(self, step: int) -> None:
        """Read what was added to the commands since the last block."""
        try:
            if self._commands.stat().st_size <= self._obeyed:
                return
            with self._commands.open("rb") as commands:
                commands.seek(self._obeyed)
                added = commands.read()
        except FileNotFoundError:
            return
        whole = added[: added.rfind(b"\n") + 1]
        self._obeyed += len(whole)
        for line in whole.decode("utf-8", errors="replace").splitlines():
            try:
                self._obey_one(json.loads(line))
            except (ValueError, TypeError, RecursionError) as error:
                message = f"Command {errors.shown(line)} was refused: {error}"
                self._append(Alarm(step=step, kind="command", message=message))

    def _obey_one(self, command: Any) -> None:
        if not isinstance(command, dict) or command.keys() - {"set", "stop"}:
            raise errors.invalid("RunFolder", "command", 'an object with "set" or "stop"', command)
        values = command.get("set", {})
        if not isinstance(values, dict):
            raise errors.invalid("RunFolder", "set", "an object of names and numbers", values)
        for name, value in values.items():
            self.model.optimizer.set_hyperparameter(name, value)
        if command.get("stop"):
            self.model.stop_training = True


def send(path: str | os.PathLike[str], **command: Any) -> None:
    """Leave a command in the folder of a run: `set={"learning_rate": 1e-4}`, `stop=True`.

    Args:
        path: the folder that the run's `RunFolder` was given.
        **command: `set`, hyperparameters by name; `stop`, whether to end.

    Raises:
        FileNotFoundError: no run has written into that folder.

    >>> send("no/such/run", stop=True)
    Traceback (most recent call last):
    ...
    FileNotFoundError: no/such/run holds no run: there is no events.jsonl in it.
    """
    folder = Path(path)
    if not (folder / EVENTS).exists():
        raise FileNotFoundError(f"{folder} holds no run: there is no {EVENTS} in it.")
    with (folder / COMMANDS).open("a", encoding="utf-8") as commands:
        commands.write(json.dumps(command) + "\n")


def _end_last_line(path: Path) -> None:
    """Let a line that a killed run left unfinished be cut off, so that a new one can begin."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        whole = file.read()
        if whole and not whole.endswith(b"\n"):
            file.truncate(whole.rfind(b"\n") + 1)

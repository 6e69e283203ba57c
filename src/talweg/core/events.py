"""What a run tells: frozen records that go to a log of JSON lines and back.

History, the progress bar, a monitor or a leaderboard are folds over these.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from talweg.core import errors

# JSON has no words for these; other readers would stumble over Python's.
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

Tell = Callable[["Event"], None]


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Args:
        step: how many steps the optimizer had taken.
        time: when, in seconds since 1970.

    >>> line = EpochDone(step=10, time=0.0, epoch=0, logs={"loss": float("inf")}).to_json()
    >>> line
    '{"event": "EpochDone", "step": 10, "time": 0.0, "epoch": 0, "logs": {"loss": "Infinity"}}'
    >>> Event.from_json(line).logs
    {'loss': inf}
    """

    step: int
    time: float = dataclasses.field(default_factory=time.time, kw_only=True, compare=False)

    kinds: ClassVar[dict[str, type["Event"]]] = {}

    def __init_subclass__(cls) -> None:
        Event.kinds[cls.__name__] = cls

    def to_json(self) -> str:
        """One line of JSON, the event's kind first."""
        record = {"event": type(self).__name__, **_in_words(dataclasses.asdict(self))}
        return json.dumps(record, allow_nan=False)

    @staticmethod
    def from_json(line: str) -> "Event":
        """The event that `to_json` wrote.

        Raises:
            ValueError: no JSON object, an unknown kind, or fields that it has not.
        """
        record = json.loads(line)
        if not isinstance(record, dict):
            raise errors.invalid("Event", "line", "a JSON object", line)
        fields = {str(k): v for k, v in record.items()}  # pyright: ignore[reportUnknownVariableType]
        kind = fields.pop("event", None)
        if kind not in Event.kinds:
            raise errors.unknown("event", kind, Event.kinds)
        for name in ("logs", "before", "after"):
            if name in fields:
                fields[name] = _in_numbers(fields[name])
        try:
            return Event.kinds[kind](**fields)
        except TypeError as error:
            raise errors.invalid(kind, "line", "the fields of the event", line) from error


@dataclass(frozen=True)
class RunStarted(Event):
    """Training begins: up to which epoch, and the steps of each where they are known."""

    epochs: int
    steps_per_epoch: int | None


@dataclass(frozen=True)
class BlockDone(Event):
    """A block of `steps` steps is done; `logs` are the running averages of the epoch."""

    steps: int
    seconds: float
    logs: dict[str, Any]


@dataclass(frozen=True)
class EpochDone(Event):
    """An epoch and its validation are done."""

    epoch: int
    logs: dict[str, Any]


@dataclass(frozen=True)
class RateChanged(Event):
    """A hyperparameter was set, by whoever it was; it acts from the next step on."""

    name: str
    before: float
    after: float


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """The state was written."""

    path: str


@dataclass(frozen=True)
class Alarm(Event):
    """Something looks wrong: its kind, and a sentence."""

    kind: str
    message: str


@dataclass(frozen=True)
class RunEnded(Event):
    """Training is over: "finished", "stopped", "interrupted" or "failed: …"."""

    reason: str


def read_log(path: str | Path) -> list[Event]:
    """The events of a log, in their order.

    A last line without its end is left out: its writer was killed, or is at it now.

    Args:
        path: the file, one event a line.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line that is no event, with its number.
    """
    events: list[Event] = []
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.split("\n")[:-1], 1):
        try:
            events.append(Event.from_json(line))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return events


def _in_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _in_words(v) for k, v in value.items()}  # pyright: ignore
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _in_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _in_numbers(v) for k, v in value.items()}  # pyright: ignore
    return _WORDS.get(value, value) if isinstance(value, str) else value

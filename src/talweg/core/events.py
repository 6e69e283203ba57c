"""What a run tells: frozen records that go to JSON and back.

History, the progress bar, a monitor or a leaderboard are folds over these.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, ClassVar

from talweg.core import errors


@dataclass(frozen=True)
class Event:
    """One thing that happened; `step` counts the optimizer's steps."""

    step: int

    kinds: ClassVar[dict[str, type["Event"]]] = {}

    def __init_subclass__(cls) -> None:
        Event.kinds[cls.__name__] = cls

    def to_json(self) -> str:
        """One line of JSON, the event's kind first."""
        return json.dumps({"event": type(self).__name__, **dataclasses.asdict(self)})

    @staticmethod
    def from_json(line: str) -> "Event":
        """The event that `to_json` wrote."""
        record = json.loads(line)
        kind = record.pop("event", None)
        if kind not in Event.kinds:
            raise errors.unknown("event", kind, Event.kinds)
        return Event.kinds[kind](**record)


@dataclass(frozen=True)
class RunStarted(Event):
    epochs: int
    steps_per_epoch: int | None


@dataclass(frozen=True)
class BlockDone(Event):
    steps: int
    seconds: float
    logs: dict[str, float]


@dataclass(frozen=True)
class EpochDone(Event):
    epoch: int
    logs: dict[str, Any]


@dataclass(frozen=True)
class RateChanged(Event):
    name: str
    before: float
    after: float


@dataclass(frozen=True)
class CheckpointSaved(Event):
    path: str


@dataclass(frozen=True)
class Alarm(Event):
    kind: str
    message: str


@dataclass(frozen=True)
class RunEnded(Event):
    reason: str

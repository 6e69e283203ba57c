"""`talweg set` and `talweg stop`: steer a run that another process trains."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from talweg.callbacks.run_folder import EVENTS, send
from talweg.core import errors
from talweg.core.events import Alarm, Event, RateChanged, RunEnded

# A block takes 0.1 s; longer where the model is large, or just being compiled.
PATIENCE = 2.0

_SET_EPILOG = """\
examples:
  talweg set runs/first learning_rate=1e-4
  talweg set runs/first rate_multiplier=0.5 weight_decay=0.01

The run must have been given its folder: fit(…, callbacks=[callbacks.RunFolder("runs/first")]).
It obeys between two blocks, within about 0.2 seconds, without recompiling, and writes the
change or why it was refused into events.jsonl; what it wrote within two seconds is shown.
An optimizer in a part or phase: default/learning_rate=1e-4, 0/learning_rate=1e-4.
"""


def add_parser(subparsers: Any) -> None:
    """Add the commands `set` and `stop`."""
    change = subparsers.add_parser(
        "set",
        help="set the learning rate, or another hyperparameter, of a run that trains now",
        description="Set hyperparameters of a run that another process trains.",
        epilog=_SET_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    change.add_argument("folder", metavar="FOLDER", help="the folder of the run")
    change.add_argument(
        "values", metavar="NAME=VALUE", nargs="+", type=_assignment, help="learning_rate=1e-4"
    )
    change.set_defaults(run=_set)
    stop = subparsers.add_parser(
        "stop",
        help="end a run that trains now, with its weights and history intact",
        description="End a run that another process trains, after its present block.",
    )
    stop.add_argument("folder", metavar="FOLDER", help="the folder of the run")
    stop.set_defaults(run=_stop)


def _assignment(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected NAME=NUMBER, as learning_rate=1e-4, got {errors.shown(text)}"
        ) from None


def _set(options: argparse.Namespace) -> int:
    values = dict(options.values)
    asked = [f"Asked for {name} = {value:g} in {options.folder}." for name, value in values.items()]

    def answered(told: list[Event]) -> bool:
        return sum(isinstance(event, RateChanged) for event in told) >= len(values)

    return _ask(options.folder, {"set": values}, "\n".join(asked), answered)


def _stop(options: argparse.Namespace) -> int:
    asked = f"Asked the run in {options.folder} to stop."
    return _ask(options.folder, {"stop": True}, asked, lambda told: False)


def _ask(
    folder: str, command: dict[str, Any], asked: str, answered: Callable[[list[Event]], bool]
) -> int:
    """Send a command, and show what the run says to it; 1 where it is not obeyed."""
    log = Path(folder) / EVENTS
    told, place = _told(log, -1)
    if told and isinstance(told[-1], RunEnded):
        raise ValueError(f"the run in {folder} has ended ({told[-1].reason}): nobody would obey.")
    send(folder, **command)
    print(asked)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        told, _ = _told(log, place)
        refused = [event for event in told if isinstance(event, Alarm) and event.kind == "command"]
        if refused or answered(told) or any(isinstance(event, RunEnded) for event in told):
            break
        time.sleep(0.05)
    else:
        print("It has not answered yet: it obeys when its present block is done.")
    for event in told:
        if isinstance(event, RateChanged):
            print(f"Step {event.step}: {event.name} {event.before:.4g} → {event.after:.4g}.")
        elif isinstance(event, RunEnded):
            print(f"Step {event.step}: the run has ended ({event.reason}).")
        elif isinstance(event, Alarm) and event.kind == "command":
            print(f"Step {event.step}: {event.message}", file=sys.stderr)
            return 1
    return 0


def _told(log: Path, place: int) -> tuple[list[Event], int]:
    """The whole events behind a place in the log (-1: the last few), and where it ends."""
    if not log.exists():
        return [], 0
    with log.open("rb") as file:
        size = file.seek(0, 2)
        start = max(0, size - 100_000) if place < 0 else place
        file.seek(start)
        lines = file.read().decode("utf-8", errors="replace").split("\n")[:-1]
    if place < 0 and start:
        lines = lines[1:]  # the first was cut
    return [Event.from_json(line) for line in lines], size

"""`talweg set` and `talweg stop`: steer a run that another process trains."""

import argparse
from typing import Any

from talweg.callbacks.run_folder import send
from talweg.core import errors

_SET_EPILOG = """\
examples:
  talweg set runs/first learning_rate=1e-4
  talweg set runs/first rate_multiplier=0.5 weight_decay=0.01

The run must have been given its folder: fit(…, callbacks=[callbacks.RunFolder("runs/first")]).
It obeys between two blocks, within about 0.2 seconds, without recompiling, and writes the
change or why it was refused into events.jsonl.
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


def _set(options: argparse.Namespace) -> None:
    send(options.folder, set=dict(options.values))
    for name, value in options.values:
        print(f"Asked for {name} = {value:g} in {options.folder}.")


def _stop(options: argparse.Namespace) -> None:
    send(options.folder, stop=True)
    print(f"Asked the run in {options.folder} to stop.")

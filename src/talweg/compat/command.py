"""`talweg run`: a Keras script on talweg."""

import argparse
from typing import Any

from talweg.compat.script import run_script


def add_parser(subparsers: Any) -> None:
    """Add the command `run`."""
    parser = subparsers.add_parser(
        "run",
        help="run a Keras or tf.keras script on talweg",
        description="Run a script whose `import keras` and `import tensorflow as tf` are "
        "answered by talweg. The script is not changed, and Keras need not be installed.",
        epilog="`python -m talweg SCRIPT …` is the same, and shorter.",
    )
    parser.add_argument("script", metavar="SCRIPT", help="the script, a .py file")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="…", help="arguments of the script"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    return run_script(options.script, options.arguments)

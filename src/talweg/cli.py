"""The command line: `talweg run`, `talweg compare`, and whatever else brings a command.

A command is a module with a function `add_parser(subparsers)`. It adds its parser and sets
its default `run` to a function that takes the parsed arguments and returns the exit code
(None is 0). A `ValueError`, `OSError` or missing extra that leaves it is shown as one line.

Exit codes: 0 done, 1 an error, 2 wrong usage, 130 Ctrl-C, 141 the reader of the output left.
"""

import argparse
import importlib
import importlib.util
import os
import platform
import sys
from collections.abc import Sequence

import talweg
from talweg.core.errors import MissingExtraError

# Found by name, so that the modules of a command are imported only when it is asked for.
COMMANDS = {
    "run": "talweg.compat.command",
    "compare": "talweg.search.command",
    "find-rate": "talweg.search.rate_command",
    "set": "talweg.monitor.command",
    "stop": "talweg.monitor.command",
}

_EXAMPLES = """\
examples:
  python -m talweg train.py --epochs 5
      run a Keras or tf.keras script as it is: `import keras` and
      `import tensorflow as tf` are answered by talweg. Keras need not be installed.
  talweg compare people.csv --target income
      which optimizer and which learning rate for this table, with error bars.
  talweg find-rate people.csv --target income --optimizer adam
      which learning rate for one optimizer, in seconds: many are tried for a few steps.
  talweg COMMAND --help
      all that a command takes.

in Python:
  from talweg import Sequential, layers
  model = Sequential([layers.Dense(64, activation="relu"), layers.Dense(1)])
  model.compile(optimizer="adam", loss="mse")
  model.fit(x, y, epochs=10)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name; those of the process by default."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _dispatch(arguments)
        # What is still unwritten may find the pipe closed: here, and not at the very end.
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("talweg: interrupted.", file=sys.stderr)
        return 130
    return code


def _dispatch(arguments: list[str]) -> int:
    if arguments and _is_script(arguments[0]):
        arguments = ["run", *arguments]
    parser = _parser(arguments)
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        return options.run(options) or 0
    except BrokenPipeError:
        raise
    except (ValueError, OSError, MissingExtraError) as error:
        if options.traceback:
            raise
        print(f"talweg {options.command}: {error}", file=sys.stderr)
        return 1


def _is_script(argument: str) -> bool:
    if argument.startswith("-") or argument in COMMANDS:
        return False
    return argument.endswith(".py") or os.path.isfile(argument)


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="talweg",
        usage="talweg [--version] COMMAND …  |  python -m talweg SCRIPT.py [arguments]",
        description="Train neural networks with Keras's API on JAX, many times faster, and "
        "choose the optimizer and the learning rate.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.add_argument(
        "--traceback", action="store_true", help="show where in the code an error came from"
    )
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", prog="talweg"
    )
    asked = [argument for argument in arguments if argument in COMMANDS][:1]
    for module in dict.fromkeys(COMMANDS[command] for command in asked or COMMANDS):
        if importlib.util.find_spec(module) is not None:
            importlib.import_module(module).add_parser(commands)
    return parser


def _version() -> str:
    import jax

    return (
        f"talweg {talweg.__version__} (jax {jax.__version__}, Python {platform.python_version()})"
    )

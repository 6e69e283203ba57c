"""`talweg compare data.csv --target column`: the comparison from the command line."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from talweg.callbacks.folders import make_writable
from talweg.core import errors
from talweg.search.candidates import nameable

if TYPE_CHECKING:
    from talweg.search.table import Table

_EPILOG = """\
examples:
  talweg compare census.csv.gz --target income
  talweg compare houses.parquet --target price --epochs 50 --report houses.html
  talweg compare data.csv --target y --optimizers adam nadam --learning-rates 1e-4 1e-3 1e-2

The table is split into folds. On every fold each optimizer trains a small network at each
learning rate; the scores are those of the rows that were held back. Numbers are scaled and
categories encoded by the training part of each fold only.
"""


def add_parser(subparsers: Any) -> None:
    """Add `compare` to the command line."""
    parser = subparsers.add_parser(
        "compare",
        help="which optimizer and which learning rate for my data",
        description="Which optimizer, and which learning rate, suits the data in a table?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_table_arguments(parser)
    names = nameable()
    parser.add_argument(
        "--optimizers",
        nargs="+",
        default=["sgd", "adam", "rmsprop", "adagrad", "nadam"],
        metavar="NAME",
        help=f"which to compare (default: the five classic ones; known: {', '.join(names)})",
    )
    parser.add_argument(
        "--learning-rates",
        nargs="+",
        type=float,
        metavar="RATE",
        help="the rates to try (default: 9 on a log grid that suits each optimizer)",
    )
    parser.add_argument("--folds", type=int, default=5, help="parts to hold back in turn (5)")
    parser.add_argument("--seeds", type=int, default=1, help="repetitions per fold (1)")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the data (20)")
    parser.add_argument(
        "--monitor",
        default="val_loss",
        help="the score: val_loss (default), val_accuracy, val_mae",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write a report with pictures as HTML"
    )
    parser.set_defaults(run=run)


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every command that trains on a table."""
    parser.add_argument("data", type=Path, help="a CSV (also .gz) or Parquet file")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    parser.add_argument("--batch-size", type=int, default=32, help="rows per step (32)")
    parser.add_argument(
        "--task",
        choices=["auto", "classification", "regression"],
        default="auto",
        help="what the target is (auto: read off its values)",
    )
    parser.add_argument(
        "--rows", type=int, metavar="N", help="use N rows drawn at random, for a first look"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn (0)")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")


def check_output(command: str, option: str, path: Path | None) -> None:
    """Refuse a file that could not be written, before the training that it is to tell of."""
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir():
        raise errors.invalid(command, option, "a file", str(path), "It is a folder.")
    if not folder.is_dir():
        raise errors.invalid(command, option, "in a folder that exists", str(path))
    try:
        make_writable(folder, command)
    except OSError as error:
        expected = "in a folder that can be written to"
        raise errors.invalid(command, option, expected, str(path), str(error)) from error


class Opened(NamedTuple):
    """A table as a command works on it.

    Attributes:
        table: what was read.
        features, target: all rows of it, or those that were drawn.
        width: how many inputs the encoded features are.
        notes: what was dropped, grouped, filled in or drawn.
    """

    table: "Table"
    features: Any
    target: np.ndarray
    width: int
    notes: list[str]

    @property
    def scaled(self) -> bool:
        """Whether the target is standardized."""
        return self.table.target_transformer() is not None


def opened(arguments: argparse.Namespace, console: Any) -> Opened:
    """Read the table that the arguments name, and tell about it."""
    from talweg.search.table import read

    table = read(arguments.data, arguments.target, arguments.task)
    features, target = table.features, table.target
    notes = list(table.notes)
    if arguments.rows is not None and arguments.rows < 1:
        raise errors.invalid(arguments.command, "--rows", "a positive integer", arguments.rows)
    if arguments.rows is not None and arguments.rows < len(table):
        features, target = _sampled(table, arguments.rows, arguments.seed)
        notes.append(f"A random part of {len(target):,} of {len(table):,} rows was used.")
    kind = f"{len(table.classes)} classes" if table.classes else "a regression"
    width = int(table.transformer().fit_transform(features.iloc[:]).shape[1])
    console.print(
        f"{arguments.data.name}: {len(target):,} rows, {features.shape[1]} columns "
        f"({width} inputs), target {arguments.target} ({kind})",
        markup=False,
    )
    for note in notes:
        console.print(f"- {note}", markup=False)
    return Opened(table, features, target, width, notes)


def run(arguments: argparse.Namespace) -> int:
    """Run the comparison and print what it found; returns the exit status."""
    from rich.console import Console

    from talweg.search import compare
    from talweg.search.leaderboard import table_text

    console = Console(highlight=False)
    check_output("compare", "--report", arguments.report)
    data = opened(arguments, console)
    table = data.table
    if data.scaled:
        unit = "variances" if arguments.monitor.endswith("loss") else "standard deviations"
        console.print(f"- Scores are in {unit} of the target.")
    result = compare(
        lambda: table.build(data.width),
        data.features,
        data.target,
        optimizers=arguments.optimizers,
        learning_rates=arguments.learning_rates,
        folds=arguments.folds,
        seeds=arguments.seeds,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        monitor=arguments.monitor,
        loss=table.loss,
        metrics=table.metrics,
        transform=table.transformer,
        target_transform=table.target_transformer if data.scaled else None,
        seed=arguments.seed,
        verbose=0 if arguments.quiet else "auto",
    )
    frame = result.to_frame()
    console.print(table_text(frame, console.width))
    console.print(result.advice(), markup=False)
    if arguments.report is not None:
        title = f"{arguments.target} of {arguments.data.name}"
        path = result.report(arguments.report, title=title, notes=data.notes)
        console.print(f"Report: {path}", markup=False, soft_wrap=True)
    return 0


def _sampled(table: Any, rows: int, seed: int) -> tuple[Any, Any]:
    from talweg.core.random import host_generator

    chosen = host_generator(seed, rows).permutation(len(table))[:rows]
    return table.features.iloc[chosen].reset_index(drop=True), table.target[chosen]

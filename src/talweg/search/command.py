"""`talweg compare data.csv --target column`: the comparison from the command line."""

import argparse
from pathlib import Path
from typing import Any

from talweg.core import errors
from talweg.optimizers import catalog

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
    parser.add_argument("data", type=Path, help="a CSV (also .gz) or Parquet file")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    names = sorted(name.lower() for name in catalog.classes())
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
    parser.add_argument("--batch-size", type=int, default=32, help="rows per step (32)")
    parser.add_argument(
        "--task",
        choices=["auto", "classification", "regression"],
        default="auto",
        help="what the target is (auto: read off its values)",
    )
    parser.add_argument(
        "--monitor",
        default="val_loss",
        help="the score: val_loss (default), val_accuracy, val_mae",
    )
    parser.add_argument(
        "--rows", type=int, metavar="N", help="use N rows drawn at random, for a first look"
    )
    parser.add_argument("--seed", type=int, default=0, help="of folds, weights and orders (0)")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write a report with pictures as HTML"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the comparison and print what it found; returns the exit status."""
    from rich.console import Console

    from talweg.search import compare
    from talweg.search.leaderboard import table_text
    from talweg.search.table import read

    console = Console(highlight=False)
    if arguments.report is not None and not arguments.report.absolute().parent.is_dir():
        raise errors.invalid(
            "compare", "--report", "in a folder that exists", str(arguments.report)
        )
    table = read(arguments.data, arguments.target, arguments.task)
    features, target = table.features, table.target
    notes = list(table.notes)
    if arguments.rows is not None:
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
    scaled = table.target_transformer() is not None
    if scaled:
        console.print("- Scores are in standard deviations of the target.")
    result = compare(
        lambda: table.build(width),
        features,
        target,
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
        target_transform=table.target_transformer if scaled else None,
        seed=arguments.seed,
        verbose=0 if arguments.quiet else "auto",
    )
    frame = result.to_frame()
    console.print(table_text(frame, console.width))
    console.print(result.advice(), markup=False)
    if arguments.report is not None:
        title = f"{arguments.target} of {arguments.data.name}"
        path = result.report(arguments.report, title=title, notes=notes)
        console.print(f"Report: {path}", markup=False, soft_wrap=True)
    return 0


def _sampled(table: Any, rows: int, seed: int) -> tuple[Any, Any]:
    from talweg.core.random import host_generator

    if rows < 1:
        raise errors.invalid("compare", "--rows", "a positive integer", rows)
    chosen = host_generator(seed, rows).permutation(len(table))[:rows]
    return table.features.iloc[chosen].reset_index(drop=True), table.target[chosen]

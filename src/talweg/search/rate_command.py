"""`talweg find-rate data.csv --target column`: a learning rate from the command line."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from talweg.search.candidates import nameable
from talweg.search.command import add_table_arguments, check_output, opened

if TYPE_CHECKING:
    from talweg.search.rate_result import RateResult

_EPILOG = """\
examples:
  talweg find-rate census.csv.gz --target income
  talweg find-rate houses.parquet --target price --optimizer sgd --plot rates.png
  talweg find-rate data.csv --target y --learning-rates 1e-4 1e-3 1e-2 --steps 300

A small network is trained for some steps at each rate, all at once, from the same weights.
All rows are trained on: which optimizer predicts best is what `talweg compare` finds out.
"""


def add_parser(subparsers: Any) -> None:
    """Add `find-rate` to the command line."""
    parser = subparsers.add_parser(
        "find-rate",
        help="which learning rate for my data, in seconds",
        description="Which learning rate suits a small network on the data in a table?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_table_arguments(parser)
    names = nameable()
    parser.add_argument(
        "--optimizer",
        default="adam",
        metavar="NAME",
        help=f"whose rate (adam; known: {', '.join(names)})",
    )
    parser.add_argument(
        "--learning-rates",
        nargs="+",
        type=float,
        metavar="RATE",
        help="the rates to try (default: 24 on a log grid that suits the optimizer)",
    )
    parser.add_argument("--steps", type=int, default=100, help="how long each trains (100)")
    parser.add_argument("--seeds", type=int, default=3, help="batch orders per rate (3)")
    parser.add_argument(
        "--gradient-noise",
        action="store_true",
        help="measure the noise of the gradients, too: up to which batch size larger ones pay",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the result (PNG, SVG, PDF)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Probe the rates and print what was found; returns the exit status."""
    from rich.console import Console

    from talweg.search import advise, find_learning_rate
    from talweg.utils import set_random_seed

    console = Console(highlight=False)
    check_output("find-rate", "--plot", arguments.plot)
    data = opened(arguments, console)
    x, y = data.table.transformer().fit_transform(data.features), data.target
    if data.scaled:
        y = data.table.target_transformer().fit_transform(y.reshape(-1, 1))
        console.print("- The loss is in variances of the target.")
    set_random_seed(arguments.seed)
    model = data.table.build(data.width)
    model.compile(arguments.optimizer, data.table.loss)
    result = find_learning_rate(
        model,
        x,
        np.asarray(y, np.float32) if data.scaled else y,
        rates=arguments.learning_rates,
        steps=arguments.steps,
        seeds=arguments.seeds,
        batch_size=arguments.batch_size,
        gradient_noise=arguments.gradient_noise,
        seed=arguments.seed,
        verbose=0 if arguments.quiet else "auto",
    )
    result = replace(result, current=None)  # nobody chose the one that the network came with
    console.print(table_text(result))
    console.print(str(result), markup=False)
    for advice in advise(result):
        console.print(f"- {advice}", markup=False)
    if arguments.plot is not None:
        result.plot(arguments.plot)
        console.print(f"Picture: {arguments.plot}", markup=False, soft_wrap=True)
    return 0


def table_text(result: "RateResult") -> Any:
    """A row per rate, as a rich table: the loss, its spread, and what became of it."""
    from rich.table import Table

    table = Table()
    for heading in ("rate", "loss", "lowest to highest", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    frame = result.to_frame()
    near = np.abs(np.log(result.rates / result.suggestion))
    chosen = -1 if np.isnan(near).any() else int(near.argmin())
    lowest = int(result.final.mean(axis=1).argmin())
    for place, row in enumerate(frame.to_dict("records")):
        too_high = result.edge is not None and row["learning_rate"] >= result.edge
        cells = [f"{row['learning_rate']:.3g}", "–", "–", "–"]
        if not row["diverged"]:
            spread = f"{row['low']:.4g} to {row['high']:.4g}"
            cells[1:] = [f"{row['loss']:.4g}", spread, f"{row['change']:+.1%}"]
        verdict = f"diverged, {row['diverged']} of {row['seeds']}" if row["diverged"] else ""
        if place == chosen:
            verdict = "next to the suggestion"
        elif place == lowest:
            verdict = "lowest"
        elif too_high and not verdict:
            verdict = "too high"
        style = "bold green" if place == chosen else "dim" if too_high else ""
        table.add_row(*cells, verdict, style=style)
    return table

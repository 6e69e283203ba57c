"""`python -m benchmarks [ROW ...]`: talweg and its peers, side by side in one run.

Each peer lives in a process of its own; repeats are interleaved. Peers that are not
installed are skipped by name. Exit status: 1 where a contestant failed.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks import machine, report
from benchmarks.measure import measure
from benchmarks.rows import ROWS

# Who takes part in a smoke run of all rows: those that start fast.
QUICK = ("talweg", "talweg-cold", "talweg-warm", "keras-jax", "c", "python")

HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"unknown row {unknown[0]!r}; rows are {', '.join(ROWS)}")
    console = Console(width=None if sys.stdout.isatty() else 160)
    output = options.output or (None if options.quick else HERE / "results.json")
    if options.render:
        results = report.load(output or HERE / "results.json")
    else:
        results = _run(options, console)
        if output is not None:
            results = report.save(results, output)
    report.show(results, console)
    if options.root or not options.quick:
        for page in report.write_pages(results, options.root or HERE.parent):
            console.print(f"Written: {page}", markup=False, highlight=False)
    return int(any(result.failed for result in results.values()))


def _run(options: argparse.Namespace, console: Console) -> report.Results:
    load = machine.load()
    if load > 0.5:
        console.print(
            f"Other processes are busy (load {load:.1f}): times are noisy, trust ratios only."
        )
    if options.quick:
        console.print("A smoke run with little of the work: its ratios mean nothing.")
    repeats = options.repeats or (1 if options.quick else 7)
    results: report.Results = {}
    with console.status("") as status:
        for name in options.rows or ROWS:

            def tell(what: str, name: str = name) -> None:
                status.update(f"{name}: {what}")

            row = ROWS[name]
            if options.quick and not options.rows:
                kept = {key: row.contestants[key] for key in QUICK if key in row.contestants}
                row = replace(row, contestants=kept)
            results[name] = measure(row, repeats, options.quick, tell)
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", metavar="ROW",
        help=f"what to measure, all by default: {', '.join(ROWS)}",
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, help="measurements of each (7; quick: 1)")
    parser.add_argument("--quick", action="store_true", help="a smoke run; writes no files")
    parser.add_argument("--output", type=Path, help="JSON of the results (results.json)")
    parser.add_argument("--root", type=Path, help="where the pages are (this project)")
    parser.add_argument("--render", action="store_true", help="no run: the table from the JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Results as a table on the screen, as JSON and as Markdown."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.machine import sentence
from benchmarks.measure import Comparison, Result, compare
from benchmarks.rows import ROWS, UNITS, Row

MARKS = BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
HEADER = ("work", "talweg", "against", "", "talweg is faster by", "at least", "")

# A loss this far from talweg's, relatively, is not the same work.
LOSS_TOLERANCE = 0.25


# By the names of the rows.
Results = dict[str, Result]


def save(results: Results, path: Path) -> Results:
    """Write a run as JSON; rows that were measured before stay.

    Returns:
        The rows as written.
    """
    before = load(path) if path.exists() else {}
    merged = {**before, **results}
    results = {name: merged[name] for name in ROWS if name in merged}
    record = {name: asdict(result) for name, result in results.items()}
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return results


def load(path: Path) -> Results:
    """Read what `save` wrote."""
    return {name: Result(**values) for name, values in json.loads(path.read_text()).items()}


def lines(results: Results) -> Iterator[list[str]]:
    """The lines of the table, as cells."""
    for name, result in results.items():
        row = ROWS[name]
        for comparison in compare(row, result):
            yield _cells(row, result, comparison)


def remarks(results: Results) -> Iterator[str]:
    """What a reader must know besides: who was left out, who failed, whose loss differs."""
    for name, result in results.items():
        contestants = ROWS[name].contestants
        for key, missing in result.skipped.items():
            yield f"{name}: skipped {contestants[key].label}: {', '.join(missing)} not installed."
        for key, message in result.failed.items():
            yield f"{name}: {contestants[key].label} failed: {message}"
        reference = result.losses.get(ROWS[name].subjects[0])
        for key, loss in result.losses.items():
            if reference is not None and not _alike(loss, reference):
                yield (
                    f"{name}: after the warm-up {ROWS[name].check} of {contestants[key].label} was "
                    f"{loss:.3g}, talweg's {reference:.3g}: not the same work?"
                )


def places(results: Results) -> Iterator[str]:
    """When and on what the rows were measured; which of them, where there were several machines."""
    machines: dict[str, list[str]] = {}
    for name, result in results.items():
        machines.setdefault(sentence(result.machine), []).append(name)
    for machine, names in machines.items():
        dates = ", ".join(sorted({results[name].date for name in names}))
        which = f"{', '.join(names)}: measured" if len(machines) > 1 else "Measured"
        yield f"{which} on {dates}; {machine}"


def show(results: Results, console: Console) -> None:
    """Print the table."""
    table = Table(*HEADER, title=escape("Medians; ratios pair by pair, [lowest … highest]"))
    before = ""
    for cells in lines(results):
        work = cells[0]
        if before and work != before:
            table.add_section()
        cells[0] = "" if work == before else work
        table.add_row(*(escape(cell) for cell in cells))
        before = work
    console.print(table)
    for remark in remarks(results):
        console.print(remark, markup=False, highlight=False)
    for where in places(results):
        console.print(where, markup=False, highlight=False)


def markdown(results: Results) -> str:
    """The table in Markdown, with the machine and the remarks."""
    out = [
        "| " + " | ".join(HEADER) + " |",
        "| --- | ---: | --- | ---: | ---: | ---: | --- |",
        *("| " + " | ".join(cells) + " |" for cells in lines(results)),
        "",
        "Medians of interleaved repeats; ratios pair by pair, [lowest … highest].",
        *(f"- {where}." for where in places(results)),
        *(f"- {remark}" for remark in remarks(results)),
    ]
    return "\n".join(out)


def write_pages(results: Results, root: Path) -> list[Path]:
    """Put the lines of each row into its page; the pages that were written."""
    pages = sorted({ROWS[name].page for name in results})
    for page in pages:
        own = {name: result for name, result in results.items() if ROWS[name].page == page}
        file, _, marks = page.partition("#")
        write_markdown(own, root / file, marks)
    return sorted({root / page.partition("#")[0] for page in pages})


def write_markdown(results: Results, path: Path, marks: str = "") -> None:
    """Put the table between the marks of that name in a file, or at its end."""
    begin, end = (mark.replace(" -->", f" {marks} -->" if marks else " -->") for mark in MARKS)
    text = path.read_text() if path.exists() else ""
    if begin not in text:
        text = f"{text.rstrip()}\n\n{begin}\n{end}\n".lstrip()
    head, _, rest = text.partition(begin)
    tail = rest.partition(end)[2]
    path.write_text(f"{head}{begin}\n{markdown(results)}\n{end}{tail}")


def _cells(row: Row, result: Result, comparison: Comparison) -> list[str]:
    subject, peer = row.contestants[comparison.subject], row.contestants[comparison.peer]
    warmth = subject.label.partition(", ")[2]
    against = f"the best of them: {peer.label}" if comparison.best else peer.label
    verdict = {None: "", True: "met", False: "not met"}[comparison.met]
    spread = f"{_times(comparison.ratio)} [{_times(comparison.low)} … {_times(comparison.high)}]"
    return [
        row.title + (f" ({warmth})" if warmth else ""),
        _time(row, result.seconds[comparison.subject]),
        against,
        _time(row, result.seconds[comparison.peer]),
        spread,
        "" if comparison.at_least is None else _times(comparison.at_least),
        verdict,
    ]


def _time(row: Row, seconds: list[float]) -> str:
    shown = f"{median(seconds) * UNITS[row.unit]:.3g} {row.unit} per {row.per}"
    if row.rounds > 1:
        shown += f", at best {min(seconds) * UNITS[row.unit]:.3g}"
    if row.bytes:
        shown += f", {row.bytes / median(seconds) / 1e9:.3g} GB/s"
    return shown


def _times(ratio: float) -> str:
    return f"{ratio:.0f}×" if ratio >= 20 else f"{ratio:.2g}×"


def _alike(loss: float, reference: float) -> bool:
    return abs(loss - reference) <= LOSS_TOLERANCE * abs(reference)

"""A comparison in words: the advice, and the table of configurations for the terminal."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as RichTable

# Below NARROW columns a ruled table breaks its cells, plain lines stay readable; below WIDE
# there is no room for the epoch and the seconds.
NARROW, WIDE = 78, 100
MANY_DIVERGED = 0.25
NAMED_TIES = 3


def advice(frame: "pd.DataFrame", monitor: str, higher_is_better: bool) -> str:
    """What the comparison recommends, in a few sentences of plain text.

    Names the best optimizer and rate with the score and its standard error, what cannot be
    told from it, and what to doubt: a best rate at an edge of its grid, many divergences.

    Args:
        frame: a row per configuration, as `compare` makes it.
        monitor: the name of the score.
        higher_is_better: True for an accuracy, False for a loss.
    """
    ordered = frame.sort_values("rank", kind="stable")
    best = ordered.iloc[0]
    if not math.isfinite(best["mean"]):
        return (
            f"All {len(frame)} configurations diverged: {monitor} was not finite for any. "
            "Try smaller learning rates, and check that the data are finite and standardized."
        )
    rate = _rate(best["learning_rate"])
    word = "highest" if higher_is_better else "lowest"
    told = [
        f"Use {printable(best['optimizer'])} with a learning rate of {rate}: "
        f"the {word} {printable(monitor)}, "
        f"{_score(best['mean'], best['standard_error'])} (mean ± standard error of "
        f"{best['members']:.0f} runs).",
        _ties(ordered, best),
        _edge(frame, best),
    ]
    diverged = int(np.count_nonzero(frame["diverged"] > 0))
    if diverged >= MANY_DIVERGED * len(frame):
        told.append(f"{diverged} of {len(frame)} configurations diverged: the grids reach too far.")
    return " ".join(sentence for sentence in told if sentence)


def _ties(ordered: "pd.DataFrame", best: "pd.Series") -> str:
    if len(ordered) == 1:
        return ""
    others = ordered.iloc[1:]
    tied = others[others["tie"].astype(bool)]
    if tied.empty:
        return "Every other configuration is worse by more than chance explains."
    # The nearest rival of each optimizer says more than five rates of one.
    rivals = tied.drop_duplicates("optimizer").head(NAMED_TIES)
    names = [
        f"{printable(row['optimizer'])} at {_rate(row['learning_rate'])}"
        for _, row in rivals.iterrows()
    ]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    if len(tied) == len(names):
        return f"{listed} cannot be told from it."
    return f"{len(tied)} other configurations cannot be told from it, among them {listed}."


def _edge(frame: "pd.DataFrame", best: "pd.Series") -> str:
    rates = frame.loc[frame["optimizer"] == best["optimizer"], "learning_rate"]
    if rates.nunique() < 2:
        return ""
    for extreme, name, way in ((rates.min(), "smallest", "down"), (rates.max(), "largest", "up")):
        if best["learning_rate"] == extreme:
            return f"That is the {name} rate tried: extend the grid {way}wards."
    return ""


def table_text(frame: "pd.DataFrame", width: int, top: int = 10) -> "RichTable | str":
    """The leading configurations, for the terminal.

    Args:
        frame: a row per configuration, as `compare` makes it.
        width: columns of the terminal. Below 78 the answer is plain text.
        top: how many configurations to show, best first.

    Returns:
        A rich Table, or a string of one line per configuration.
    """
    rows = rows_of(frame)[:top]
    left_out = len(frame) - len(rows)
    rest = f"and {left_out} more" if left_out else ""
    if width < NARROW:
        lines = [
            f"{row['rank']:>3}  {row['optimizer']} {row['rate']}  {row['score']}  {row['verdict']}"
            for row in rows
        ]
        return "\n".join(_cut(line.rstrip(), max(width, 20)) for line in [*lines, rest] if line)
    from rich.table import Table
    from rich.text import Text

    table = Table(caption=rest or None, caption_justify="left")
    shown = {
        key: column
        for key, column in COLUMNS.items()
        if width >= WIDE or key not in ("best_epoch", "seconds")
    }
    for key, (heading, justify) in shown.items():
        table.add_column(heading, justify=justify, no_wrap=key != "optimizer")  # pyright: ignore[reportArgumentType]
    for row in rows:
        style = "bold green" if row["verdict"] == "best" else "" if row["tied"] else "dim"
        table.add_row(*(Text(str(row[key])) for key in shown), style=style)
    return table


def _cut(line: str, width: int) -> str:
    """With a mark where the end is missing: half a number is another number."""
    return line if len(line) <= width else line[: width - 1] + "…"


# What the tables show, under which heading, how justified.
COLUMNS = {
    "rank": ("#", "right"),
    "optimizer": ("optimizer", "left"),
    "rate": ("rate", "right"),
    "score": ("score", "right"),
    "verdict": ("against the best", "left"),
    "best_epoch": ("best epoch", "right"),
    "diverged": ("diverged", "right"),
    "seconds": ("seconds", "right"),
}


def rows_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """The cells of the tables as text, best configuration first."""
    rows: list[dict[str, Any]] = []
    for row in frame.sort_values("rank", kind="stable").to_dict("records"):
        finite = math.isfinite(row["mean"])
        if not finite:
            verdict = "diverged"
        elif not rows:
            verdict = "best"
        else:
            p_value = row["p_value"]
            p = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
            verdict = f"{'tie' if row['tie'] else 'worse'}, {p}"
        rows.append(
            {
                "rank": row["rank"],
                "optimizer": printable(row["optimizer"]),
                "rate": _rate(row["learning_rate"]),
                "score": _score(row["mean"], row["standard_error"]),
                "verdict": verdict,
                "tied": bool(row["tie"]) and finite,
                "best_epoch": _whole(row["best_epoch"]),
                "diverged": f"{row['diverged']} of {row['members']}" if row["diverged"] else "",
                "seconds": f"{row['seconds']:.2f}" if math.isfinite(row["seconds"]) else "",
            }
        )
    return rows


def _whole(value: Any) -> str:
    return f"{value:.0f}" if math.isfinite(value) else "–"


def _rate(rate: float) -> str:
    return f"{rate:.3g}"


def _score(mean: float, error: float) -> str:
    """Mean ± error, both to the second digit of the error."""
    if not math.isfinite(mean):
        return "–"
    if not math.isfinite(error) or error <= 0:
        return f"{mean:.4g}"
    places = 1 - math.floor(math.log10(error))
    if places > 8 or places < -2:
        return f"{mean:.4g} ± {error:.2g}"
    return f"{mean:.{max(places, 0)}f} ± {error:.{max(places, 0)}f}"


def printable(text: Any) -> str:
    """Text without control characters, which a terminal would obey."""
    return "".join(letter if letter.isprintable() else "�" for letter in str(text))

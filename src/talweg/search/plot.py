"""The picture of a comparison: score against rate, and the learning curves of the best rates."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from talweg.core import errors

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PURPOSE = "the picture of a comparison"
# Okabe & Ito's colours that stay apart for colour-blind eyes and on white; markers repeat the
# distinction, line styles take over beyond eight optimizers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5230", "#444444")
MARKERS = "osDpPhd8"
STYLES = ("-", "--", "-.", ":")
MUTED = "#666666"
# Scores further from the best than this many times what 60 % of the configurations stay
# within are drawn at the edge: a rate that nearly diverged shall not flatten the others.
ROBUST_SHARE, ROBUST_REACH = 60, 4.0
LABEL_LENGTH = 24

Curves = Mapping[tuple[str, float], Mapping[str, np.ndarray]]


class Look(NamedTuple):
    """How an optimizer is drawn, the same in both panels."""

    colour: str
    marker: str
    style: str


def plot_comparison(frame: "pd.DataFrame", curves: Curves, monitor: str) -> "Figure":
    """Draw a comparison, 12 x 5 inches at 100 dots per inch.

    Left: the mean score of each learning rate, a line per optimizer, with a band of one
    standard error; crosses at the edge are diverged configurations, arrows those beyond the
    scale. Right: the training (dashed) and validation (solid) curves of each optimizer's best
    rate, with bands of one standard deviation over members.

    Args:
        frame: a row per configuration with the columns optimizer, learning_rate, mean,
            standard_error, rank and diverged.
        curves: by (optimizer, learning_rate), arrays of shape (members, epochs) named as in
            History: "loss", "val_loss", …; NaN after a divergence.
        monitor: the name of the score, for example "val_loss".

    Raises:
        ValueError: the frame has no rows.
    """
    if not len(frame):
        raise ValueError("plot_comparison: frame must have at least one row, got none.")
    figure_module = errors.extra("matplotlib.figure", "data", PURPOSE)
    figure = figure_module.Figure(figsize=(12, 5), dpi=100, layout="constrained")
    errors.extra("matplotlib.backends.backend_agg", "data", PURPOSE).FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    looks = _looks(list(dict.fromkeys(frame["optimizer"])))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#e6e6e6", linewidth=0.8)
        axes.set_axisbelow(True)
    _draw_scores(left, frame, looks, monitor)
    _draw_curves(right, frame, curves, looks, monitor)
    return figure


def _looks(labels: list[str]) -> dict[str, Look]:
    size = len(COLOURS)
    return {
        label: Look(COLOURS[i % size], MARKERS[i % size], STYLES[i // size % len(STYLES)])
        for i, label in enumerate(labels)
    }


def _draw_scores(axes: "Axes", frame: "pd.DataFrame", looks: dict[str, Look], monitor: str) -> None:
    rates = frame["learning_rate"].to_numpy(np.float64)
    means = frame["mean"].to_numpy(np.float64)
    finite = np.isfinite(means)
    worst_is_high = _worst_is_high(frame)
    low, high = _score_limits(frame, worst_is_high)
    axes.set_ylim(low, high)
    if np.all(rates > 0):
        axes.set_xscale("log")
    edge = high if worst_is_high else low
    span = high - low
    inwards = -1 if worst_is_high else 1
    for row, (label, look) in enumerate(looks.items()):
        mine = (frame["optimizer"] == label).to_numpy()
        order = np.flatnonzero(mine & finite)[np.argsort(rates[mine & finite])]
        x, y = rates[order], means[order]
        error = np.nan_to_num(frame["standard_error"].to_numpy(np.float64)[order])
        # One level per optimizer, so that marks of the same rate do not cover each other.
        level = edge + inwards * span * (0.02 + 0.028 * (row % 8))
        beyond = (y > high) | (y < low)
        shown = np.where(beyond, level, y)
        error = np.where(beyond, 0, error)
        axes.plot(
            x,
            shown,
            color=look.colour,
            marker=look.marker,
            markevery=np.flatnonzero(~beyond).tolist(),
            linestyle=look.style,
            markersize=4.5,
            linewidth=1.6,
            label=_short(label),
        )
        axes.fill_between(
            x, shown - error, shown + error, color=look.colour, alpha=0.18, linewidth=0
        )
        arrow = "^" if worst_is_high else "v"
        axes.plot(x[beyond], shown[beyond], arrow, color=look.colour, markersize=6)
        diverged = mine & ((frame["diverged"].to_numpy() > 0) | ~finite)
        axes.plot(
            rates[diverged], np.full(diverged.sum(), level), "x", color=look.colour, markersize=6
        )
    _mark_best(axes, frame, looks, (low, high))
    _explain(axes, frame, (low, high))
    axes.set_xlabel("learning rate")
    axes.set_ylabel(_plain(monitor))
    axes.set_title("Score by learning rate (mean ± standard error)", loc="left", fontsize=11)


def _explain(axes: "Axes", frame: "pd.DataFrame", limits: tuple[float, float]) -> None:
    """The legend, with the marks that occur."""
    lines = errors.extra("matplotlib.lines", "data", PURPOSE)
    means = frame["mean"].to_numpy(np.float64)
    beyond = np.isfinite(means) & ((means < limits[0]) | (means > limits[1]))
    handles, labels = axes.get_legend_handles_labels()
    marks = [
        ("x", "diverged", bool(np.any((frame["diverged"] > 0) | ~np.isfinite(means)))),
        ("^" if _worst_is_high(frame) else "v", "off the scale", bool(beyond.any())),
    ]
    for marker, text, occurs in marks:
        if occurs:
            handles.append(lines.Line2D([], [], color=MUTED, marker=marker, linestyle="none"))
            labels.append(text)
    axes.figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=min(len(labels), 8),
        frameon=False,
        fontsize=9,
    )


def _worst_is_high(frame: "pd.DataFrame") -> bool:
    """Whether low scores are good, read off the ranks."""
    means = frame["mean"].to_numpy(np.float64)
    finite = np.isfinite(means)
    if not finite.any():
        return True
    best = means[finite][np.argmin(frame["rank"].to_numpy()[finite])]
    return bool(best <= np.mean(means[finite]))


def _score_limits(frame: "pd.DataFrame", worst_is_high: bool) -> tuple[float, float]:
    means = frame["mean"].to_numpy(np.float64)
    finite = np.isfinite(means)
    if not finite.any():
        return 0.0, 1.0
    sign = 1.0 if worst_is_high else -1.0
    costs = sign * means[finite]
    spread = np.nan_to_num(frame["standard_error"].to_numpy(np.float64)[finite])
    gaps = costs - costs.min()
    reach = float(gaps.max())
    robust = ROBUST_REACH * float(np.percentile(gaps, ROBUST_SHARE))
    if 0 < robust < reach:
        reach = robust
    error = float(spread[np.argmin(costs)])
    reach = max(reach, 2 * error, 1e-6 * abs(float(costs.min())), 1e-12)
    best = float(costs.min()) - error - 0.16 * reach
    worst = float(costs.min()) + 1.12 * reach
    if np.any(frame["diverged"] > 0) or not finite.all() or gaps.max() > reach:
        # Room at the edge for the marks, one level per optimizer.
        worst += 0.03 * min(len(set(frame["optimizer"])), 8) * reach
    return (best, worst) if worst_is_high else (-worst, -best)


def _mark_best(
    axes: "Axes", frame: "pd.DataFrame", looks: dict[str, Look], limits: tuple[float, float]
) -> None:
    best = frame.loc[frame["rank"].idxmin()]
    if not math.isfinite(best["mean"]):
        axes.text(0.5, 0.5, "every configuration diverged", transform=axes.transAxes, ha="center")
        return
    colour = looks[best["optimizer"]].colour
    axes.plot(
        best["learning_rate"],
        best["mean"],
        "*",
        color=colour,
        markersize=15,
        markeredgecolor="white",
        zorder=5,
    )
    rates = frame["learning_rate"].to_numpy(np.float64)
    # The label hangs to the side with more room, on the empty side of the best score.
    leftward = best["learning_rate"] > math.sqrt(max(rates.min(), 1e-300) * rates.max())
    below = best["mean"] < sum(limits) / 2
    axes.annotate(
        f"{_short(best['optimizer'])} at {best['learning_rate']:.3g}: {best['mean']:.4g}",
        (best["learning_rate"], best["mean"]),
        xytext=(-4 if leftward else 4, -9 if below else 9),
        textcoords="offset points",
        ha="right" if leftward else "left",
        va="top" if below else "bottom",
        color=colour,
        fontsize=10,
        fontweight="bold",
    )


def _draw_curves(
    axes: "Axes",
    frame: "pd.DataFrame",
    curves: Curves,
    looks: dict[str, Look],
    monitor: str,
) -> None:
    """The monitored quantity of the best rate of each optimizer over the epochs."""
    plain = monitor.removeprefix("val_")
    ends: list[tuple[float, str, str]] = []
    seen: list[np.ndarray] = []
    epochs = 1
    for label, look in looks.items():
        mine: Any = frame[frame["optimizer"] == label]
        rate = mine.loc[mine["rank"].idxmin(), "learning_rate"]
        logs = curves.get((label, rate), {})
        end = None
        for name, style in ((plain, "--"), (f"val_{plain}", "-")):
            if name not in logs:
                continue
            middle, spread = _over_members(np.asarray(logs[name], np.float64))
            if not np.isfinite(middle).any():
                continue
            epochs = max(epochs, len(middle))
            x = np.arange(1, len(middle) + 1)
            solid = style == "-"
            axes.plot(
                x,
                middle,
                style,
                color=look.colour,
                linewidth=1.7 if solid else 1.1,
                marker="o" if len(middle) == 1 else None,
            )
            if solid:
                axes.fill_between(
                    x, middle - spread, middle + spread, color=look.colour, alpha=0.13, linewidth=0
                )
            known = middle[np.isfinite(middle)]
            seen.append(known)
            end = (float(known[-1]), f"{_short(label)}  {rate:.3g}", look.colour)
        if end:
            ends.append(end)
    if not seen:
        axes.text(0.5, 0.5, "no curves", transform=axes.transAxes, ha="center", color=MUTED)
        axes.set_axis_off()
        return
    # The first epochs may run off the scale: what matters is how the curves end.
    shares = (0, 85) if _worst_is_high(frame) else (15, 100)
    low, high = np.percentile(np.concatenate(seen), shares)
    last = [end for end, _, _ in ends]
    low, high = min(low, *last), max(high, *last)
    margin = 0.06 * (high - low) or 1e-6 + 0.01 * abs(high)
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(1 - 0.02 * epochs, epochs + 0.02 * epochs)
    axes.xaxis.set_major_locator(
        errors.extra("matplotlib.ticker", "data", PURPOSE).MaxNLocator("auto", integer=True)
    )
    _label_ends(axes, ends)
    axes.set_xlabel("epoch")
    axes.set_ylabel(_plain(plain))
    title = "Best rate of each optimizer: validation solid, training dashed"
    axes.set_title(title, loc="left", fontsize=11)


def _over_members(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per epoch, over the members that are still finite."""
    values = np.atleast_2d(values)
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(finite, values, 0).sum(axis=0) / count
        deviations = np.where(finite, values - mean, 0)
        return mean, np.sqrt((deviations**2).sum(axis=0) / count)


def _label_ends(axes: "Axes", ends: list[tuple[float, str, str]]) -> None:
    """Names at the ends of the curves, pushed apart where they would overlap."""
    low, high = axes.get_ylim()
    gap = 0.055
    heights = sorted(((value - low) / (high - low), text, colour) for value, text, colour in ends)
    placed: list[float] = []
    for height, _, _ in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    # Pushing goes upwards only; the mean push is given back, as far as the panel reaches.
    pushed = float(np.mean(placed)) - float(np.mean([height for height, _, _ in heights]))
    pushed = min(pushed, max(placed[0], 0.0)) if placed[-1] - pushed <= 1 else placed[-1] - 1
    placed = [spot - pushed for spot in placed]
    for (height, text, colour), spot in zip(heights, placed, strict=True):
        axes.annotate(
            text,
            (1.0, height),
            xytext=(1.035, spot),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=colour,
            fontsize=9,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.7,
                "shrinkA": 0,
                "shrinkB": 0,
                "relpos": (0.0, 0.5),
            },
        )


def _short(label: Any) -> str:
    text = _plain(label)
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"


def _plain(text: Any) -> str:
    """Text that matplotlib shows as it is: a dollar sign would start a formula."""
    printable = "".join(letter if letter.isprintable() else " " for letter in str(text))
    return printable.replace("$", r"\$")

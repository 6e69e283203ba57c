"""The picture of a search for a learning rate: loss against rate, and the curves behind it."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from talweg.core import errors
from talweg.search.plot import COLOURS, MUTED, _plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from talweg.search.rate_result import RateResult

PURPOSE = "the picture of a search for a learning rate"
LINE, TAKEN, TOO_HIGH = COLOURS[0], COLOURS[2], COLOURS[1]
LOG_SPAN = 20.0  # losses that differ by more than this factor are drawn on a log scale
REACH = 0.35  # how far above the unmoved weights the scale goes, as a share of the descent


def plot_rates(result: "RateResult") -> "Figure":
    """Draw the result of `find_learning_rate`, 12 x 5 inches at 100 dots per inch.

    Left: the smoothed loss at the end of each probe, the mean over seeds with a band from
    the lowest to the highest; the loss of the unmoved weights; the suggestion with its
    spread; the edge. Right: the smoothed curves, a colour per rate.
    """
    figure_module = errors.extra("matplotlib.figure", "data", PURPOSE)
    figure = figure_module.Figure(figsize=(12, 5), dpi=100, layout="constrained")
    errors.extra("matplotlib.backends.backend_agg", "data", PURPOSE).FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    limits, scale = _limits(result)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#e6e6e6", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_yscale(scale)
        axes.set_ylim(*limits)
    _draw_rates(left, result, limits)
    _draw_curves(figure, right, result)
    return figure


def _limits(result: "RateResult") -> tuple[tuple[float, float], str]:
    """The span of the losses worth seeing: a rate that is far too high is off the scale."""
    start = float(result.unmoved.max())
    lowest = float(min(result.final.min(), start))
    if lowest > 0 and start > LOG_SPAN * lowest:
        return (lowest / 1.4, start * (start / lowest) ** (REACH / 2)), "log"
    descent = start - lowest or 0.1 * abs(start) or 1.0
    return (lowest - 0.08 * descent, start + REACH * descent), "linear"


def _draw_rates(axes: "Axes", result: "RateResult", limits: tuple[float, float]) -> None:
    rates = result.rates
    axes.set_xscale("log")
    margin = (rates[-1] / rates[0]) ** 0.03 if len(rates) > 1 else 2.0
    axes.set_xlim(rates[0] / margin, rates[-1] * margin)
    final = np.where(result.diverged, np.nan, result.final)
    fine = ~result.diverged.any(axis=1)
    axes.fill_between(
        rates[fine], final[fine].min(axis=1), final[fine].max(axis=1),
        color=LINE, alpha=0.18, linewidth=0,
    )  # fmt: skip
    axes.plot(
        rates[fine], final[fine].mean(axis=1), "o-", color=LINE, markersize=4, linewidth=1.6,
        label="loss at the end (mean, lowest to highest)",
    )  # fmt: skip
    axes.axhline(
        float(result.unmoved.mean()), color=MUTED, linestyle="--", linewidth=1.2,
        label="loss of the weights as they are",
    )  # fmt: skip
    if (~fine).any():
        axes.plot(
            rates[~fine], np.full((~fine).sum(), 0.975), "x", color=TOO_HIGH, markersize=6,
            transform=axes.get_xaxis_transform(), label="diverged",
        )  # fmt: skip
    if result.edge is not None:
        axes.axvspan(
            result.edge, axes.get_xlim()[1], color=TOO_HIGH, alpha=0.12, linewidth=0,
            label=f"too high, from {result.edge:.3g} on",
        )  # fmt: skip
    if result.current is not None and axes.get_xlim()[0] <= result.current <= axes.get_xlim()[1]:
        axes.axvline(
            result.current, color=MUTED, linestyle=":", linewidth=1.4,
            label=f"the optimizer's own, {result.current:.3g}",
        )  # fmt: skip
    if not math.isnan(result.suggestion):
        axes.axvspan(result.low, result.high, color=TAKEN, alpha=0.15, linewidth=0)
        axes.axvline(
            result.suggestion, color=TAKEN, linewidth=2.0,
            label=f"suggestion {result.suggestion:.3g} ({result.low:.3g} to {result.high:.3g})",
        )  # fmt: skip
    axes.set_xlabel(result.what)
    axes.set_ylabel("loss, smoothed")
    steps, seeds = result.setup["steps"], result.setup["seeds"]
    title = f"{_plain(result.optimizer)} after {steps} steps, {seeds} batch orders"
    axes.set_title(title, loc="left", fontsize=11)
    axes.figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)


def _draw_curves(figure: "Figure", axes: "Axes", result: "RateResult") -> None:
    """The mean over seeds of the smoothed curves; the one next to the suggestion is thick."""
    colors = errors.extra("matplotlib.colors", "data", PURPOSE)
    cm = errors.extra("matplotlib.cm", "data", PURPOSE)
    span = (result.rates[0], result.rates[-1])
    norm = colors.LogNorm(*span) if span[0] < span[1] else colors.LogNorm(span[0] / 2, span[0] * 2)
    scale: Any = cm.ScalarMappable(norm, "plasma")
    steps = np.arange(1, result.losses.shape[-1] + 1)
    curves = np.where(np.isfinite(result.smoothed), result.smoothed, np.nan)
    for rate, curve in zip(result.rates, curves, strict=True):
        axes.plot(steps, curve.mean(axis=0), color=scale.to_rgba(rate), linewidth=1.0)
    if not math.isnan(result.suggestion):
        near = int(np.abs(np.log(result.rates / result.suggestion)).argmin())
        axes.plot(steps, curves[near].mean(axis=0), color="white", linewidth=4.5)
        axes.plot(
            steps, curves[near].mean(axis=0), color=TAKEN, linewidth=2.4,
            label=f"rate {result.rates[near]:.3g}, next to the suggestion",
        )  # fmt: skip
        axes.legend(loc="upper right", fontsize=9, framealpha=0.9)
    axes.set_xlim(1, len(steps) if len(steps) > 1 else 2)
    axes.set_xlabel("step")
    axes.set_title("Smoothed losses, mean over the batch orders", loc="left", fontsize=11)
    figure.colorbar(scale, ax=axes, label=result.what, aspect=30, pad=0.02)

"""`advise`: what a training, a comparison or a search for a rate suggests to do next."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from talweg.callbacks import History
from talweg.core import errors
from talweg.search.comparison import Comparison
from talweg.search.curve_rules import BENGIO, RECIPE, VARIANCE, Advice, Curves, of_curves
from talweg.search.gradient_noise import GradientNoise
from talweg.search.leaderboard import printable
from talweg.search.rate_result import RateResult

BORDER = "Bengio 2012, arXiv:1206.5533, section 3.3"
TIES = "Nadeau & Bengio 2003, Inference for the generalization error"
BATCHES = "McCandlish et al. 2018, arXiv:1812.06162"
FAR_BELOW = 10.0  # times below the suggestion, from which on a rate is called too low
WIDE = 10.0  # spread of the suggestions over seeds, from which on it is called wide
MANY = 0.25  # share of configurations whose divergence is worth a word


class AllAdvice(tuple[Advice, ...]):
    """What `advise` found, a tuple of `Advice`; prints one sentence per line."""

    def __str__(self) -> str:
        if not self:
            return "No advice: nothing stands out clearly enough."
        return "\n".join(f"- {advice}" for advice in self)

    __repr__ = __str__


def advise(given: History | Mapping[str, Any] | Comparison | RateResult) -> AllAdvice:
    """Say what curves or results suggest to do, with the evidence.

    Nothing is said where the evidence is thin: few epochs, or noise as large as the effect.

    Args:
        given: what `fit` returned, a dict of curves like its `history` ("loss" and, where
            there are, "val_loss" and "learning_rate"), or the result of `compare` or
            `find_learning_rate`.

    Returns:
        A tuple of `Advice(rule, sentence, evidence, source)`; printed, it is a list of
        sentences.

    Raises:
        TypeError: anything else.
        ValueError: curves without "loss".

    Example:
        >>> loss = [1.0, 0.6, 0.4, 0.3, 0.25, 0.2, 0.17, 0.15, 0.13, 0.12]
        >>> val = [1.0, 0.7, 0.6, 0.55, 0.57, 0.6, 0.64, 0.68, 0.73, 0.78]
        >>> [(a.rule, a.evidence["epoch"]) for a in advise({"loss": loss, "val_loss": val})]
        [('overfitting', 4)]
    """
    if isinstance(given, RateResult):
        return AllAdvice(_of_rates(given))
    if isinstance(given, Comparison):
        return AllAdvice(_of_comparison(given))
    logs = given.history if isinstance(given, History) else given
    if not isinstance(logs, Mapping):
        raise errors.wrong_type(
            "advise", "what is given", "a History, a dict of curves, or a result of compare() "
            "or find_learning_rate()", given,
        )  # fmt: skip
    if "loss" not in logs:
        raise errors.invalid("advise", "the curves", "named 'loss', 'val_loss', …", sorted(logs))
    return AllAdvice(of_curves(Curves.of(logs)))


# -- a comparison ----------------------------------------------------------------------


def _of_comparison(result: Comparison) -> list[Advice]:
    rows = result.rows
    if not math.isfinite(rows[0]["mean"]):
        sentence = (
            f"All {len(rows)} configurations diverged. Try smaller learning rates, and check "
            "that the data are finite and standardized."
        )
        return [Advice("rate too high", sentence, {"configurations": len(rows)}, BENGIO)]
    rules = (_at_the_border, _tied, _diverging)
    found = [advice for rule in rules if (advice := rule(result, rows))]
    key = (rows[0]["optimizer"], rows[0]["learning_rate"])
    logs = {name: values.mean(axis=0) for name, values in result.curves()[key].items()}
    return found + of_curves(Curves.of(logs))


def _at_the_border(result: Comparison, rows: list[dict[str, Any]]) -> Advice | None:
    """The best rate is the first or the last that was tried: the grid may end too early.

    Bengio 2012, on scales: a best value at the border asks for a wider interval.
    """
    best = rows[0]
    rates = sorted({r["learning_rate"] for r in rows if r["optimizer"] == best["optimizer"]})
    if len(rates) < 2 or best["learning_rate"] not in (rates[0], rates[-1]):
        return None
    way, name = ("downwards", "smallest") if best["learning_rate"] == rates[0] else (
        "upwards", "largest")  # fmt: skip
    return Advice(
        "edge of the grid",
        f"The best rate of {printable(best['optimizer'])}, {best['learning_rate']:.3g}, is the "
        f"{name} that was tried: extend the grid {way}.",
        {"best": best["learning_rate"], "tried": (rates[0], rates[-1])},
        BORDER,
    )


def _tied(result: Comparison, rows: list[dict[str, Any]]) -> Advice | None:
    """Other optimizers cannot be told from the best by these folds and seeds.

    Nadeau & Bengio's corrected test, as in `search.statistics`.
    """
    best = rows[0]
    names = list(dict.fromkeys(
        row["optimizer"] for row in rows if row["tie"] and row["optimizer"] != best["optimizer"]
    ))  # fmt: skip
    if not names or best["members"] < 2:
        return None
    listed = ", ".join(map(printable, names))
    return Advice(
        "tie",
        f"{listed} cannot be told from {printable(best['optimizer'])} by {best['members']} "
        "trainings each: choose by cost or habit, or compare with more seeds.",
        {"best": best["optimizer"], "tied": tuple(names), "members": best["members"],
         "standard error": best["standard_error"]},
        TIES,
    )  # fmt: skip


def _diverging(result: Comparison, rows: list[dict[str, Any]]) -> Advice | None:
    """Many configurations diverged: the grid reaches beyond the edge of stability."""
    count = sum(row["diverged"] > 0 for row in rows)
    if count < MANY * len(rows):
        return None
    return Advice(
        "grid too high",
        f"{count} of {len(rows)} configurations diverged: end the grids at lower rates.",
        {"diverged": count, "configurations": len(rows)},
        BENGIO,
    )


# -- a search for a rate ---------------------------------------------------------------


def _of_rates(result: RateResult) -> list[Advice]:
    if math.isnan(result.suggestion):
        sentence = (
            f"{result} Look at the data and the head of the model: they should learn a single "
            "batch by heart."
        )
        return [Advice("no progress", sentence, {"rates": tuple(result.rates[[0, -1]])}, RECIPE)]
    rules = (_current, _suggestion_at_the_border, _scattered, _batches)
    return [advice for rule in rules if (advice := rule(result))]


def _current(result: RateResult) -> Advice | None:
    """The optimizer's own rate is beyond the edge, or far below the suggestion."""
    current, suggestion, edge = result.current, result.suggestion, result.edge
    if current is None:
        return None
    evidence = {"learning rate": current, "suggestion": suggestion, "edge": edge}
    if edge is not None and current >= edge:
        sentence = (
            f"The optimizer's rate, {current:.3g}, is too high: from {edge:.3g} on the loss "
            f"rises or diverges. Use {suggestion:.3g}."
        )
        return Advice("rate too high", sentence, evidence, BENGIO)
    if current * FAR_BELOW < result.low:
        sentence = (
            f"The optimizer's rate, {current:.3g}, is {suggestion / current:.0f} times below the "
            f"suggestion: use {suggestion:.3g}."
        )
        return Advice("rate too low", sentence, evidence, BENGIO)
    return None


def _suggestion_at_the_border(result: RateResult) -> Advice | None:
    """The best rate is the first or the last that was tried."""
    low, high = float(result.rates[0]), float(result.rates[-1])
    best = result.best[np.isfinite(result.best)]
    at_low, at_high = np.mean(best == low) > 0.5, np.mean(best == high) > 0.5
    if low == high or not (at_low or at_high):
        return None
    name, way = ("largest", "higher") if at_high else ("smallest", "lower")
    return Advice(
        "edge of the grid",
        f"The {name} rate tried, {high if at_high else low:.3g}, was the best: try {way} ones "
        "(rates=…).",
        {"best": tuple(best), "tried": (low, high)},
        BORDER,
    )


def _scattered(result: RateResult) -> Advice | None:
    """The batch orders suggest rates that are far apart."""
    if result.high < WIDE * result.low:
        return None
    return Advice(
        "noise",
        f"The batch orders suggest rates from {result.low:.3g} to {result.high:.3g}: probe with "
        "more steps, more seeds or larger batches.",
        {"low": result.low, "high": result.high, "seeds": result.losses.shape[1]},
        VARIANCE,
    )


def _batches(result: RateResult) -> Advice | None:
    """The batch is far from the noise scale of the gradients.

    McCandlish et al.: batches far below the noise scale waste steps, far above it rows.
    """
    noise: GradientNoise | None = result.noise
    if noise is None or not math.isfinite(noise.high):
        return None
    size = int(result.setup["batch_size"])
    evidence = {"noise scale": noise.scale, "low": noise.low, "high": noise.high, "batch": size}
    if size * 8 < noise.low:
        sentence = (
            f"Batches of {size} rows are mostly noise, the scale is {noise.scale:,.0f} rows: up "
            f"to about {result.batch_size:,} larger batches save steps in proportion."
        )
        return Advice("batch size", sentence, evidence, BATCHES)
    if size > 8 * noise.high:
        sentence = (
            f"Batches of {size} rows are far above the noise scale of {noise.scale:,.0f} rows: "
            f"smaller ones, of {result.batch_size:,} or more, learn as much from fewer rows."
        )
        return Advice("batch size", sentence, evidence, BATCHES)
    return None

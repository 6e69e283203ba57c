"""What the probes of a learning rate found: curves, a suggestion, an edge, a picture.

With L(r, s) the smoothed loss at the end of the probe of rate r with batch order s, and
L(0, s) that of the weights left as they are, on the same batches:

    best(s)     = argmin over r of L(r, s), if it is below L(0, s)
    edge        = the smallest r above a best(s) whose loss diverges or ends above L(0, s)
    suggestion  = median over s of min(best(s), edge) / 2

Half, because a probe is short: what gains most in its steps is already too high for the
training that follows, and lies close below the edge. Bengio has the factor 2 between the
best rate and the largest that does not diverge (Y. Bengio, "Practical recommendations for
gradient-based training of deep architectures", 2012, section 3.1.1, arXiv:1206.5533). On
four tables and four optimizers, 20 epochs each, half of a probe's best ended with a lower
training loss, in the geometric mean, than all of it or a quarter. Probing a
range of rates by the training loss is L. N. Smith's range test ("Cyclical learning rates
for training neural networks", 2017, arXiv:1506.01186); there one run passes through all
rates, so that what a rate shows depends on those before it. Smoothing is an exponential
average without its initial bias, as S. Gugger does for that test.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from talweg.core import errors
from talweg.search.gradient_noise import GradientNoise

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SAFETY = 2.0  # from the best rate of a short probe to the one to train with
WINDOWS = 10  # the smoothing reaches over a tenth of the steps


@dataclass(frozen=True, eq=False)
class RateResult:
    """The result of `find_learning_rate`.

    Attributes:
        optimizer: its label.
        rates: the rates tried, ascending, shape (rates,).
        losses: the loss of every step, shape (rates, seeds, steps); NaN once diverged.
        control: the same for the weights as they are, shape (seeds, steps).
        current: the constant rate that the optimizer had, None where it had none.
        setup: steps, seeds, batch size, rows, seed.
        noise: the noise of the gradients, where it was asked for.
        what: what the rates are: "learning rate", or "rate multiplier" for an optimizer of
            several rates.
    """

    optimizer: str
    rates: np.ndarray
    losses: np.ndarray
    control: np.ndarray
    current: float | None
    setup: Mapping[str, Any]
    noise: GradientNoise | None = None
    what: str = "learning rate"

    # -- what the curves say -----------------------------------------------------------

    @cached_property
    def smoothed(self) -> np.ndarray:
        """The smoothed curves, shape (rates, seeds, steps)."""
        return smooth(self.losses)

    @cached_property
    def diverged(self) -> np.ndarray:
        """Whose loss became NaN or infinite, shape (rates, seeds)."""
        return ~np.isfinite(self.losses).all(axis=-1)

    @cached_property
    def final(self) -> np.ndarray:
        """The smoothed loss at the end, shape (rates, seeds); infinite where it diverged."""
        return np.where(self.diverged, np.inf, self.smoothed[..., -1])

    @cached_property
    def unmoved(self) -> np.ndarray:
        """The smoothed loss of the weights as they are on the same batches, shape (seeds,)."""
        return smooth(self.control)[:, -1]

    @cached_property
    def best(self) -> np.ndarray:
        """For each seed the rate with the lowest loss; NaN where none lowered it."""
        lowest = self.rates[self.final.argmin(axis=0)]
        return np.where(self.final.min(axis=0) < self.unmoved, lowest, np.nan)

    @cached_property
    def edge(self) -> float | None:
        """The smallest rate, above the best, that diverges or ends above the unmoved weights.

        None where no such rate was tried.
        """
        above = self.rates[:, None] > np.nan_to_num(self.best, nan=0.0)
        bad = above & (self.final > self.unmoved)
        return float(self.rates[bad.any(axis=1)].min()) if bad.any() else None

    @cached_property
    def suggestions(self) -> np.ndarray:
        """The suggestion of each seed by itself; NaN where no rate lowered its loss."""
        edge = np.inf if self.edge is None else self.edge
        return np.minimum(self.best, edge) / SAFETY

    @property
    def suggestion(self) -> float:
        """The rate to train with; NaN where most seeds found none."""
        found = self.suggestions[np.isfinite(self.suggestions)]
        if 2 * len(found) < len(self.suggestions):
            return math.nan
        return _rounded(np.exp(np.median(np.log(found))))

    @property
    def low(self) -> float:
        """The smallest suggestion of a seed by itself."""
        return self._extreme(np.min)

    @property
    def high(self) -> float:
        """The largest suggestion of a seed by itself."""
        return self._extreme(np.max)

    def _extreme(self, choose: Any) -> float:
        found = self.suggestions[np.isfinite(self.suggestions)]
        return math.nan if math.isnan(self.suggestion) else _rounded(choose(found))

    @property
    def batch_size(self) -> int | None:
        """The batch size up to which larger batches pay, from the noise of the gradients.

        The noise scale as a power of two. None where it was not asked for, or where the
        noise hides the gradient.
        """
        if self.noise is None or not math.isfinite(self.noise.scale):
            return None
        return 2 ** round(math.log2(max(self.noise.scale, 1.0)))

    # -- showing it --------------------------------------------------------------------

    def to_frame(self) -> "pd.DataFrame":
        """A row per rate, ascending.

        Columns: learning_rate, loss (smoothed, at the end, mean over seeds), low and high
        (over seeds), change (against the unmoved weights, a share of their loss), diverged
        (of how many), seeds.
        """
        pandas = errors.extra("pandas", "data", "RateResult.to_frame")
        final = np.where(self.diverged, np.nan, self.final)
        start = float(self.unmoved.mean())
        loss = final.mean(axis=1)
        return pandas.DataFrame(
            {
                "learning_rate": self.rates,
                "loss": loss,
                "low": final.min(axis=1),
                "high": final.max(axis=1),
                "change": (loss - start) / abs(start) if start else math.nan,
                "diverged": self.diverged.sum(axis=1),
                "seeds": final.shape[1],
            }
        )

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Loss against rate with suggestion and edge, and the curves; saved where `path` says."""
        from talweg.search.rate_plot import plot_rates

        figure = plot_rates(self)
        if path is not None:
            figure.savefig(path)
        return figure

    def __str__(self) -> str:
        steps, seeds = self.setup["steps"], self.losses.shape[1]
        if math.isnan(self.suggestion):
            return (
                f"No rate from {self.rates[0]:.3g} to {self.rates[-1]:.3g} lowered the loss of "
                f"{self.optimizer} within {steps} steps."
            )
        sentence = f"Use a {self.what} of {self.suggestion:.3g} for {self.optimizer}"
        if seeds > 1:
            sentence += f" ({self.low:.3g} to {self.high:.3g} over {seeds} batch orders)"
        if self.edge is None:
            largest = f"{self.rates[-1]:.3g}"
            at_end = np.nanmedian(self.best) >= self.rates[-1]
            sentence += f"; the largest tried, {largest}, was the best, and" if at_end else (
                f"; up to {largest}")  # fmt: skip
            sentence += " none was too high"
        else:
            diverges = self.diverged[self.rates == self.edge].any()
            what = "diverges" if diverges else "ends above where it began"
            sentence += f"; from {self.edge:.3g} on the loss {what}"
        text = f"{sentence} within {steps} steps."
        if self.noise is not None:
            text += f" {self.noise}"
        return text

    __repr__ = __str__


def smooth(losses: np.ndarray) -> np.ndarray:
    """Exponential averages along the last axis, without their initial bias.

        m_t = b m_{t-1} + (1 - b) x_t,   y_t = m_t / (1 - b^t),   b = 1 - 10 / steps

    >>> smooth(np.array([2.0, 2.0, 2.0])).tolist()
    [2.0, 2.0, 2.0]
    """
    values = np.asarray(losses, np.float64)
    steps = values.shape[-1]
    momentum = max(0.0, 1 - WINDOWS / steps)
    result, mean = np.empty_like(values), np.zeros(values.shape[:-1])
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps):
            mean = momentum * mean + (1 - momentum) * values[..., step]
            result[..., step] = mean / (1 - momentum ** (step + 1))
    return result


def _rounded(rate: Any) -> float:
    return float(f"{float(rate):.4g}")

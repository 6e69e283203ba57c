"""What the curves of one training say: a small function per rule, each with its source.

A rule gives its advice where the curves bear it out, else None: where epochs are few or the
noise is as large as what is to be seen, nothing is said. The noise of a curve is read off
its second differences, in which a smooth trend vanishes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

BENGIO = "Bengio 2012, arXiv:1206.5533, section 3.1.1"
CS231N = "Karpathy, CS231n notes, Neural networks 3: loss function"
PRECHELT = "Prechelt 1998, Early stopping – but when?"
HE = "He et al. 2016, arXiv:1512.03385, section 3.4"
RECIPE = "Karpathy 2019, A recipe for training neural networks"
VARIANCE = "Bouthillier et al. 2021, arXiv:2103.03098"

SOLVED = 1e-3  # a loss below this share of the first needs no advice
JUMPS = 0.1  # noise of the training loss, as a share of it, that a good rate does not have
GENERALIZATION_LOSS = 0.05  # Prechelt's GL, from which on he stops


@dataclass(frozen=True)
class Advice:
    """One finding, with what it rests on.

    Attributes:
        rule: its name: "rate too high", "overfitting", …
        sentence: what the curves show and what to do.
        evidence: the numbers, by name; epochs count from 1.
        source: where the rule comes from.
    """

    rule: str
    sentence: str
    evidence: Mapping[str, Any]
    source: str

    def __str__(self) -> str:
        return f"{self.sentence} [{self.source}]"


@dataclass(frozen=True)
class Curves:
    """The curves of one training, a number per epoch.

    Attributes:
        loss: of the training data.
        val_loss: of the validation data; None without. NaN where it was not validated.
        rates: the learning rate; None where it is unknown.
    """

    loss: np.ndarray
    val_loss: np.ndarray | None = None
    rates: np.ndarray | None = None

    @classmethod
    def of(cls, logs: Mapping[str, Any]) -> "Curves":
        """From logs by name, as `History.history` has them."""

        def curve(name: str) -> np.ndarray | None:
            values = logs.get(name)
            return None if values is None or not len(values) else np.asarray(values, np.float64)

        loss, val, rates = curve("loss"), curve("val_loss"), curve("learning_rate")
        if loss is None:
            loss = np.empty(0)
        if val is not None and len(val) != len(loss):
            val = _every(val, len(loss))
        return cls(loss, val, rates)

    def steady_rate(self, since: int = 0) -> bool:
        """Whether the rate changed by less than a factor of 2, as far as it is known."""
        if self.rates is None or len(self.rates) < len(self.loss):
            return True
        part = self.rates[since:]
        return bool(part.max() <= 2 * part.min())


# -- the rules -------------------------------------------------------------------------


def diverged(curves: Curves) -> Advice | None:
    """The loss became NaN or infinite: the rate is too high.

    Bengio 2012: the loss diverges above a certain rate; the best is usually within a
    factor of 2 of the largest that does not.
    """
    bad = np.flatnonzero(~np.isfinite(curves.loss))
    if not bad.size:
        return None
    epoch = int(bad[0]) + 1
    before = float(curves.loss[epoch - 2]) if epoch > 1 else math.nan
    return Advice(
        "rate too high",
        f"The loss was not finite in epoch {epoch}: the training diverged. Lower the learning "
        "rate, at least by half, or clip the gradients.",
        {"epoch": epoch, "loss before": before, **_rate_at(curves, epoch)},
        BENGIO,
    )


def rises(curves: Curves) -> Advice | None:
    """The training loss ends well above its lowest: the rate is too high.

    Bengio 2012: if the training criterion rises, the rate is too large.
    """
    loss = curves.loss
    if len(loss) < 6 or not np.isfinite(loss).all():
        return None
    calm = median3(loss)
    place, last = int(calm.argmin()), _end(loss)
    lowest, noise = float(calm[place]), noise_of(loss)
    rise = last - lowest
    fell = max(float(loss[0]) - lowest, 0.0)
    if rise <= max(4 * noise, 0.1 * fell, 0.02 * abs(lowest)) or len(loss) - place < 4:
        return None
    return Advice(
        "rate too high",
        f"The training loss rises since epoch {place + 1}, from {lowest:.4g} to {last:.4g}: "
        "lower the learning rate, or let it decay.",
        {"epoch": place + 1, "lowest": lowest, "last": last, "noise": noise},
        BENGIO,
    )


def oscillates(curves: Curves) -> Advice | None:
    """The training loss jumps up and down without getting anywhere: the rate is too high.

    A mean over all batches of an epoch hardly has sampling noise; what is left are steps
    that are too long. Bengio 2012; Karpathy's notes on the shapes of the loss.
    """
    loss = curves.loss
    if len(loss) < 10 or not np.isfinite(loss).all():
        return None
    half = loss[len(loss) // 2 :]
    noise, level = noise_of(half), abs(float(half.mean()))
    ups = float((np.diff(half) > 0).mean())
    decline = max(-_slope(half) * len(half), 0.0)
    if level <= SOLVED * abs(float(loss[0])) or ups < 0.3:
        return None
    if noise < JUMPS * level or noise < 0.5 * decline:
        return None
    return Advice(
        "rate too high",
        f"The training loss jumps by about {noise / level:.0%} from epoch to epoch, though it is "
        "a mean over all batches: the steps are too long. Lower the learning rate or let it "
        "decay.",
        {"noise": noise, "level": level, "share of rising epochs": ups, "decline": decline},
        BENGIO,
    )


def too_low(curves: Curves) -> Advice | None:
    """The loss still falls along a straight line: the rate is too low.

    With low rates the improvement is linear, with good ones it looks exponential, with
    high ones it stalls (Karpathy's notes).
    """
    loss = curves.loss
    if len(loss) < 8 or not np.isfinite(loss).all() or not curves.steady_rate():
        return None
    third, count = max(len(loss) // 3, 3), len(loss)
    early, late = -_slope(loss[:third]), -_slope(loss[-third:])
    half = loss[count // 2 :]
    last = _end(loss)
    gain = late * count
    if late <= 0 or late < 0.5 * early or _straightness(half) < 0.9:
        return None
    if gain < max(0.01 * abs(last), 5 * noise_of(loss)):
        return None
    if curves.val_loss is not None and overfits(curves):
        return None
    share = min(late / early, 1.0) if early > 0 else 1.0
    return Advice(
        "rate too low",
        f"After {count} epochs the loss still falls by {late:.3g} an epoch, along a straight "
        f"line and at {share:.0%} of its first pace: try a learning rate some times higher "
        "(find_learning_rate tells how much), or train longer.",
        {"fall an epoch": late, "at first": early, "last": last, **_rate_at(curves, count)},
        CS231N,
    )


def overfits(curves: Curves) -> Advice | None:
    """The validation loss rises while the training loss falls.

    The measure is Prechelt's generalization loss, GL = E_val(now) / E_val(lowest) - 1.
    """
    known = None if curves.val_loss is None else np.flatnonzero(np.isfinite(curves.val_loss))
    if known is None or len(known) < 6 or curves.val_loss is None:
        return None
    known = known[known < len(curves.loss)]
    val, loss = curves.val_loss[known], curves.loss[known]
    if not np.isfinite(loss).all():
        return None
    calm = median3(val)
    place, last = int(calm.argmin()), _end(val)
    lowest = float(calm[place])
    rise, after = last - lowest, len(val) - 1 - place
    fall = float(median3(loss)[place]) - _end(loss)
    share = rise / abs(lowest) if lowest else math.inf
    thin = after < max(3, math.ceil(0.1 * len(val))) or rise <= 3 * _roughness(val)
    if thin or share < GENERALIZATION_LOSS:
        return None
    if fall <= max(noise_of(loss), 0.01 * abs(_end(loss))):
        return None
    epoch = int(known[place]) + 1
    return Advice(
        "overfitting",
        f"Since epoch {epoch} the validation loss rises, by {share:.0%} from {lowest:.4g} to "
        f"{last:.4g}, while the training loss falls by {fall:.3g}. Stop there (EarlyStopping "
        "with restore_best_weights), or regularize: dropout, weight decay, more data.",
        {"epoch": epoch, "lowest": lowest, "last": last, "rise": share, "training fall": fall},
        PRECHELT,
    )


def stands_still(curves: Curves) -> Advice | None:
    """The loss has not fallen since the first epoch: nothing is learned.

    Karpathy's recipe: first make the model overfit a single batch.
    """
    loss = curves.loss
    if len(loss) < 5 or not np.isfinite(loss).all() or oscillates(curves):
        return None
    first, last, noise = float(loss[0]), _end(loss), noise_of(loss)
    if abs(first - last) > max(3 * noise, 0.01 * abs(first)) or first == 0:
        return None
    if first - float(median3(loss).min()) > max(3 * noise, 0.05 * abs(first)):
        return None
    return Advice(
        "no progress",
        f"The training loss is where it was {len(loss)} epochs ago, {first:.4g} then and "
        f"{last:.4g} now. Try find_learning_rate: the rate may be far too low or far too high; "
        "if no rate moves the loss, look at the data and the head of the model.",
        {"first": first, "last": last, "noise": noise, "epochs": len(loss)},
        RECIPE,
    )


def plateaus(curves: Curves) -> Advice | None:
    """The loss fell and has stood still since, at a rate that is not small yet.

    He et al. divide the rate by 10 when the error plateaus.
    """
    loss = curves.loss
    if len(loss) < 12 or not np.isfinite(loss).all():
        return None
    window = max(5, len(loss) // 3)
    part, noise = loss[-window:], noise_of(loss)
    level, first = float(part.mean()), float(loss[0])
    fell = first - level
    moved = -_slope(part) * window
    if fell < max(5 * noise, 0.05 * abs(first)) or abs(level) <= SOLVED * abs(first):
        return None
    if abs(moved) > max(0.005 * fell, 0.5 * noise) or noise >= JUMPS * abs(level):
        return None
    if curves.rates is not None and curves.rates[-1] < 0.1 * curves.rates.max():
        return None  # the rate has decayed: the training has come to its end
    # Since when: the first epoch as low as the plateau, but for the noise.
    low = level + max(3 * noise, 0.01 * fell)
    since = int(np.argmax(median3(loss) <= low)) + 1
    return Advice(
        "plateau",
        f"The training loss stands at {level:.4g} since epoch {since} or so. Lower the learning "
        "rate (ReduceLROnPlateau, or a schedule); if it does not fall then either, stop.",
        {"epoch": since, "level": level, "fell before": fell, "moved": moved,
         **_rate_at(curves, len(loss))},
        HE,
    )  # fmt: skip


def noisy(curves: Curves) -> Advice | None:
    """The validation loss varies from epoch to epoch as much as its trend goes.

    Differences within that noise tell nothing; Bouthillier et al. measure how much of what
    is reported is such variance.
    """
    if curves.val_loss is None or oscillates(curves):
        return None
    val = curves.val_loss[np.isfinite(curves.val_loss)]
    if len(val) < 10:
        return None
    half = val[len(val) // 2 :]
    noise, level = _roughness(half), abs(float(half.mean()))
    trend = abs(_slope(half)) * len(half)
    turns = np.diff(np.sign(np.diff(half))) != 0
    if turns.mean() < 0.4:  # two in three for noise; a jump or a bend has few
        return None
    # The slope of pure noise makes a trend of its size by chance.
    if noise < 0.03 * level or noise < 0.5 * trend:
        return None
    return Advice(
        "noise",
        f"The validation loss varies by ± {noise:.2g} ({noise / level:.0%}) from epoch to epoch, "
        f"its trend over the last {len(half)} epochs is {trend:.2g}: a difference below "
        f"{2.8 * noise:.2g} between two epochs says nothing. Validate on more rows, average "
        "the weights (use_ema), or compare over folds and seeds.",
        {"noise": noise, "level": level, "trend": trend, "epochs": len(half)},
        VARIANCE,
    )


RULES = (diverged, rises, oscillates, too_low, overfits, stands_still, plateaus, noisy)


def of_curves(curves: Curves) -> list[Advice]:
    """What all rules say; the first about a rate that is too high speaks for the others."""
    found: list[Advice] = []
    for rule in RULES:
        advice = rule(curves)
        if advice is not None and advice.rule not in {known.rule for known in found}:
            found.append(advice)
    return found


def _every(values: np.ndarray, epochs: int) -> np.ndarray | None:
    """Values of every k-th epoch (validation_freq=k) at their places, NaN between them."""
    every = epochs // len(values)
    if not every or epochs // every != len(values):
        return None
    placed = np.full(epochs, np.nan)
    placed[every - 1 :: every] = values
    return placed


# -- measures --------------------------------------------------------------------------


def noise_of(values: np.ndarray) -> float:
    """The standard deviation around a smooth trend, from second differences, robust.

    >>> noise_of(np.arange(10.0))
    0.0
    """
    if len(values) < 4:
        return 0.0
    second = np.abs(np.diff(values, 2))
    return float(np.median(second) * 1.4826 / math.sqrt(6))


def _roughness(values: np.ndarray) -> float:
    """As `noise_of`, of all second differences alike: steadier, but a jump counts."""
    if len(values) < 4:
        return 0.0
    return float(np.sqrt(np.mean(np.diff(values, 2) ** 2) / 6))


def median3(values: np.ndarray) -> np.ndarray:
    """The median of each number and its neighbours; the ends keep the nearer one.

    >>> median3(np.array([3.0, 9.0, 1.0, 1.0])).tolist()
    [3.0, 3.0, 1.0, 1.0]
    """
    if len(values) < 3:
        return values
    middle = np.median([values[:-2], values[1:-1], values[2:]], axis=0)
    return np.concatenate([[np.median([values[0], values[0], values[1]])], middle, [
        np.median([values[-1], values[-1], values[-2]])]])  # fmt: skip


def _end(values: np.ndarray) -> float:
    return float(np.median(values[-3:]))


def _slope(values: np.ndarray) -> float:
    return float(np.polyfit(np.arange(len(values)), values, 1)[0])


def _straightness(values: np.ndarray) -> float:
    """The share of the variance that a straight line explains."""
    line = np.polyval(np.polyfit(np.arange(len(values)), values, 1), np.arange(len(values)))
    variance = float(values.var())
    return 1 - float(((values - line) ** 2).mean()) / variance if variance else 0.0


def _rate_at(curves: Curves, epoch: int) -> dict[str, float]:
    if curves.rates is None or len(curves.rates) < epoch:
        return {}
    return {"learning rate": float(curves.rates[epoch - 1])}

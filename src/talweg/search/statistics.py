"""What the scores of a comparison can tell, and what they cannot.

The scores of k folds are not independent: any two training parts share most of their rows.
A plain paired t-test takes them for independent and finds differences that are not there.
The corrected resampled test widens the variance by the share that the folds have in common.

Nadeau & Bengio, "Inference for the generalization error", Machine Learning 52, 2003.
Benjamini & Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57, 1995.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from talweg.core import errors

PURPOSE = "the comparison of scores"


class Summary(NamedTuple):
    """Mean of the scores and its standard error, both NaN if a score is."""

    mean: float
    standard_error: float


class PairedTest(NamedTuple):
    """The mean of `a - b`, its confidence interval, and the p-value of "no difference"."""

    difference: float
    low: float
    high: float
    p_value: float


class Ties(NamedTuple):
    """Which configurations cannot be told from the best.

    Attributes:
        best: the row of the best mean; -1 if every configuration diverged.
        tie: bool, shape (configurations,); True for the best itself, too.
        p_value: adjusted p-values against the best; 1 for the best, NaN for diverged.
    """

    best: int
    tie: np.ndarray
    p_value: np.ndarray


def summarize(scores: ArrayLike) -> Summary:
    """Mean and standard error, s / sqrt(n), of the scores of one configuration.

    The error describes the spread over folds and seeds; for telling two configurations apart
    use `corrected_paired_test`, which knows that folds overlap. It is NaN for a single score.

    >>> summarize([0.25, 0.75])
    Summary(mean=0.5, standard_error=0.25)
    """
    values = _scores(scores, 1)
    if not np.all(np.isfinite(values)):
        return Summary(float("nan"), float("nan"))
    spread = values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else np.nan
    return Summary(float(values.mean()), float(spread))


def corrected_paired_test(
    a: ArrayLike, b: ArrayLike, test_fraction: float, level: float = 0.05
) -> PairedTest:
    """The corrected resampled t-test of paired scores.

        d = a - b,  t = mean(d) / sqrt((1/n + test_fraction / (1 - test_fraction)) var(d))

    with n - 1 degrees of freedom; n counts all pairs, folds times seeds.

    Args:
        a, b: scores of two configurations on the same folds and seeds, in the same order.
        test_fraction: the validation part's share of the rows, 1/k for k folds. At 0 this is
            the plain paired t-test.
        level: one minus the confidence of the interval.

    Returns:
        All NaN if a score is NaN or infinite. One pair alone tells nothing: the interval is
        infinite and p is 1.

    >>> test = corrected_paired_test([0.31, 0.33, 0.32], [0.35, 0.36, 0.38], 1 / 3)
    >>> round(test.difference, 4), round(test.p_value, 3)
    (-0.0433, 0.09)
    """
    first, second = _scores(a, 1), _scores(b, 1)
    if first.shape != second.shape:
        raise errors.invalid(
            "corrected_paired_test", "b", f"as long as a, {first.size} scores", second.size
        )
    _check(test_fraction, level)
    scipy_stats = errors.extra("scipy.stats", "data", PURPOSE)
    if not (np.all(np.isfinite(first)) and np.all(np.isfinite(second))):
        return PairedTest(*[float("nan")] * 4)
    differences = first - second
    mean, count = float(differences.mean()), differences.size
    if count == 1:
        return PairedTest(mean, -float("inf"), float("inf"), 1.0)
    overlap = test_fraction / (1 - test_fraction)
    error = float(np.sqrt((1 / count + overlap) * differences.var(ddof=1)))
    # Equal differences leave no spread but rounding; dividing by that would be noise.
    if error <= 1e-12 * float(np.abs([first, second]).max()):
        return PairedTest(mean, mean, mean, 1.0 if abs(mean) <= error else 0.0)
    student = scipy_stats.t(count - 1)
    reach = float(student.ppf(1 - level / 2)) * error
    p_value = 2 * float(student.sf(abs(mean) / error))
    return PairedTest(mean, mean - reach, mean + reach, p_value)


def ties(
    scores_by_configuration: ArrayLike,
    test_fraction: float,
    level: float = 0.05,
    *,
    higher_is_better: bool = False,
) -> Ties:
    """Which configurations cannot be told from the best one.

    Every configuration is tested against the best by `corrected_paired_test`, and the
    p-values are adjusted by Benjamini and Hochberg's method: of those that are called worse, a
    share of `level` at most is not. A tie is no proof of being equal: few folds tell little
    apart.

    Args:
        scores_by_configuration: shape (configurations, folds * seeds); a row with a NaN or
            infinite score has diverged and never ties.
        test_fraction: the validation part's share of the rows, 1/k for k folds.
        level: the expected share of false distinctions.
        higher_is_better: True for an accuracy, False for a loss.

    >>> result = ties([[0.30, 0.31, 0.32], [0.31, 0.30, 0.33], [0.70, 0.71, 0.73]], 1 / 3)
    >>> result.best, result.tie.tolist()
    (0, [True, True, False])
    """
    scores = _scores(scores_by_configuration, 2)
    _check(test_fraction, level)
    finite = np.all(np.isfinite(scores), axis=1)
    p_value = np.full(len(scores), np.nan)
    if not finite.any():
        return Ties(-1, np.zeros(len(scores), bool), p_value)
    means = np.where(finite, np.where(finite[:, None], scores, 0).mean(axis=1), np.nan)
    best = int(np.nanargmax(means) if higher_is_better else np.nanargmin(means))
    others = [row for row in np.flatnonzero(finite) if row != best]
    raw = [corrected_paired_test(scores[row], scores[best], test_fraction) for row in others]
    if others:
        stats = errors.extra("scipy.stats", "data", PURPOSE)
        p_value[others] = stats.false_discovery_control([test.p_value for test in raw])
    p_value[best] = 1.0
    return Ties(best, p_value > level, p_value)


def rank(means: ArrayLike, *, higher_is_better: bool = False) -> np.ndarray:
    """Ranks from 1; equal means share the better rank, diverged ones (NaN, inf) the last.

    >>> rank([0.4, float("nan"), 0.3, 0.4]).tolist()
    [2, 4, 1, 2]
    """
    values = _scores(means, 1)
    finite = np.isfinite(values)
    cost = np.where(finite, -values if higher_is_better else values, np.inf)
    return 1 + np.searchsorted(np.sort(cost), cost, side="left")


def _scores(scores: ArrayLike, dimensions: int) -> np.ndarray:
    values = np.asarray(scores, np.float64)
    if values.ndim != dimensions or not values.size:
        raise ValueError(
            f"statistics: scores must be a non-empty array of {dimensions} dimension(s), "
            f"got shape {values.shape}."
        )
    return values


def _check(test_fraction: float, level: float) -> None:
    if not 0 <= test_fraction < 1:
        raise errors.invalid(
            "corrected_paired_test", "test_fraction", "in [0, 1)", test_fraction, "1/k for k folds."
        )
    if not 0 < level < 1:
        raise errors.invalid("corrected_paired_test", "level", "in (0, 1)", level)

"""The tests of a comparison agree with scipy and with sums done by hand."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from talweg.search import statistics

SCORES = arrays(np.float64, (2, 6), elements=st.floats(-3, 3, width=32))


def test_summary_is_mean_and_standard_error_of_scipy():
    scores = [0.31, 0.35, 0.29, 0.4]
    summary = statistics.summarize(scores)
    assert summary.mean == pytest.approx(np.mean(scores))
    assert summary.standard_error == pytest.approx(scipy.stats.sem(scores))


def test_summary_of_one_score_has_no_error_and_of_a_diverged_one_nothing():
    assert statistics.summarize([2.0]).mean == 2.0
    assert np.isnan(statistics.summarize([2.0]).standard_error)
    assert np.isnan(statistics.summarize([2.0, np.nan])).all()
    assert np.isnan(statistics.summarize([2.0, np.inf])).all()


def test_without_a_test_fraction_the_test_is_scipys_paired_t_test():
    draw = np.random.default_rng(1)
    a, b = draw.normal(size=10), draw.normal(0.4, size=10)
    ours = statistics.corrected_paired_test(a, b, 0.0)
    theirs = scipy.stats.ttest_rel(a, b)
    interval = theirs.confidence_interval(0.95)
    assert ours.p_value == pytest.approx(theirs.pvalue)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))


def test_the_correction_by_hand():
    # d = -.04, -.03, -.06: mean -.13/3, variance 7/30000; (1/3 + 1/2) of it under the root.
    a, b = [0.31, 0.33, 0.32], [0.35, 0.36, 0.38]
    test = statistics.corrected_paired_test(a, b, 1 / 3)
    t = (0.13 / 3) / np.sqrt((1 / 3 + 1 / 2) * 7 / 30000)
    assert test.difference == pytest.approx(-0.13 / 3)
    # Student's distribution with two degrees of freedom has a closed form.
    assert test.p_value == pytest.approx(1 - t / np.sqrt(2 + t**2))
    reach = 4.30265273 * np.sqrt((1 / 3 + 1 / 2) * 7 / 30000)
    assert test.high - test.difference == pytest.approx(reach)


def test_the_correction_is_more_careful_than_the_plain_test():
    a, b = np.array([0.1, 0.2, 0.15, 0.12]), np.array([0.2, 0.22, 0.2, 0.23])
    plain = statistics.corrected_paired_test(a, b, 0.0)
    corrected = statistics.corrected_paired_test(a, b, 0.25)
    assert corrected.p_value > plain.p_value
    assert corrected.low < plain.low


def test_on_overlapping_folds_without_a_difference_it_seldom_finds_one():
    draw = np.random.default_rng(0)
    wrong = {0.0: 0, 0.2: 0}
    for _ in range(400):
        # What training parts share shifts all folds of one run alike.
        shared = draw.normal(0, 0.5)
        differences = shared + draw.normal(size=5)
        for fraction in wrong:
            test = statistics.corrected_paired_test(differences, np.zeros(5), fraction)
            wrong[fraction] += test.p_value < 0.05
    assert wrong[0.2] / 400 < 0.06 < wrong[0.0] / 400


def test_one_pair_tells_nothing_and_a_diverged_one_gives_nan():
    test = statistics.corrected_paired_test([1.0], [2.0], 0.2)
    assert test == (-1.0, -np.inf, np.inf, 1.0)
    assert np.isnan(statistics.corrected_paired_test([1.0, np.nan], [2.0, 1.0], 0.2)).all()


def test_equal_differences_are_certain():
    assert statistics.corrected_paired_test([1, 2, 3], [1, 2, 3], 0.2).p_value == 1.0
    assert statistics.corrected_paired_test([1, 2, 3], [2, 3, 4], 0.2).p_value == 0.0


@given(SCORES)
def test_swapping_the_two_flips_the_sign_and_nothing_else(scores):
    forth = statistics.corrected_paired_test(scores[0], scores[1], 0.2)
    back = statistics.corrected_paired_test(scores[1], scores[0], 0.2)
    assert back.p_value == pytest.approx(forth.p_value, abs=1e-12)
    assert (back.difference, back.low, back.high) == pytest.approx(
        (-forth.difference, -forth.high, -forth.low), abs=1e-12
    )


@given(SCORES.filter(lambda scores: np.ptp(scores[0] - scores[1]) > 1e-3), st.floats(-2, 2))
def test_shifting_both_changes_nothing(scores, shift):
    plain = statistics.corrected_paired_test(scores[0], scores[1], 0.2)
    moved = statistics.corrected_paired_test(scores[0] + shift, scores[1] + shift, 0.2)
    assert moved == pytest.approx(plain, rel=1e-6, abs=1e-9)


@given(
    arrays(np.float64, (4, 6), elements=st.integers(-1000, 1000).map(lambda value: value / 256)),
    st.permutations(range(6)),
)
def test_permuting_the_folds_jointly_changes_no_tie(scores, order):
    plain = statistics.ties(scores, 0.2)
    mixed = statistics.ties(scores[:, order], 0.2)
    assert mixed.best == plain.best
    assert mixed.p_value == pytest.approx(plain.p_value, abs=1e-9)


def test_ties_hold_the_near_ones_and_leave_out_the_clearly_worse():
    draw = np.random.default_rng(3)
    fold = draw.normal(0, 0.05, 10)
    scores = [fold + level + draw.normal(0, 0.01, 10) for level in (0.5, 0.3, 0.301, 0.31, 0.9)]
    result = statistics.ties(scores, 0.1)
    assert result.best in (1, 2)
    assert result.tie.tolist() == [False, True, True, True, False]
    assert result.p_value[result.best] == 1.0
    flipped = statistics.ties(-np.array(scores), 0.1, higher_is_better=True)
    assert flipped.best == result.best
    assert flipped.p_value == pytest.approx(result.p_value)


def benjamini_hochberg(p_values):
    """min over j >= i of m p_(j) / j, written out."""
    order = np.argsort(p_values)
    m = len(p_values)
    adjusted, least = np.empty(m), 1.0
    for position in range(m - 1, -1, -1):
        least = min(least, p_values[order[position]] * m / (position + 1))
        adjusted[order[position]] = least
    return adjusted


def test_ties_adjust_the_paired_tests_against_the_best_by_benjamini_and_hochberg():
    scores = np.random.default_rng(5).normal([[0.3], [0.4], [0.5]], 0.1, (3, 8))
    result = statistics.ties(scores, 0.2)
    others = [row for row in range(3) if row != result.best]
    raw = [
        statistics.corrected_paired_test(scores[row], scores[result.best], 0.2).p_value
        for row in others
    ]
    assert result.p_value[others] == pytest.approx(benjamini_hochberg(raw))


def test_diverged_configurations_rank_last_and_never_tie():
    scores = [[0.2, np.nan, 0.2], [0.5, 0.4, 0.5], [0.5, 0.4, np.inf], [0.4, 0.5, 0.5]]
    result = statistics.ties(scores, 1 / 3)
    assert result.best == 1
    assert result.tie.tolist() == [False, True, False, True]
    assert np.isnan(result.p_value[[0, 2]]).all()
    nothing = statistics.ties([[np.nan, 1.0]], 0.5)
    assert (nothing.best, nothing.tie.tolist()) == (-1, [False])


@given(
    st.lists(st.sampled_from([0.1, 0.2, 0.3, np.nan, np.inf]), min_size=1, max_size=8),
    st.booleans(),
)
def test_rank_is_scipys_with_the_diverged_last(means, higher):
    values = np.array(means)
    finite = np.isfinite(values)
    ranks = statistics.rank(values, higher_is_better=higher)
    expected = scipy.stats.rankdata(-values[finite] if higher else values[finite], "min")
    assert ranks[finite].tolist() == expected.astype(int).tolist()
    assert (ranks[~finite] == finite.sum() + 1).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: statistics.corrected_paired_test([1, 2], [1], 0.2), "as long as a"),
        (lambda: statistics.corrected_paired_test([1, 2], [1, 3], 1.0), r"test_fraction.*\[0, 1\)"),
        (lambda: statistics.ties([[1, 2]], 0.2, level=0), "level"),
        (lambda: statistics.ties([1, 2], 0.2), r"2 dimension.*\(2,\)"),
        (lambda: statistics.summarize([]), r"non-empty.*\(0,\)"),
    ],
)
def test_impossible_arguments_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()

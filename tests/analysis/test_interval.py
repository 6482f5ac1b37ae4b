"""Interval: the textbook's, refused where there is none, and holding the truth as often as it says."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis.interval import NO_RATIO, NO_VALUE, ONE_VALUE, Interval

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_interval_of_a_mean_is_students(level):
    values = [1.0, 2.0, 4.0, 7.0]
    found = Interval.student_t(values, level)
    ends = stats.t.interval(level, 3, loc=3.5, scale=stats.sem(values))
    assert (found.value, found.lower, found.upper) == pytest.approx((3.5, *ends))
    assert (found.standard_error, found.n, found.freedom, found.level) == (stats.sem(values), 4, 3, level)


def test_values_that_were_refused_do_not_count():
    assert Interval.student_t([1.0, math.nan, 2.0]) == Interval.student_t([1.0, 2.0])


@pytest.mark.parametrize(("values", "value", "reason"), [([], math.nan, NO_VALUE), ([2.0, math.nan], 2.0, ONE_VALUE)])
def test_fewer_than_two_values_have_no_interval(values, value, reason):
    found = Interval.student_t(values)
    assert found.value == pytest.approx(value, nan_ok=True)
    assert math.isnan(found.lower)
    assert math.isnan(found.upper)
    assert found.reason == reason
    assert value not in found
    assert reason in str(found)


def test_an_estimate_with_its_own_error_has_the_normal_interval():
    found = Interval.around(2.0, 0.5)
    assert (found.lower, found.upper) == pytest.approx(stats.norm.interval(0.95, 2.0, 0.5))
    assert Interval.around(2.0, 0.0) == Interval(2.0, 2.0, 2.0, 1, 0.0, math.inf)


def test_intervals_of_a_mean_cover():
    """4,000 samples of five: coverage is within three standard errors (0.01) of 95 %."""
    inside = [0.0 in Interval.student_t(row) for row in RNG.normal(size=(4000, 5))]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.0105)


def test_exact_ratios_have_no_width():
    below = np.array([10.0, 20.0, 15.0])
    found = Interval.fieller([(0.5 * below, below), (0.5 * below, below)])
    assert (found.value, found.lower, found.upper) == pytest.approx((0.5, 0.5, 0.5), abs=1e-6)


def test_the_ratio_of_one_pair_has_no_interval():
    found = Interval.fieller([([3.0], [4.0])])
    assert found.value == 0.75
    assert math.isnan(found.lower)
    assert (found.n, found.reason) == (1, ONE_VALUE)


@pytest.mark.parametrize(("error", "value"), [(2.0, 0.75), (2.1, math.nan)])
def test_the_ratio_of_one_pair_is_refused_where_its_denominator_is_within_its_own_error(error, value):
    """4 is 2.0 errors of 2.0 from 0, and 1.9 of 2.1; Fieller's rule at 1.96 refuses the second."""
    found = Interval.fieller([([3.0], [4.0])], error=error)
    assert found.value == pytest.approx(value, nan_ok=True)
    by_rule = Interval.of_ratio((3.0, 4.0), np.diag([0.0, error**2]), freedom=math.inf, n=1)
    assert math.isnan(by_rule.value) == math.isnan(value)
    assert found.reason == (NO_RATIO if math.isnan(value) else ONE_VALUE)


@pytest.mark.parametrize("centre", [0.0, -50.0])
@pytest.mark.parametrize("pairs", [1, 3])
def test_where_the_denominator_is_not_distinguishably_positive_the_ratio_is_refused(centre, pairs):
    found = Interval.fieller([(np.ones(pairs), centre + np.array([-1.0, 1.5, 0.2])[:pairs])])
    assert math.isnan(found.value)
    assert found.reason == NO_RATIO


def test_values_that_are_not_paired_are_refused():
    with pytest.raises(ValueError, match="inhomogeneous"):
        Interval.fieller([([1.0], [2.0, 3.0])])


def test_the_ends_of_a_ratio_are_where_the_paired_test_just_rejects():
    a, b = 5 + RNG.normal(size=6), 10 + RNG.normal(size=6)
    found = Interval.fieller([(a, b)])
    assert found.lower < found.value < found.upper
    assert found.freedom == pytest.approx(5)
    for end in (found.lower, found.upper):
        assert stats.ttest_1samp(a - end * b, 0.0).pvalue == pytest.approx(0.05, abs=1e-6)


def test_degrees_of_freedom_are_welchs_and_lie_between_the_least_and_the_sum():
    """A denominator without error leaves the two-sample problem of Welch (1947), whose degrees of freedom SciPy has."""
    first, second = 5 + RNG.normal(size=4), 7 + 3 * RNG.normal(size=6)
    found = Interval.fieller([(first, np.ones(4)), (second, np.ones(6))])
    assert found.freedom == pytest.approx(stats.ttest_ind(first, second, equal_var=False).df)
    even = Interval.fieller([(first, np.ones(4)), (first + 2, np.ones(4))])
    assert even.freedom == pytest.approx(6)
    lone = Interval.fieller([(first, np.ones(4)), (1e-9 * second, np.ones(6))])
    assert lone.freedom == pytest.approx(3)


@pytest.mark.parametrize("scales", [(4.0, 6.0, 8.0), (1.0, 0.2, 0.05)], ids=["alike", "unequal"])
@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_of_a_ratio_cover(scales, seeds):
    """2,000 studies of three strata. Degrees of freedom pooled over unequal strata would cover 88 % and 92 %."""
    covered, generator = 0, np.random.default_rng(seeds)
    noise_scales = (0.4, 0.4, 0.4) if scales[0] == 4.0 else [0.1 * scale for scale in scales]
    for _ in range(2_000):
        strata = []
        for scale, spread in zip(scales, noise_scales, strict=True):
            noise = spread * generator.normal(size=seeds)
            strata.append((0.6 * scale + noise + 0.5 * spread * generator.normal(size=seeds), scale + noise))
        covered += 0.6 in Interval.fieller(strata)
    assert 0.93 <= covered / 2_000 <= 0.97

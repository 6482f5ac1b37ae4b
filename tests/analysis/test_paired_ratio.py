"""Means and ratios of means: calibrated on either side of any edge, whatever the spread and the noise."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis.interval import Interval
from analysis.paired_ratio import PairedRatio

REPLICATIONS = 2_000


def coverage_error(share, replications=REPLICATIONS):
    return math.sqrt(share * (1 - share) / replications)


def test_a_mean_is_students():
    values = np.array([1.0, 2.0, 4.0, 7.0])
    mean = PairedRatio(values)
    assert mean.interval() == Interval.student_t(values)
    for edge in (-1.0, 2.0, 3.5):
        p_value = stats.ttest_1samp(values, edge, alternative="greater").pvalue
        assert mean.probability_above(edge) == pytest.approx(1 - p_value)
    assert (mean.probability_above(-math.inf), mean.probability_above(math.inf)) == (1.0, 0.0)


def test_a_ratio_is_fiellers_and_its_ends_have_the_probabilities_of_the_level():
    generator = np.random.default_rng(1)
    above, below = generator.normal(2, 0.3, 6), generator.normal(4, 0.3, 6)
    ratio = PairedRatio(above, below)
    interval = ratio.interval()
    expected = Interval.fieller([(above, below)])
    assert (interval.value, interval.lower, interval.upper) == pytest.approx(
        (expected.value, expected.lower, expected.upper)
    )
    assert ratio.probability_above(interval.lower) == pytest.approx(0.975)
    assert ratio.probability_above(interval.upper) == pytest.approx(0.025)


def test_a_ratio_of_nothing_has_no_probability():
    ratio = PairedRatio(np.array([1.0, 1.1, 0.9]), np.array([0.5, -0.5, 0.1]))
    assert ratio.interval().reason
    assert math.isnan(ratio.probability_above(0.5))


def test_values_that_are_all_alike_lie_on_one_side():
    same = PairedRatio(np.full(3, 2.0))
    assert [same.probability_above(edge) for edge in (1.0, 2.0, 3.0)] == [1.0, 0.5, 0.0]
    assert same.noise_share(1.0) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "seeds"), [("gap", 2), ("gap", 3), ("gap", 5), ("gap", 8), ("share", 3), ("share", 5), ("share", 8)]
)
def test_intervals_cover_and_probabilities_are_uniform_where_the_truth_is_the_edge(kind, seeds):
    """Over 2,000 replications, of a gap 1 ± 1 a seed and of a share 0.6 of a gap of 5 ± 0.5, paired."""
    generator = np.random.default_rng(seeds)
    truth = 1.0 if kind == "gap" else 0.6
    inside, probabilities = [], []
    for _ in range(REPLICATIONS):
        if kind == "gap":
            number = PairedRatio(truth + generator.normal(size=seeds))
        else:
            gap = 5 + 0.5 * generator.normal(size=seeds)
            number = PairedRatio(truth * gap + 0.3 * generator.normal(size=seeds), gap)
        inside.append(truth in number.interval())
        probabilities.append(number.probability_above(truth))
    probabilities = np.array(probabilities)
    assert 0.93 <= np.mean(inside) <= 0.97
    known = probabilities[np.isfinite(probabilities)]
    assert len(known) > 0.9 * REPLICATIONS
    assert stats.kstest(known, "uniform").pvalue > 0.001
    for level in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert np.mean(known <= level) == pytest.approx(level, abs=4 * coverage_error(level))


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "noise"), [(1.0, 0.0), (1.0, 0.2), (1.0, 1.0), (0.0, 1.0)])
def test_known_noise_of_the_evaluation_never_costs_coverage(spread, noise):
    """Nominal where the spread of trainings dominates; above it, and never below, where noise does."""
    generator = np.random.default_rng(0)
    seen = {False: 0, True: 0}
    for _ in range(REPLICATIONS):
        values = spread * generator.normal(size=3) + noise * generator.normal(size=3)
        covariance = np.array([[noise**2, 0.0], [0.0, 0.0]])
        for known, evaluation in ((False, None), (True, covariance)):
            seen[known] += 0.0 in PairedRatio(values, evaluation=evaluation).interval()
    assert seen[False] / REPLICATIONS == pytest.approx(0.95, abs=0.02)
    assert seen[True] >= seen[False]
    if noise < spread:
        assert 0.93 <= seen[True] / REPLICATIONS <= 0.97


def test_the_noise_of_both_ends_of_a_ratio_counts():
    above, below = np.array([1.0, 1.01, 0.98]), np.array([2.0, 1.99, 2.02])
    evaluation = np.array([[0.01, 0.0], [0.0, 0.04]])
    plain, noisy = PairedRatio(above, below), PairedRatio(above, below, evaluation)
    assert noisy.interval().lower < plain.interval().lower < plain.interval().upper < noisy.interval().upper
    assert noisy.probability_above(noisy.interval().upper) == pytest.approx(0.025)
    assert noisy.noise_share(0.5) == pytest.approx(1.0)
    assert plain.noise_share(0.5) == 0.0


@pytest.mark.parametrize("below", [False, True])
def test_as_many_units_as_it_names_tell(below):
    """Simulated: with that many the interval leaves the edge out about eight times of ten, with half of them less."""
    generator = np.random.default_rng(2)
    pilot = PairedRatio(np.array([0.2, 0.8, 1.4]), np.full(3, 2.0) if below else None)
    units = pilot.units_to_tell(0.1)
    assert units is not None
    assert units > 3
    truth, scale = pilot.above.mean(), pilot.above.std(ddof=1)
    told = {}
    for size in (units, units // 2):
        rows = generator.normal(truth, scale, size=(500, size))
        numbers = [PairedRatio(row, np.full(size, 2.0) if below else None) for row in rows]
        told[size] = np.mean([0.1 not in number.interval() for number in numbers])
    assert told[units] == pytest.approx(0.8, abs=0.08)
    assert told[units // 2] < told[units] - 0.15


def test_no_number_of_units_tells_an_estimate_from_itself():
    assert PairedRatio(np.array([0.0, 1.0, 2.0])).units_to_tell(1.0) is None
    assert PairedRatio(np.array([0.0, 1.0, 2.0])).units_to_tell(0.999) is None

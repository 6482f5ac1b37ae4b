"""Intervals over seeds: the textbook's, paired by replicate, refused where there is nothing to rest on."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.interval import Interval
from study.answers.hypotheses._base import MissingCells
from study.answers.hypotheses._intervals import (
    by_replicate,
    contrast,
    family_means,
    mean_of,
    over_seeds,
    per_doubling,
    ratio_over_seeds,
    slope,
)


def lines(values, dims=(2, 4, 8), key="cell"):
    """A table of one cell per D and one replicate per row of ``values``."""
    return pd.DataFrame(
        [
            {"key": f"{key}{dim}", "replicate": replicate, "latent_dim": dim, "kl": value}
            for replicate, row in enumerate(values)
            for dim, value in zip(dims, row, strict=True)
        ]
    )


def test_the_interval_over_seeds_is_students():
    values = [1.0, 2.0, 4.0, 7.0]
    low, high = stats.t.interval(0.95, 3, loc=3.5, scale=stats.sem(values))
    interval = over_seeds(pd.DataFrame([values]))
    assert (interval.value, interval.lower, interval.upper) == pytest.approx((3.5, low, high))
    assert interval.n == 4
    wider = over_seeds(pd.DataFrame([values]), 0.99)
    assert wider.lower < interval.lower < interval.upper < wider.upper


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_seeds_have_no_interval(values):
    with pytest.raises(MissingCells, match="one seed"):
        over_seeds(pd.DataFrame([values]))


def test_the_interval_over_seeds_covers():
    """4,000 samples of five: coverage is within three standard errors (0.01) of 95 %."""
    generator = np.random.default_rng(0)
    inside = [0.0 in over_seeds(pd.DataFrame(row[None])) for row in generator.normal(size=(4000, 5))]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.0105)


def test_slopes_are_least_squares():
    assert slope([0.0, 1.0, 3.0], [1.0, 3.0, 7.0]) == pytest.approx(2.0)
    assert per_doubling("kl")(lines([[1.0, 4.0, 7.0]])) == pytest.approx(3.0)


def test_a_statistic_is_taken_replicate_by_replicate_over_whole_families():
    table = lines([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 5.0, 9.0]])
    table = table[~((table["replicate"] == 2) & (table["latent_dim"] == 8))]  # a cell lacks its third replicate
    found = by_replicate(table.assign(family="one"), per_doubling("kl"))
    assert list(found.columns) == [0, 1]
    assert found.loc["one"].tolist() == pytest.approx([1.0, 2.0])


def test_families_are_averaged_within_a_replicate_and_replicates_are_the_units():
    values = pd.DataFrame([[1.0, 2.0, 3.0], [3.0, 6.0, 9.0]], index=["a", "b"])
    assert over_seeds(values) == Interval.student_t([2.0, 4.0, 6.0])


def test_replicates_that_a_family_lacks_and_families_of_one_seed_are_left_out():
    nan = math.nan
    values = pd.DataFrame([[1.0, 2.0, 3.0], [3.0, 6.0, nan], [9.0, nan, nan]], index=["a", "b", "single"])
    assert family_means(values)[0].tolist() == [2.0, 4.0]
    with pytest.raises(MissingCells, match="one seed"):
        family_means(pd.DataFrame([[1.0]]))


@pytest.mark.parametrize("families", [["one", "two", "three"], ["one", "one", "two"]], ids=str)
def test_the_mean_of_single_lines_is_that_of_any_lines(families):
    """The short way takes no lines apart; a family of two cells, each measured in other replicates, has no value."""
    table = pd.DataFrame(
        {
            "key": ["a", "a", "b", "b", "c", "c"],
            "family": np.repeat(families, 2),
            "replicate": [1, 0, 0, 1, 2, 0] if families[0] != families[1] else [0, 1, 2, 3, 0, 1],
            "kl": [1.0, 2.0, math.nan, 4.0, 5.0, 6.0],
        }
    )
    short = by_replicate(table, mean_of("kl"))
    pd.testing.assert_frame_equal(short, by_replicate(table, lambda lines: float(lines["kl"].mean())))


def test_contrasts_are_paired_by_replicate():
    table = pd.concat(
        [
            lines([[1.0], [5.0]], dims=(2,), key="a").assign(prior="vamp"),
            lines([[0.0], [3.0]], dims=(2,), key="b").assign(prior="standard"),
            lines([[7.0], [7.0]], dims=(2,), key="c").assign(prior="other"),
        ]
    )
    found = contrast(table.assign(family="x"), "prior", "vamp", "standard", "kl")
    assert found.loc["x"].tolist() == [1.0, 2.0]
    assert contrast(table.assign(family="x"), "prior", "vamp", "absent", "kl").empty


def test_a_ratio_has_fiellers_interval_and_none_where_there_is_nothing_to_divide_by():
    numerator, denominator = pd.DataFrame([[1.9, 2.1, 2.0]]), pd.DataFrame([[4.1, 4.0, 3.9]])
    found = ratio_over_seeds(numerator, denominator)
    assert found.value == pytest.approx(6.0 / 12.0)
    # Fieller's ends are the shares at which the paired differences are just not distinguishable from 0.
    for end in (found.lower, found.upper):
        differences = numerator.to_numpy()[0] - end * denominator.to_numpy()[0]
        assert abs(stats.ttest_1samp(differences, 0.0).pvalue) == pytest.approx(0.05, abs=1e-6)
    nothing = ratio_over_seeds(numerator, pd.DataFrame([[-1.0, 0.0, 1.0]]))
    assert math.isnan(nothing.value)
    assert math.isnan(ratio_over_seeds(numerator, -denominator).value)


def test_mean_of_one_line_is_its_value():
    assert mean_of("kl")(lines([[3.0]], dims=(2,))) == 3.0

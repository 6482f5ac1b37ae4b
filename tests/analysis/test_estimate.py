"""Estimate: means with their errors, groups, intervals, refusals."""

import math

import pytest
import torch

from analysis.estimate import Estimate


def test_mean_of_independent_values():
    values = torch.tensor([1.0, 2.0, 4.0, 9.0])
    estimate = Estimate.mean(values)
    assert estimate.value == 4.0
    assert estimate.standard_error == pytest.approx(float(values.std()) / 2)
    assert (estimate.n, estimate.num_draws, estimate.bound) == (4, 4, "unbiased")


def test_groups_count_images_and_not_draws():
    """Equal groups: the error is that of the mean of group means, whatever the number of draws in each."""
    generator = torch.Generator().manual_seed(0)
    per_image = torch.randn(30, dtype=torch.float64, generator=generator)
    draws = per_image.repeat_interleave(7)
    grouped = Estimate.mean(draws, groups=torch.arange(30).repeat_interleave(7))
    assert grouped.standard_error == pytest.approx(Estimate.mean(per_image).standard_error)
    assert (grouped.n, grouped.num_draws) == (30, 210)
    assert grouped.standard_error > 2 * Estimate.mean(draws).standard_error


def test_unequal_groups_give_the_ratio_estimators_error():
    values = torch.tensor([1.0, 3.0, 5.0, 5.0, 6.0], dtype=torch.float64)
    groups = torch.tensor([4, 4, 9, 2, 2])
    estimate = Estimate.mean(values, groups=groups)
    sums = torch.stack([(values[groups == g] - 4.0).sum() for g in (4, 9, 2)])
    assert estimate.standard_error == pytest.approx(math.sqrt(3 / 2 * float(sums.square().sum())) / 5)


def test_interval_is_students():
    estimate = Estimate(1.0, 0.5, n=5, num_draws=5)
    found, exact = estimate.interval(), Estimate.exact(2.0).interval()
    assert (found.lower, found.upper) == pytest.approx((1.0 - 0.5 * 2.7764, 1.0 + 0.5 * 2.7764), abs=1e-3)
    assert (exact.lower, exact.upper) == (2.0, 2.0)


def test_ninety_five_per_cent_intervals_cover():
    """2,000 replications of 20 exponential values; coverage outside [0.90, 0.97] is detected with five errors."""
    values = torch.distributions.Exponential(torch.ones(2_000, 20)).sample()
    covered = sum(1.0 in Estimate.mean(row).interval() for row in values)
    assert 0.90 < covered / 2_000 < 0.97


def test_refusals_and_flags_are_words_and_never_numbers():
    refused = Estimate.refused("too few codes", 3)
    assert refused.is_refused
    assert math.isnan(refused.value)
    assert str(refused) == "refused: too few codes"
    flagged = Estimate(1.0, 0.1, 5, 5, "lower").flagged("saturated").flagged("saturated")
    assert flagged.flags == ("saturated",)
    assert str(flagged) == "≥ 1 ± 0.1 [saturated]"
    assert Estimate.mean(torch.empty(0)).is_refused
    assert math.isnan(Estimate.mean(torch.ones(1)).standard_error)


def test_an_unknown_bound_is_refused():
    with pytest.raises(ValueError, match="bound must be one of"):
        Estimate(1.0, 0.1, 5, 5, "about")

"""Slope of KL(q_N ‖ p) in log N: its two limits are exact."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.divergence import kl_aggregate_to_prior
from analysis.draws import evaluate_component_draws
from analysis.information import kl_standard_normal
from analysis.subsampling import subsampling_curve


def prior(dim: int) -> Independent:
    return Independent(Normal(torch.zeros(dim, dtype=torch.float64), torch.ones(dim, dtype=torch.float64)), 1)


def curve_of(loc: torch.Tensor, sizes=(4, 16, 64), num_draws=50, num_repeats=8):
    aggregate = DiagonalAggregate(InMemoryCodes(loc, torch.ones_like(loc)))
    generator = torch.Generator().manual_seed(0)
    return subsampling_curve(
        aggregate, prior(loc.shape[1]), sizes, num_repeats=num_repeats, num_draws=num_draws, generator=generator
    )


def test_disjoint_components_have_slope_minus_one():
    loc = 60 * torch.randn(64, 20, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    curve = curve_of(loc)
    slope = curve.slope()
    assert slope.value == pytest.approx(-1.0, abs=1e-9)
    assert slope.n == 8
    kl = curve.kl()
    assert kl[0].value - kl[2].value == pytest.approx(math.log(16), abs=1e-8)
    further = curve.extrapolate(640)
    assert further.value == pytest.approx(kl[2].value - math.log(10), abs=1e-8)
    assert further.bound == "lower"
    assert further.flags == ("extrapolated from N ≤ 64",)


def test_coinciding_components_have_slope_zero():
    curve = curve_of(torch.full((64, 3), 0.5, dtype=torch.float64))
    assert curve.slope().value == pytest.approx(0.0, abs=1e-12)
    # KL = 3·0.125; 400 draws of sd 0.87 in eight groups.
    assert abs(curve.kl()[1].value - 0.375) < 5 * curve.kl()[1].standard_error


def test_the_curve_is_that_of_subset_mixtures():
    """At size 1 it is the rate, at size N the KL of the whole mixture, whatever the component drawn from."""
    loc = 1.5 * torch.randn(32, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    curve = curve_of(loc, sizes=(1, 8, 32), num_draws=400, num_repeats=32)
    aggregate = DiagonalAggregate(InMemoryCodes(loc, torch.ones_like(loc)))
    z, component = aggregate.sample_per_image(2_000, torch.Generator().manual_seed(2))
    direct = kl_aggregate_to_prior(evaluate_component_draws(aggregate, prior(2), z, component))
    first, _, last = curve.kl()
    # Every image is drawn from equally often in both, so the between-image error overstates their differences.
    assert abs(last.value - direct.value) < 0.05
    assert abs(first.value - float(kl_standard_normal(loc, torch.ones_like(loc)).sum(1).mean())) < 0.1
    assert -1 < curve.slope().value < 0


@pytest.mark.parametrize("sizes", [(4,), (16, 4), (0, 4), (4, 65), (9, 64)])
def test_impossible_sizes_are_errors(sizes):
    with pytest.raises(ValueError, match="rising sizes"):
        curve_of(torch.zeros(64, 2, dtype=torch.float64), sizes=sizes)


def test_extrapolation_is_outward_only():
    curve = curve_of(torch.zeros(64, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="read the curve"):
        curve.extrapolate(64)


def test_chains_are_evaluated_together_and_do_not_show(monkeypatch):
    loc = torch.randn(64, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    together = curve_of(loc).log_ratio
    monkeypatch.setattr("analysis.subsampling.LOGS_AT_ONCE", 1)
    torch.testing.assert_close(curve_of(loc).log_ratio, together, rtol=0, atol=1e-12)


def test_a_curve_of_one_chain_is_that_of_its_subsets_by_hand():
    loc = torch.randn(16, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    curve = curve_of(loc, sizes=(4, 16), num_draws=5, num_repeats=1)
    generator = torch.Generator().manual_seed(0)
    shuffled, others = torch.randperm(16, generator=generator), torch.randperm(12, generator=generator)
    order = torch.cat([shuffled[:4], shuffled[4:][others]])
    aggregate = DiagonalAggregate(InMemoryCodes(loc, torch.ones_like(loc)))
    z, _ = aggregate.subset(order[:4]).sample(5, generator)
    for index, size in enumerate((4, 16)):
        expected = aggregate.subset(order[:size]).log_prob(z) - prior(3).log_prob(z)
        torch.testing.assert_close(curve.log_ratio[0, :, index], expected, rtol=0, atol=1e-12)

"""Divergences between two evaluable densities against closed forms and quadrature."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from sklearn.metrics import roc_auc_score
from torch.distributions import Independent, Normal

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.divergence import (
    area_under_curve,
    bhattacharyya_coefficient,
    certified_gap,
    jensen_shannon,
    kl_aggregate_to_prior,
    kl_prior_to_aggregate,
    log_ratio_auc,
    total_variation,
)
from analysis.draws import DrawDensities, evaluate_component_draws, evaluate_prior_draws
from analysis.estimate import Estimate


def both_sides(loc: float, scale: float, dim: int, num_draws: int) -> tuple[DrawDensities, DrawDensities]:
    """Independent draws of N(loc, scale² I) and of N(0, I); each draw is its own unit."""
    generator = torch.Generator().manual_seed(0)
    one = torch.ones(1, dim, dtype=torch.float64)
    aggregate = DiagonalAggregate(InMemoryCodes(loc * one, scale * one))
    prior = Independent(Normal(torch.zeros(dim, dtype=torch.float64), one[0]), 1)
    noise = torch.randn(2, num_draws, dim, generator=generator, dtype=torch.float64)
    # One component, so the draws are independent units of their own.
    return evaluate_prior_draws(aggregate, prior, loc + scale * noise[0]), evaluate_prior_draws(
        aggregate, prior, noise[1]
    )


def close(estimate, truth: float, detectable: float) -> bool:
    """Within five standard errors, which are small enough to see an error of ``detectable``."""
    return 5 * estimate.standard_error < detectable and abs(estimate.value - truth) < 5 * estimate.standard_error


def test_kl_has_its_direction():
    sides = both_sides(1.0, 0.5, 1, 40_000)
    forward = (0.25 + 1 - 1) / 2 - math.log(0.5)
    backward = (1 + 1) / (2 * 0.25) - 0.5 + math.log(0.5)
    assert close(kl_aggregate_to_prior(sides[0]), forward, 0.1)
    assert close(kl_prior_to_aggregate(sides[1]), backward, 0.2)
    assert abs(forward - backward) > 1


@pytest.mark.parametrize(("scale", "dim"), [(1.05, 50), (0.7, 8)])
def test_total_variation_of_scaled_normals(scale, dim):
    """Oracle 8: N(0, s²I) against N(0, I) by the χ² distribution."""
    radius = 2 * dim * math.log(scale) * scale**2 / (scale**2 - 1)
    truth = abs(stats.chi2.cdf(radius, dim) - stats.chi2.cdf(radius / scale**2, dim))
    assert close(total_variation(*both_sides(0.0, scale, dim, 40_000)), truth, 0.01)


def test_unit_scale_closed_forms():
    sides = both_sides(1.5, 1.0, 1, 40_000)

    def js_integrand(z: float) -> float:
        q, p = stats.norm.pdf(z, 1.5), stats.norm.pdf(z)
        return (q * math.log(2 * q / (q + p)) + p * math.log(2 * p / (q + p))) / 2

    assert close(total_variation(*sides), 2 * stats.norm.cdf(0.75) - 1, 0.02)
    assert close(bhattacharyya_coefficient(*sides), math.exp(-(1.5**2) / 8), 0.01)
    assert close(jensen_shannon(*sides), integrate.quad(js_integrand, -12, 14)[0], 0.01)
    assert close(log_ratio_auc(*sides), stats.norm.cdf(1.5 / math.sqrt(2)), 0.02)


def test_symmetric_divergences_ignore_the_order():
    from_q, from_p = both_sides(0.5, 0.8, 3, 500)
    swapped = tuple(DrawDensities(side.log_prior, side.log_aggregate, side.unit) for side in (from_p, from_q))
    for divergence in (total_variation, jensen_shannon, bhattacharyya_coefficient):
        assert divergence(from_q, from_p).value == pytest.approx(divergence(*swapped).value, abs=1e-12)


def test_equal_densities():
    sides = both_sides(0.0, 1.0, 5, 200)
    assert total_variation(*sides).value == pytest.approx(0.0, abs=1e-12)
    assert jensen_shannon(*sides).value == pytest.approx(0.0, abs=1e-12)
    assert bhattacharyya_coefficient(*sides).value == pytest.approx(1.0, abs=1e-12)
    assert not bhattacharyya_coefficient(*sides).flags


def test_disjoint_densities_are_flagged_and_not_silently_certain():
    sides = both_sides(200.0, 1.0, 2, 100)
    for estimate in (total_variation(*sides), jensen_shannon(*sides), log_ratio_auc(*sides)):
        assert "saturated" in estimate.flags
        assert math.isfinite(estimate.value)
    overlap = bhattacharyya_coefficient(*sides)
    assert overlap.value == 0.0
    assert "saturated" in overlap.flags
    assert any(flag.startswith("unreliable") for flag in overlap.flags)


def test_area_under_curve_is_delongs():
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(0, 8, 60).astype(float) + 1, rng.integers(0, 8, 45).astype(float)
    area = area_under_curve(torch.from_numpy(positive), torch.from_numpy(negative))
    labels = np.repeat([1, 0], [60, 45])
    assert area.value == pytest.approx(roc_auc_score(labels, np.concatenate([positive, negative])), abs=1e-12)
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(1).var(ddof=1) / 60 + wins.mean(0).var(ddof=1) / 45
    assert area.standard_error == pytest.approx(math.sqrt(variance), rel=1e-12)


def test_errors_rest_on_images_and_not_on_draws():
    from_q, from_p = both_sides(0.7, 0.9, 2, 50)
    units = torch.arange(50).repeat(4)
    repeated = DrawDensities(from_q.log_aggregate.repeat(4), from_q.log_prior.repeat(4), units)
    for once, again in [
        (kl_aggregate_to_prior(from_q), kl_aggregate_to_prior(repeated)),
        (total_variation(from_q, from_p), total_variation(repeated, from_p)),
        (log_ratio_auc(from_q, from_p), log_ratio_auc(repeated, from_p)),
    ]:
        assert again.standard_error == pytest.approx(once.standard_error, rel=0.02)
        assert again.n == once.n


def test_held_out_density_certifies_from_below():
    truth, candidate, prior = Normal(1.0, 0.5), Normal(0.8, 0.6), Normal(0.0, 1.0)
    torch.manual_seed(0)
    z = truth.sample((20_000,)).double()
    gap = certified_gap(candidate.log_prob(z), prior.log_prob(z), torch.arange(20_000))
    exact = torch.distributions.kl_divergence(truth, prior) - torch.distributions.kl_divergence(truth, candidate)
    assert close(gap, float(exact), 0.1)
    assert gap.bound == "lower"
    assert gap.value < float(torch.distributions.kl_divergence(truth, prior))


def test_duplicated_and_padded_aggregates_have_the_same_divergence():
    generator = torch.Generator().manual_seed(0)
    loc, scale = (
        torch.randn(6, 2, generator=generator, dtype=torch.float64),
        torch.full((6, 2), 0.5, dtype=torch.float64),
    )
    aggregate = DiagonalAggregate(InMemoryCodes(loc, scale))
    z, component = aggregate.sample(100, generator)

    def evaluate(loc, scale, z):
        prior = Independent(Normal(torch.zeros(z.shape[1], dtype=torch.float64), 1.0), 1)
        return kl_aggregate_to_prior(
            evaluate_component_draws(DiagonalAggregate(InMemoryCodes(loc, scale)), prior, z, component)
        ).value

    inert, noise = torch.zeros(6, 40, dtype=torch.float64), torch.randn(100, 40, generator=generator).double()
    reference = evaluate(loc, scale, z)
    assert evaluate(loc.repeat(2, 1), scale.repeat(2, 1), z) == pytest.approx(reference, abs=1e-10)
    padded = evaluate(torch.cat([loc, inert], 1), torch.cat([scale, inert + 1], 1), torch.cat([z, noise], 1))
    assert padded == pytest.approx(reference, abs=1e-10)


def test_scores_that_are_no_numbers_are_refused_and_not_counted_as_the_largest():
    scores = torch.randn(100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    holed = scores.clone()
    holed[:50] = math.nan
    for pair in ((holed, scores), (scores, holed)):
        assert area_under_curve(*pair).flags == ("refused: 50 of 200 scores are no numbers",)
    assert Estimate.mean(holed).flags == ("refused: 50 of 100 draws have no number",)
    assert Estimate.mean(torch.tensor([math.inf, 1.0])).value == math.inf, "which is an answer"

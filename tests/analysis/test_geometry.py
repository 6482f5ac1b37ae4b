"""Geometry of bubbles: closed forms, brute force and the laws that D alone changes nothing."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import Normal

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.estimate import Estimate
from analysis.geometry import distances
from analysis.geometry.active_units import active_units, active_units_by_kl
from analysis.geometry.coverage import ball_coverage, nearest_centre_distance, ratio_coverage, soft_covering
from analysis.geometry.intrinsic_dimension import two_nn
from analysis.geometry.margins import label_flip_bounds, label_flip_rate, nearest_margins
from analysis.geometry.overlap import log_bhattacharyya, total_variation_integrands, unit_total_variation
from analysis.geometry.shells import norm_auc, norm_ks, shell, squared_norm_ks, typical_set_mass
from analysis.geometry.spectrum import (
    aggregate_spectrum,
    effective_rank,
    furthest_eigenvectors,
    mean_spectrum,
    participation_ratio,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# distances


def test_distance_blocks_are_the_distance_matrix(monkeypatch):
    points, loc, scale = normal(7, 6), normal(11, 2, 3, seed=1), 0.5 + normal(11, 2, 3, seed=2).abs()
    direct = ((points[None] - loc.flatten(1)[:, None]) / scale.flatten(1)[:, None]).square().sum(-1)
    euclidean = (points[None] - loc.flatten(1)[:, None]).square().sum(-1)
    for pairs in (1, 30, 2**20):
        monkeypatch.setattr(distances, "PAIRS_PER_BLOCK", pairs)
        blocks = torch.cat([squared for _, squared in distances.squared_distance_blocks(points, loc, scale)])
        torch.testing.assert_close(blocks, direct, rtol=0, atol=1e-11)
        blocks = torch.cat([squared for _, squared in distances.squared_distance_blocks(points, loc)])
        torch.testing.assert_close(blocks, euclidean, rtol=0, atol=1e-11)


def test_nearest_neighbours(monkeypatch):
    points = normal(23, 4)
    matrix = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(math.inf)
    expected, index = matrix.topk(3, largest=False)
    for pairs in (1, 100, 2**20):
        monkeypatch.setattr(distances, "PAIRS_PER_BLOCK", pairs)
        distance, neighbour = distances.nearest(points, points, num=3, exclude=torch.arange(23))
        torch.testing.assert_close(distance, expected, rtol=0, atol=1e-12)
        assert torch.equal(neighbour, index)
    assert float(distances.nearest(points, points)[0].max()) == 0.0


# shells


@pytest.mark.parametrize("dim", [10, 4_096])
def test_prior_shell(dim):
    z = normal(2_000, dim)
    measured = shell(z)
    chi = stats.chi(dim)
    for estimate, truth in [
        (measured.mean_square, 1.0),
        (measured.norm_mean, chi.mean()),
        (measured.norm_sd, chi.std()),
    ]:
        assert abs(estimate.value - truth) < 5 * estimate.standard_error
        assert 5 * estimate.standard_error < 0.1
    # 1.95/√n is exceeded once in a thousand.
    assert squared_norm_ks(z).value < 1.95 / math.sqrt(2_000)
    assert norm_ks(z, normal(2_000, dim, seed=1)).value < 1.95 / math.sqrt(1_000)
    auc = norm_auc(z, normal(2_000, dim, seed=1))
    assert abs(auc.value - 0.5) < 5 * auc.standard_error


def test_ks_agrees_with_scipy():
    z, other = 1.1 * normal(300, 5), normal(200, 5, seed=1)
    exact = stats.kstest(z.square().sum(1).numpy(), stats.chi2(5).cdf).statistic
    assert squared_norm_ks(z).value == pytest.approx(exact, abs=1e-12)
    assert squared_norm_ks(z / 1.5).value == pytest.approx(
        stats.kstest((z / 1.5).square().sum(1).numpy(), stats.chi2(5).cdf).statistic, abs=1e-12
    )
    two = stats.ks_2samp(z.norm(dim=1).numpy(), other.norm(dim=1).numpy()).statistic
    assert norm_ks(z, other).value == pytest.approx(two, abs=1e-12)


def test_ks_within_sampling_error_says_so():
    even = torch.from_numpy(stats.chi2(1).ppf((np.arange(400) + 0.5) / 400)).sqrt()[:, None]
    assert "within sampling error of 0" in squared_norm_ks(even).flags
    assert "within sampling error of 0" in norm_ks(even, -even).flags
    # 400 copies of 50 images have the sampling error of 50: a distance of 0.1 is within it.
    images = torch.from_numpy(stats.chi2(1).ppf((np.arange(50) + 0.5) / 50 * 0.9)).sqrt()[:, None]
    assert not squared_norm_ks(images.repeat(8, 1)).flags
    assert squared_norm_ks(images.repeat(8, 1), torch.arange(50).repeat(8)).flags


def test_ks_of_a_scaled_normal():
    """The largest gap between F(r²) and F(r²/s²) is at the radius where the two densities cross."""
    dim, scale = 20, 1.1
    radius = 2 * dim * math.log(scale) * scale**2 / (scale**2 - 1)
    truth = stats.chi2.cdf(radius, dim) - stats.chi2.cdf(radius / scale**2, dim)
    for estimate in (
        squared_norm_ks(scale * normal(20_000, dim)),
        norm_ks(scale * normal(20_000, dim), normal(20_000, dim, seed=1)),
    ):
        assert 5 * estimate.standard_error < 0.03
        assert abs(estimate.value - truth) < 5 * estimate.standard_error
        assert not estimate.flags


def test_shells_coincide_while_bubbles_are_disjoint():
    """H3's case: 25 nats in 1,000 dimensions, μ² + σ² = 1 on average, and no norm shows it."""
    dim, num = 1_000, 500
    loc = normal(num, dim) * math.sqrt(50 / dim)
    z = loc + math.sqrt(1 - 50 / dim) * normal(num, dim, seed=1)
    auc = norm_auc(z, normal(num, dim, seed=2))
    assert abs(auc.value - 0.5) < 5 * auc.standard_error
    assert float(unit_total_variation(loc).mean()) > 0.999


def test_typical_set_mass():
    own, other = normal(4_000, 1)[:, 0], normal(4_000, 1, seed=1)[:, 0]
    inside = typical_set_mass(own, other)
    # Edges and mass both err by about 0.0035 here.
    assert abs(inside.value - 0.95) < 0.02
    assert typical_set_mass(own, other + 100).value == 0.0


# overlap


def test_unit_total_variation_depends_on_the_norm_alone():
    short = torch.tensor([[3.0, 4.0]])
    spread = torch.full((1, 65_536), 5 / 256, dtype=torch.float64)
    truth = 2 * stats.norm.cdf(2.5) - 1
    assert float(unit_total_variation(short)) == pytest.approx(truth, abs=1e-12)
    assert float(unit_total_variation(spread)) == pytest.approx(truth, abs=1e-12)


def test_bhattacharyya_against_quadrature():
    loc, scale = torch.tensor([[0.7, -1.0]]), torch.tensor([[0.5, 1.6]])
    grid = np.linspace(-15, 15, 200_001)
    factors = [
        np.trapezoid(np.sqrt(stats.norm.pdf(grid, mu, sd) * stats.norm.pdf(grid)), grid)
        for mu, sd in zip(loc[0].double().tolist(), scale[0].double().tolist(), strict=True)
    ]
    assert float(log_bhattacharyya(loc, scale)) == pytest.approx(math.log(factors[0] * factors[1]), abs=1e-9)


def test_sampled_total_variation():
    """χ² closed form at μ = 0, the unit-scale closed form elsewhere; inert dimensions leave both."""
    dim, num_draws = 6, 20_000
    loc = torch.zeros(2, dim + 30, dtype=torch.float64)
    scale = torch.ones_like(loc)
    scale[0, :dim] = 0.7
    loc[1, 0] = 2.0
    integrands = total_variation_integrands(loc, scale, num_draws, torch.Generator().manual_seed(0))
    radius = 2 * dim * math.log(0.7) * 0.49 / (0.49 - 1)
    truth = [stats.chi2.cdf(radius / 0.49, dim) - stats.chi2.cdf(radius, dim), 2 * stats.norm.cdf(1.0) - 1]
    for values, exact in zip(integrands.T, truth, strict=True):
        estimate = Estimate.mean(values)
        assert 5 * estimate.standard_error < 0.02
        assert abs(estimate.value - exact) < 5 * estimate.standard_error


# coverage


def test_coverage_by_one_bubble():
    loc, scale = torch.full((1, 1), 1.5), torch.ones(1, 1)
    prior_z = normal(40_000, 1)
    ball = stats.norm.cdf(1.5 + 1.959964) - stats.norm.cdf(1.5 - 1.959964)
    ratio = stats.norm.sf(1.5 - 1.644854)
    for estimate, truth in [(ball_coverage(prior_z, loc, scale), ball), (ratio_coverage(prior_z, loc, scale), ratio)]:
        assert 5 * estimate.standard_error < 0.02
        assert abs(estimate.value - truth) < 5 * estimate.standard_error


def test_coverage_is_the_union_over_bubbles(monkeypatch):
    loc, scale, prior_z = 1.5 * normal(9, 2, seed=1), torch.full((9, 2), 0.3), normal(500, 2)
    distance = ((prior_z[:, None] - loc) / scale).square().sum(-1)
    ball = (distance <= stats.chi2.ppf(0.95, 2)).any(1).double().mean()
    for pairs in (1, 2**20):
        monkeypatch.setattr(distances, "PAIRS_PER_BLOCK", pairs)
        assert ball_coverage(prior_z, loc, scale).value == pytest.approx(float(ball), abs=1e-12)
        # Two copies of every bubble cover what one does.
        assert ratio_coverage(prior_z, loc.repeat(2, 1), scale.repeat(2, 1)).value == pytest.approx(
            ratio_coverage(prior_z, loc, scale).value, abs=1e-12
        )
    collapsed = torch.zeros(3, 2), torch.ones(3, 2)
    assert ratio_coverage(prior_z, *collapsed).value == 1.0


def test_ratio_set_holds_95_percent_of_its_bubble_where_ball_mass_does_not_discriminate():
    dim = 2_000
    loc = torch.full((1, dim), 5 / math.sqrt(dim), dtype=torch.float64)
    scale, noise = torch.ones_like(loc), normal(4_000, dim)
    assert abs(ratio_coverage(loc + noise, loc, scale).value - 0.95) < 0.02
    assert ratio_coverage(noise, loc, scale).value < 0.01
    assert ball_coverage(noise, loc, scale).value > 0.85


def test_soft_covering():
    assert soft_covering(Estimate.exact(10.0), 1_000).value == pytest.approx(1_000 * math.exp(-10))
    assert soft_covering(Estimate.exact(2.0), 1_000).value == 1.0
    assert soft_covering(Estimate(10.0, 0.1, 50, 50), 1_000).standard_error == pytest.approx(100 * math.exp(-10))
    assert soft_covering(Estimate(2.0, 0.1, 50, 50), 1_000).standard_error == 0.0


def test_nearest_centre_distance():
    z, loc = normal(20, 2, 2), normal(7, 2, 2, seed=1)
    expected = (z[:, None] - loc).flatten(2).norm(dim=-1).min(1).values
    torch.testing.assert_close(nearest_centre_distance(z, loc), expected, rtol=0, atol=1e-12)


# active units and spectrum


def test_active_units():
    loc = torch.zeros(1_000, 6)
    loc[:, :2] = normal(1_000, 2).float()
    loc[:, 2] = 5.0
    scale = torch.ones(1_000, 6)
    scale[:, 5] = 0.5
    assert active_units(loc).value == 2
    assert active_units_by_kl(loc, scale).value == 4
    # 65,536 dimensions of variance 0.0008 are 26 nats and not one active unit.
    thin = math.sqrt(0.0008) * torch.randn(50, 65_536, generator=torch.Generator().manual_seed(0))
    assert active_units(thin).value == 0


@pytest.mark.parametrize(("num", "dim"), [(40, 5), (6, 9)], ids=["D<N", "D>N"])
def test_spectra(num, dim):
    loc, scale = normal(num, dim), 0.5 + normal(num, dim, seed=1).abs()
    within = scale.square().mean(0).diag()
    means = torch.from_numpy(np.cov(loc.numpy().T, bias=True))
    expected = torch.linalg.eigvalsh(means + within).flip(0)
    torch.testing.assert_close(
        aggregate_spectrum(DiagonalAggregate(InMemoryCodes(loc, scale))), expected, rtol=0, atol=1e-10
    )
    expected = torch.linalg.eigvalsh(means).flip(0)[: min(num, dim)]
    torch.testing.assert_close(mean_spectrum(loc), expected, rtol=0, atol=1e-10)
    rotation = torch.linalg.qr(normal(dim, dim, seed=2)).Q
    torch.testing.assert_close(mean_spectrum(loc @ rotation), expected, rtol=0, atol=1e-10)


def test_ranks():
    equal, single = torch.ones(8, dtype=torch.float64), torch.eye(8, dtype=torch.float64)[0]
    assert effective_rank(equal, 5).value == pytest.approx(8)
    assert participation_ratio(equal, 5).value == pytest.approx(8)
    assert effective_rank(single, 5).value == pytest.approx(1)
    assert participation_ratio(single, 5).value == pytest.approx(1)
    uneven = torch.tensor([3.0, 1.0], dtype=torch.float64)
    assert effective_rank(uneven, 5).value == pytest.approx(4 / 3**0.75)
    assert participation_ratio(uneven, 5).value == pytest.approx(1.6)


def test_spectra_refuse_what_does_not_fit(monkeypatch):
    monkeypatch.setattr("analysis.aggregate.base.MAX_COVARIANCE_DIM", 4)
    monkeypatch.setattr("analysis.geometry.spectrum.MAX_COVARIANCE_DIM", 4)
    with pytest.raises(ValueError, match="covariance"):
        aggregate_spectrum(DiagonalAggregate(InMemoryCodes(normal(6, 5), torch.ones(6, 5, dtype=torch.float64))))
    with pytest.raises(ValueError, match="subsample"):
        mean_spectrum(normal(6, 5))
    assert len(mean_spectrum(normal(4, 50))) == 4


# margins


def test_margins_and_flips_of_a_pair():
    """Two centres a distance d apart: rate, union bound and Φ(−d/2s) agree."""
    loc, labels = torch.tensor([[0.0] * 50, [4.0] + [0.0] * 49]), torch.tensor([0, 1])
    assert nearest_margins(loc).tolist() == [2.0, 2.0]
    truth = stats.norm.cdf(-4 / (2 * 1.5))
    (bound,) = label_flip_bounds(loc, labels, [1.5])
    assert bound.value == pytest.approx(truth, abs=1e-12)
    assert bound.bound == "upper"
    flips = label_flip_rate(loc, labels, 1.5, 5_000, torch.Generator().manual_seed(0))
    # 10,000 independent flips: five binomial errors.
    assert abs(flips.value - truth) < 5 * math.sqrt(truth * (1 - truth) / 10_000)
    assert flips.n == 2


def test_flip_rate_stays_under_its_bound():
    loc, labels = 3 * normal(40, 3), torch.arange(40) % 4
    noise_scales = 0.2, 0.5, 2.0
    for noise_scale, bound in zip(noise_scales, label_flip_bounds(loc, labels, noise_scales), strict=True):
        flips = label_flip_rate(loc, labels, noise_scale, 200, torch.Generator().manual_seed(0))
        assert flips.value <= bound.value + 0.02
    assert label_flip_bounds(loc, torch.zeros(40), [2.0])[0].value == 0.0
    assert label_flip_rate(loc, torch.zeros(40), 2.0, 5, torch.Generator().manual_seed(0)).value == 0.0
    assert label_flip_bounds(loc, labels, [100.0])[0].value == 1.0


# intrinsic dimension


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_two_nn_finds_the_manifold(dim):
    """A rotated flat torus sample: uniform in ``dim`` dimensions, embedded in 30."""
    points = torch.rand(3_000, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    embedded = points @ torch.linalg.qr(normal(30, dim)).Q.T
    estimate = two_nn(embedded)
    # Edges thin the density: 10 % of d is the error that this detects.
    assert estimate.value == pytest.approx(dim, rel=0.1)
    assert 1 < estimate.standard_error / (estimate.value / math.sqrt(3_000)) < 1.5
    assert estimate.n < estimate.num_draws == 3_000


def test_two_nn_refuses_duplicates():
    assert two_nn(normal(20, 3).repeat(2, 1)).is_refused


def test_closed_forms_agree_with_each_other():
    """BC bounds TV on both sides: 1 − BC ≤ TV ≤ √(1 − BC²)."""
    loc = normal(50, 4)
    overlap = log_bhattacharyya(loc, torch.ones_like(loc)).exp()
    distance = unit_total_variation(loc)
    assert bool((1 - overlap <= distance).all())
    assert bool((distance <= (1 - overlap.square()).sqrt()).all())
    assert Normal(0.0, 1.0).cdf(loc.norm(dim=1) / 2).mul(2).sub(1).allclose(distance)


def test_eigenvectors_by_lanczos_are_those_of_the_whole_matrix(monkeypatch):
    loc, scale = normal(40, 30), torch.full((40, 30), 0.9, dtype=torch.float64)
    aggregates = [DiagonalAggregate(InMemoryCodes(loc, scale)) for _ in range(2)]
    values = aggregates[0].eigenvalues()
    assert float(values[2].log().abs()) > float(values[-1].log().abs())
    whole = furthest_eigenvectors(aggregates[0], 3)
    monkeypatch.setattr("analysis.geometry.spectrum.MAX_EIGENVECTOR_DIM", 3)
    few = furthest_eigenvectors(aggregates[1], 3)
    torch.testing.assert_close((few.T @ whole).abs(), torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-9)


def test_small_eigenvalues_may_be_the_furthest(monkeypatch):
    narrow = DiagonalAggregate(InMemoryCodes(torch.zeros(2, 4), torch.tensor([[1.0, 1.1, 0.1, 1.2]]).expand(2, 4)))
    torch.testing.assert_close(furthest_eigenvectors(narrow, 1)[:, 0].abs(), torch.eye(4, dtype=torch.float64)[2])
    monkeypatch.setattr("analysis.geometry.spectrum.MAX_EIGENVECTOR_DIM", 3)
    monkeypatch.setattr("analysis.aggregate.base.MAX_EIGENVECTOR_DIM", 3)
    with pytest.raises(ValueError, match="eigenvectors are limited"):
        furthest_eigenvectors(narrow, 1)


def test_what_has_no_spread_or_no_neighbours_is_refused():
    assert "norms are equal" in shell(torch.ones(1, 3)).norm_sd.flags[0]
    assert shell(torch.ones(5, 3)).norm_mean.value == pytest.approx(3**0.5)
    assert "three points" in two_nn(torch.randn(2, 3)).flags[0]
    corners = torch.eye(4)
    assert "equally far" in two_nn(corners).flags[0]
    assert "all eigenvalues are 0" in effective_rank(torch.zeros(3), 10).flags[0]

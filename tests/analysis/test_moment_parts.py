"""Parts of KL(G ‖ p): they sum to it, each is its own closed form, and bounds hold where the truth is known."""

import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.draws import evaluate_component_draws, evaluate_held_out_draws
from analysis.moment_parts import bracket_beyond_moments, certified_by_moments, moment_parts
from analysis.moments import moment_matched
from models.linear import LinearGaussianVAE

F64 = torch.float64


def factorised(mean, deviation):
    return Independent(Normal(torch.as_tensor(mean, dtype=F64), torch.as_tensor(deviation, dtype=F64)), 1)


def aggregate_of(num, dim, seed=0):
    generator = torch.Generator().manual_seed(seed)
    loc = torch.randn(num, dim, generator=generator, dtype=F64) + 0.4
    loc[:, 0] += loc[:, -1]
    return DiagonalAggregate(InMemoryCodes(loc, 0.3 + torch.rand(num, dim, generator=generator, dtype=F64)))


@pytest.mark.parametrize(("num", "dim"), [(40, 3), (5, 9)], ids=["D<N", "D>N"])
@pytest.mark.parametrize("standard", [True, False])
def test_parts_are_divergences_of_their_own_and_sum_to_that_of_g(num, dim, standard):
    aggregate = aggregate_of(num, dim)
    gaussian = moment_matched(aggregate)
    prior = factorised(torch.zeros(dim), torch.ones(dim)) if standard else factorised([0.3] * dim, [1.4] * dim)
    parts = moment_parts(aggregate, prior, gaussian)
    scale, deviation = prior.base_dist.scale, aggregate.marginal_variance.sqrt()
    mean = kl_divergence(factorised(aggregate.mean, scale), prior)
    variances = kl_divergence(factorised(prior.mean, deviation), prior)
    covariance = aggregate.covariance()
    correlation = covariance / deviation[:, None] / deviation
    assert parts.mean.value == pytest.approx(float(mean), abs=1e-10)
    assert parts.variances.value == pytest.approx(float(variances), abs=1e-10)
    assert parts.correlations.value == pytest.approx(-0.5 * float(torch.logdet(correlation)), abs=1e-9)
    whole = kl_divergence(
        MultivariateNormal(aggregate.mean, covariance), MultivariateNormal(prior.mean, torch.diag(prior.variance))
    )
    assert parts.mean.value + parts.variances.value + parts.correlations.value == pytest.approx(float(whole), abs=1e-9)
    if standard:
        assert parts.mean.value == pytest.approx(0.5 * float(aggregate.mean.square().sum()))


def test_inert_dimensions_add_nothing_and_an_offset_is_seen_by_the_mean_alone():
    aggregate, prior = aggregate_of(30, 3), factorised(torch.zeros(5), torch.ones(5))
    loc, scale = (
        torch.cat([own, torch.full((30, 2), fill, dtype=F64)], 1)
        for own, fill in ((aggregate.codes.loc, 0.0), (aggregate.codes.scale, 1.0))
    )
    padded = DiagonalAggregate(InMemoryCodes(loc, scale))
    few = moment_parts(aggregate, factorised(torch.zeros(3), torch.ones(3)), moment_matched(aggregate))
    many = moment_parts(padded, prior, moment_matched(padded))
    for name in ("mean", "variances", "correlations"):
        assert getattr(many, name).value == pytest.approx(getattr(few, name).value, abs=1e-10)
    moved = DiagonalAggregate(InMemoryCodes(loc + 1.0, scale))
    after = moment_parts(moved, prior, moment_matched(moved))
    assert after.variances.value == pytest.approx(many.variances.value)
    assert after.correlations.value == pytest.approx(many.correlations.value)
    assert after.mean.value - many.mean.value == pytest.approx(float(padded.mean.sum()) + 2.5)


def test_a_covariance_that_is_too_large_refuses_correlations_alone():
    aggregate = aggregate_of(12, 6)
    parts = moment_parts(aggregate, factorised(torch.zeros(6), torch.ones(6)), None)
    assert parts.correlations.is_refused
    assert parts.mean.value > 0
    certified = certified_by_moments(
        aggregate, factorised(torch.zeros(6), torch.ones(6)), None, torch.zeros(4, 6, dtype=F64), torch.arange(4)
    )
    assert certified["moments"].is_refused
    assert not certified["mean"].is_refused


@pytest.fixture(scope="module")
def linear():
    """Codes of a linear-Gaussian VAE on shifted data: q_∞ = N(m, M) exactly, so that KL(q_∞ ‖ G∞) = 0."""
    vae = LinearGaussianVAE.random(3, 6, gain=1.0, noise=1.0, generator=torch.Generator().manual_seed(0))
    shift = 1.5 * torch.ones(6, dtype=F64)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        train, held_out = (
            DiagonalAggregate(InMemoryCodes(posterior.mean, posterior.base_dist.scale.contiguous()))
            for posterior in (vae.posterior(vae.simulate(num, generator) + shift) for num in (3_000, 3_000))
        )
        return vae, vae.exact(shift=shift), train, held_out


def test_held_out_codes_certify_what_is_known_of_a_linear_model(linear):
    vae, exact, train, held_out = linear
    z, component = held_out.sample_per_image(1, torch.Generator().manual_seed(2))
    with torch.no_grad():
        prior = vae.prior()
    found = certified_by_moments(train, prior, moment_matched(train), z, component)
    mean, variance = exact.mean, exact.covariance.diagonal()
    truths = {
        "mean": 0.5 * float(mean.square().sum()),
        "variances": 0.5 * float((variance + mean.square() - 1 - variance.log() - mean.square() / variance).sum()),
        "mean_variances": 0.5 * float((mean.square() + variance - 1 - variance.log()).sum()),
        "moments": float(exact.marginal_kl),
    }
    for name, truth in truths.items():
        assert found[name].bound == "lower"
        assert found[name].standard_error < 0.05
        # Moments of 3,000 codes err by 0.02 a dimension, to first order in those alone that r lacks.
        assert abs(found[name].value - truth) < 4 * found[name].standard_error + 0.02, name


def test_what_is_beyond_moments_lies_between_its_ends(linear):
    vae, _, train, held_out = linear
    z, component = held_out.sample_per_image(1, torch.Generator().manual_seed(3))
    with torch.no_grad():
        own = evaluate_component_draws(held_out, vae.prior(), z, component)
        unseen = evaluate_held_out_draws(train, held_out, vae.prior(), z, component)
    lower, upper = bracket_beyond_moments(moment_matched(train), z, unseen.log_aggregate, own.log_aggregate, component)
    assert (lower.bound, upper.bound) == ("lower", "upper")
    assert lower.value < 3 * lower.standard_error
    assert upper.value > -3 * upper.standard_error
    assert upper.value - lower.value < 0.1


@pytest.mark.slow
def test_intervals_of_certified_nats_cover_their_expectation():
    """2,000 sets of held-out codes, one fitted mean: the interval covers m·μ − ½‖m‖², the expectation given m."""
    train, prior = aggregate_of(200, 3), factorised(torch.zeros(3), torch.ones(3))
    truth_mean = torch.tensor([0.7, 0.1, 0.4], dtype=F64)
    truth = float(train.mean @ truth_mean - train.mean.square().sum() / 2)
    generator = torch.Generator().manual_seed(4)
    covered = 0
    for _ in range(2_000):
        z = truth_mean + torch.randn(60, 3, generator=generator, dtype=F64)
        found = certified_by_moments(train, prior, None, z, torch.arange(60))["mean"].interval()
        covered += truth in found
    assert math.isfinite(truth)
    assert 0.93 < covered / 2_000 < 0.97

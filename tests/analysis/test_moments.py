"""Moment-matched Gaussian: exact terms against torch's closed forms, and the split against the direct KL."""

import math

import pytest
import torch
from torch.distributions import (
    Independent,
    Laplace,
    LowRankMultivariateNormal,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.draws import evaluate_component_draws
from analysis.moments import moment_matched, moment_split


def prior(dim: int) -> Independent:
    return Independent(Normal(torch.full((dim,), 0.3, dtype=torch.float64), torch.full((dim,), 1.4).double()), 1)


def aggregate_of(num: int, dim: int) -> DiagonalAggregate:
    generator = torch.Generator().manual_seed(0)
    loc = torch.randn(num, dim, generator=generator, dtype=torch.float64)
    loc[:, 0] += loc[:, -1]
    return DiagonalAggregate(InMemoryCodes(loc, 0.3 + torch.rand(num, dim, generator=generator, dtype=torch.float64)))


def evaluate(aggregate: DiagonalAggregate, num_draws: int):
    z, component = aggregate.sample(num_draws, torch.Generator().manual_seed(1))
    return z, evaluate_component_draws(aggregate, prior(aggregate.latent_dim), z, component)


def dense_moments(aggregate: DiagonalAggregate) -> MultivariateNormal:
    centred = aggregate.codes.loc - aggregate.codes.loc.mean(0)
    covariance = centred.T @ centred / len(centred) + aggregate.codes.scale.square().mean(0).diag()
    return MultivariateNormal(aggregate.codes.loc.mean(0), covariance)


@pytest.mark.parametrize(("num", "dim"), [(40, 3), (5, 9)], ids=["D<N", "D>N"])
@pytest.mark.parametrize("diagonal", [False, True])
def test_gaussian_part_is_exact(num, dim, diagonal):
    aggregate = aggregate_of(num, dim)
    gaussian = dense_moments(aggregate)
    reference = MultivariateNormal(prior(dim).mean, prior(dim).variance.diag())
    if diagonal:
        gaussian = MultivariateNormal(gaussian.mean, gaussian.covariance_matrix.diagonal().diag())
    z, draws = evaluate(aggregate, 200)
    split = moment_split(aggregate, prior(dim), z, draws, diagonal=diagonal)
    assert split.gaussian_kl.value == pytest.approx(float(kl_divergence(gaussian, reference)), abs=1e-10)
    residual = draws.log_aggregate - gaussian.log_prob(z)
    assert split.residual_kl.value == pytest.approx(float(residual.mean()), abs=1e-10)


@pytest.mark.parametrize("diagonal", [False, True])
def test_split_agrees_with_the_direct_kl(diagonal):
    aggregate = aggregate_of(12, 2)
    z, draws = evaluate(aggregate, 40_000)
    split = moment_split(aggregate, prior(2), z, draws, diagonal=diagonal)
    gaussian = moment_matched(aggregate, diagonal)
    # log G − log p is what the split integrates exactly: the draws must agree on it to five standard errors, 0.03 nats.
    values = gaussian.log_prob(z) - draws.log_prior
    error = float(values.std()) / math.sqrt(len(values))
    assert 5 * error < 0.05
    assert abs(float(values.mean()) - split.gaussian_kl.value) < 5 * error
    assert split.total.standard_error == split.residual_kl.standard_error
    assert split.total.value == pytest.approx(split.gaussian_kl.value + split.residual_kl.value)


def test_one_component_is_its_own_gaussian():
    aggregate = aggregate_of(1, 4)
    z, draws = evaluate(aggregate, 50)
    split = moment_split(aggregate, prior(4), z, draws)
    assert split.residual_kl.value == pytest.approx(0.0, abs=1e-10)


def test_low_rank_form_has_the_same_density():
    aggregate = aggregate_of(5, 9)
    gaussian = moment_matched(aggregate)
    z, _ = evaluate(aggregate, 20)
    assert isinstance(gaussian, LowRankMultivariateNormal)
    torch.testing.assert_close(gaussian.log_prob(z), dense_moments(aggregate).log_prob(z), rtol=0, atol=1e-10)


def test_refusals(monkeypatch):
    aggregate = aggregate_of(12, 6)
    z, draws = evaluate(aggregate, 10)
    with pytest.raises(ValueError, match="factorised normal prior"):
        moment_split(aggregate, Independent(Laplace(torch.zeros(6), 1.0), 1), z, draws)
    monkeypatch.setattr("analysis.moments.MAX_COVARIANCE_DIM", 5)
    split = moment_split(aggregate, prior(6), z, draws)
    assert split.gaussian_kl.is_refused
    assert split.residual_kl.is_refused
    assert not moment_split(aggregate, prior(6), z, draws, diagonal=True).gaussian_kl.is_refused

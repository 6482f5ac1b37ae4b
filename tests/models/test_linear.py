"""Oracles 1 and 2: the linear-Gaussian VAE against closed forms, in float64."""

import math

import pytest
import torch
from pyro import poutine
from torch.distributions import MultivariateNormal, kl_divergence

from models import noise
from models.linear import LinearGaussianVAE
from models.pure import pure_pyro
from study.design.families import OBJECTIVES


@pytest.fixture(params=[(2, 5), (8, 20), (16, 16)], ids=lambda shape: f"D{shape[0]}-P{shape[1]}")
def pair(request) -> LinearGaussianVAE:
    latent_dim, data_dim = request.param
    return LinearGaussianVAE.random(
        latent_dim, data_dim, gain=3.0, noise=0.7, generator=torch.Generator().manual_seed(latent_dim)
    )


def test_elbo_has_no_variance(pair):
    x = pair.simulate(50, torch.Generator().manual_seed(1))
    log_marginal = pair.marginal().log_prob(x)
    with pure_pyro():
        for seed in range(5):
            torch.manual_seed(seed)
            guide = poutine.trace(pair.guide).get_trace(x)
            model = poutine.trace(poutine.replay(pair.model, trace=guide)).get_trace(x)
            log_joint = sum(model.nodes[site]["fn"].log_prob(model.nodes[site]["value"]) for site in ("z", "x"))
            log_guide = guide.nodes["z"]["fn"].log_prob(guide.nodes["z"]["value"])
            assert (log_joint - log_guide - log_marginal).abs().max() <= 1e-9


def test_objective_equals_the_log_marginal_up_to_the_closed_form_kl(pair):
    """The KL is exact and the distortion sampled: over draws their sum has the log-marginal as its mean."""
    x = pair.simulate(1, torch.Generator().manual_seed(2)).expand(20_000, -1)
    with torch.no_grad(), pure_pyro():
        terms = OBJECTIVES["elbo"]()(pair.model, pair.guide, x)
    losses = terms.rate + terms.distortion
    error = float(losses.std()) / math.sqrt(len(losses))
    # Detects a shift of five standard errors, about 0.05 nats.
    assert abs(float((losses.mean() + pair.marginal().log_prob(x[:1])).detach())) < 5 * error


def test_exact_rate_is_the_mean_kl_of_the_posteriors(pair):
    shift = torch.linspace(-1, 1, len(pair.bias), dtype=torch.float64)
    root = torch.randn(len(pair.bias), len(pair.bias), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    covariance = root @ root.T / len(root)
    exact = pair.exact(shift, covariance)
    data = MultivariateNormal(pair.bias.detach() + shift, covariance)
    torch.manual_seed(0)
    with torch.no_grad():
        kl = kl_divergence(pair.posterior(data.sample((100_000,))), pair.prior())
    assert abs(float(kl.mean() - exact.rate)) < 5 * float(kl.std()) / math.sqrt(len(kl))
    assert torch.allclose(exact.rate, exact.information + exact.marginal_kl, atol=1e-12)
    aggregate = MultivariateNormal(exact.mean, exact.covariance)
    prior = MultivariateNormal(torch.zeros_like(exact.mean), torch.eye(len(exact.mean), dtype=torch.float64))
    assert torch.allclose(kl_divergence(aggregate, prior), exact.marginal_kl, atol=1e-10)


def test_data_of_the_model_has_the_prior_as_its_aggregate(pair):
    exact = pair.exact()
    assert abs(float(exact.marginal_kl)) < 1e-10
    assert torch.allclose(exact.covariance, torch.eye(len(exact.mean), dtype=torch.float64), atol=1e-10)
    assert float(exact.rate) > 1.0


def test_posterior_matches_bayes_rule(pair):
    """q(z|x) ∝ p(z) p(x|z): the log-ratio is constant in z."""
    x = pair.simulate(1, torch.Generator().manual_seed(3))
    z = torch.randn(200, pair.weight.shape[1], dtype=torch.float64)
    with torch.no_grad():
        gap = pair.prior().log_prob(z) + pair.likelihood(z).log_prob(x) - pair.posterior(x).log_prob(z)
    assert float(gap.max() - gap.min()) < 1e-9


def test_draws_come_from_the_noise_source(pair):
    x = pair.simulate(3, torch.Generator().manual_seed(4))
    zeros = torch.zeros(3, pair.weight.shape[1], dtype=torch.float64)
    with noise.replay([zeros]), pure_pyro():
        z = pair.guide(x)
    assert torch.equal(z, pair.posterior(x).mean)


def test_bad_arguments_are_refused():
    eye = torch.eye(3, 2)
    with pytest.raises(ValueError, match="orthonormal"):
        LinearGaussianVAE(2 * eye, torch.ones(2), torch.zeros(3), 1.0)
    with pytest.raises(ValueError, match="noise must be positive"):
        LinearGaussianVAE(eye, torch.ones(2), torch.zeros(3), 0.0)

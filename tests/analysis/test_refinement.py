"""Refinement of codes: under a linear decoder the optimum of every image is its exact posterior."""

import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from analysis.refinement import compare, elbo, refine, squared_offset
from models.linear import LinearGaussianVAE

F64 = torch.float64
DIM, PIXELS, IMAGES = 4, 9, 60
SHIFT, SPREAD = 0.4, 0.6
"""Of the encoder's mean, in every dimension, and of its scale."""


def stream(seed):
    return torch.Generator().manual_seed(seed)


class Case:
    """Images with a mean of their own, and an encoder that is wrong by SHIFT and SPREAD."""

    def __init__(self, prior=None):
        self.vae = LinearGaussianVAE.random(DIM, PIXELS, gain=1.0, noise=0.8, generator=stream(0))
        images = self.vae.simulate(IMAGES, stream(1)) + self.vae.weight.detach() @ torch.ones(DIM, dtype=F64)
        self.exact = self.vae.posterior(images).base_dist
        self.prior = prior or Independent(Normal(torch.zeros(DIM).double(), torch.ones(DIM).double()), 1)
        self.log_likelihood = lambda z: self.vae.likelihood(z).log_prob(images)
        self.before = self.exact.loc.detach() + SHIFT, SPREAD * self.exact.scale.detach()

    def refined(self, steps=300):
        return refine(
            self.log_likelihood, self.prior, *self.before, steps=steps, learning_rate=0.03, generator=stream(2)
        )


@pytest.fixture(scope="module")
def case():
    return Case()


def test_the_optimum_of_an_image_is_its_exact_posterior(case):
    loc, scale = case.refined()
    torch.testing.assert_close(loc, case.exact.loc.detach(), atol=0.03, rtol=0)
    ratio = scale / case.exact.scale.detach()
    assert float((ratio - 1).abs().max()) < 0.15
    assert float(ratio.mean()) == pytest.approx(1, abs=0.02)


def test_the_gap_is_the_divergence_of_the_encoder_from_the_posterior(case):
    found = compare(case.log_likelihood, case.prior, case.before, case.refined(), draws=64, generator=stream(3))
    moved = SHIFT**2 / case.exact.scale.detach().square()
    exact = float((SPREAD**2 + moved - 1 - 2 * math.log(SPREAD)).expand(IMAGES, DIM).sum(1).mean() / 2)
    gap = found["amortisation_gap"]
    assert gap.bound == "lower"
    assert exact > 0.5
    assert abs(gap.value - exact) < 4 * gap.standard_error + 0.01
    rates = {
        name: float(torch.distributions.kl_divergence(Independent(Normal(*ends), 1), case.prior).mean())
        for name, ends in {"before": case.before, "after": (case.exact.loc.detach(), case.exact.scale.detach())}.items()
    }
    assert found["rate_refined"].value == pytest.approx(rates["after"], abs=0.02)
    assert found["rate_change"].value == pytest.approx(rates["after"] - rates["before"], abs=0.03)


def test_an_offset_of_the_encoder_goes_and_that_of_the_model_stays(case):
    found = compare(case.log_likelihood, case.prior, case.before, case.refined(), draws=1, generator=stream(3))
    model = squared_offset(case.exact.loc.detach()).value
    assert model > 0.5
    assert found["offset_refined"].value == pytest.approx(model, rel=0.02)
    assert found["offset"].value > 1.3 * model


def test_what_is_best_already_gains_nothing():
    case = Case()
    case.before = case.exact.loc.detach(), case.exact.scale.detach().expand(IMAGES, DIM)
    found = compare(case.log_likelihood, case.prior, case.before, case.refined(), draws=64, generator=stream(3))
    assert abs(found["amortisation_gap"].value) < 0.01
    torch.testing.assert_close(found["offset_refined"].value, found["offset"].value, rtol=0.02, atol=0)


def test_a_prior_without_a_closed_form_is_sampled():
    """The same normal as a full covariance, of which no divergence from a factorised normal is registered as such."""
    full = MultivariateNormal(torch.zeros(DIM).double(), torch.eye(DIM).double())
    case, known = Case(full), Case()
    noise = torch.randn(4_000, IMAGES, DIM, generator=stream(4), dtype=F64)
    q = Independent(Normal(*case.before), 1)
    bounds = {
        name: torch.stack([elbo(each.log_likelihood, each.prior, q, draw) for draw in noise]).detach().mean()
        for name, each in {"sampled": case, "closed": known}.items()
    }
    assert float(bounds["sampled"]) == pytest.approx(float(bounds["closed"]), abs=0.03)
    torch.testing.assert_close(case.refined()[0], case.exact.loc.detach(), atol=0.1, rtol=0)


def test_a_longer_search_gains_more(case):
    gaps = [
        compare(case.log_likelihood, case.prior, case.before, case.refined(steps), draws=32, generator=stream(3))
        for steps in (5, 40, 300)
    ]
    values = [each["amortisation_gap"].value for each in gaps]
    assert values == sorted(values)


def test_the_networks_are_left_as_they_are(case):
    before = [parameter.clone() for parameter in case.vae.parameters()]
    case.refined(3)
    assert all(torch.equal(a, b) for a, b in zip(before, case.vae.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in case.vae.parameters())


def test_the_squared_offset_is_unbiased_and_its_intervals_cover():
    """On 2,000 sets of 20 codes whose mean has the squared length 1; the plain square would be 1 + 10/20."""
    mean = torch.full((10,), math.sqrt(0.1), dtype=F64)
    noise = torch.randn(2_000, 20, 10, generator=stream(5), dtype=F64)
    found = [squared_offset(points.view(20, 2, 5)) for points in mean + noise]
    values = torch.tensor([each.value for each in found])
    assert abs(float(values.mean()) - 1.0) < 4 * float(values.std()) / math.sqrt(2_000)
    covered = sum(1.0 in each.interval() for each in found) / 2_000
    assert 0.93 < covered < 0.97
    errors = torch.tensor([each.standard_error for each in found])
    assert float(errors.square().mean().sqrt()) == pytest.approx(
        float(values.std()), rel=0.15
    )  # the jackknife errs upwards

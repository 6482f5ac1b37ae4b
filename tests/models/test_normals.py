"""The standard normal and the divergence towards it, against torch's formula for two normals."""

import pyro.distributions as dist
import pytest
import torch
from torch.distributions import Independent, kl_divergence

from models.distributions import Normal, StandardNormal
from models.pure import pure_pyro


def posterior(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    loc = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    scale = torch.randn(shape, generator=generator, dtype=torch.float64).exp()
    return loc.requires_grad_(), scale.requires_grad_()


@pytest.mark.parametrize("family", [dist.Normal, Normal], ids=["pyro", "ours"])
def test_divergence_and_gradient_are_those_of_two_normals(family):
    loc, scale = posterior(32, 4, 3)
    zeros, ones = torch.zeros(4, 3, dtype=torch.float64), torch.ones(4, 3, dtype=torch.float64)
    found, expected = (
        kl_divergence(family(loc, scale).to_event(2), Independent(p, 2))
        for p in (StandardNormal(zeros, ones), dist.Normal(zeros, ones))
    )
    assert found.shape == (32,)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    weights = torch.arange(1.0, 33.0, dtype=torch.float64)
    gradients = [torch.autograd.grad(kl @ weights, (loc, scale)) for kl in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


def test_divergence_has_the_shape_that_both_broadcast_to():
    loc, scale = posterior(5, 1)
    prior = StandardNormal(torch.zeros(7), torch.ones(7)).expand((3, 5, 7))
    found = kl_divergence(Normal(loc, scale), prior)
    assert found.shape == (3, 5, 7)
    torch.testing.assert_close(found, kl_divergence(Normal(loc, scale), dist.Normal(0.0, 1.0)).expand(3, 5, 7))


def test_a_batch_of_it_stays_standard_within_a_plate():
    with pure_pyro():
        prior = StandardNormal(torch.zeros(2, 3), torch.ones(2, 3)).to_event(2).expand((4,))
    assert isinstance(prior.base_dist, StandardNormal)
    assert prior.batch_shape == (4,)

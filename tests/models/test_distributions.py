"""Mixtures of normals by products, against torch's own."""

import pyro.distributions as dist
import pytest
import torch

from analysis.precision import log_prob_float64
from models.distributions import Normal, NormalMixture, mixture


def parameters(dtype: torch.dtype = torch.float64, shape: tuple[int, ...] = (3, 2)) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    logits, loc, raw = (torch.randn(5, *s, generator=generator, dtype=torch.float64) for s in ((), shape, shape))
    return logits.to(dtype), 2 * loc.to(dtype), (0.7 * raw).exp().to(dtype)


def reference(logits, loc, scale) -> dist.MixtureSameFamily:
    return dist.MixtureSameFamily(dist.Categorical(logits=logits), dist.Normal(loc, scale).to_event(loc.dim() - 1))


@pytest.mark.parametrize("shape", [(1,), (40,), (3, 2)], ids=str)
def test_density_is_that_of_torchs_mixture(shape):
    logits, loc, scale = parameters(shape=shape)
    z = 3 * torch.randn(7, 4, *shape, dtype=torch.float64)
    own = NormalMixture(logits, loc, scale)
    assert own.event_shape == shape
    assert torch.allclose(own.log_prob(z), reference(logits, loc, scale).log_prob(z), rtol=1e-12, atol=1e-10)


def test_single_precision_is_near_and_evaluation_is_exact():
    logits, loc, scale = parameters(torch.float32, (128,))
    z = torch.randn(50, 128)
    exact = reference(logits.double(), loc.double(), scale.double()).log_prob(z.double())
    own = NormalMixture(logits, loc, scale)
    assert torch.allclose(own.log_prob(z).double(), exact, atol=0.05)
    assert torch.allclose(log_prob_float64(own, z), exact, rtol=1e-12)


def test_autocast_does_not_reach_the_products():
    logits, loc, scale = parameters(torch.float32, (128,))
    z, own = torch.randn(50, 128), NormalMixture(logits, loc, scale)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(own.log_prob(z), NormalMixture(logits, loc, scale).log_prob(z))
        inside = own.log_prob(z)
    assert torch.equal(inside, own.log_prob(z))


def test_samples_have_the_moments_of_the_mixture():
    """100,000 draws; a mean off by five standard errors, about 0.05, is detected."""
    logits, loc, scale = parameters(shape=(2,))
    torch.manual_seed(0)
    sample = NormalMixture(logits, loc, scale).sample((100_000,))
    weights = logits.softmax(0)[:, None]
    mean = (weights * loc).sum(0)
    variance = (weights * (scale.square() + loc.square())).sum(0) - mean.square()
    assert ((sample.mean(0) - mean).abs() < 5 * (variance / 100_000).sqrt()).all()
    assert torch.allclose(sample.var(0), variance, rtol=0.05)


def test_batches_expand_and_draw_independently():
    wide = NormalMixture(*parameters()).expand((6,))
    assert wide.batch_shape == (6,)
    draws = wide.sample((4,))
    assert draws.shape == (4, 6, 3, 2)
    assert wide.log_prob(draws).shape == (4, 6)
    assert len(draws.flatten(0, 1).unique(dim=0)) == 24


def test_other_components_take_torchs_mixture():
    logits, loc, scale = parameters(shape=(3,))
    laplace = mixture(logits, dist.Laplace(loc, scale).to_event(1))
    assert isinstance(laplace, dist.MixtureSameFamily)
    assert isinstance(mixture(logits, Normal(loc, scale).to_event(1)), NormalMixture)

"""Distributions in float64: against the same distribution built in float64."""

import pytest
import torch
from torch import nn
from torch.distributions import (
    AffineTransform,
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
)

from analysis.precision import log_prob_float64, to_float64


def normal(dim: int, dtype: torch.dtype) -> Distribution:
    grid = torch.linspace(0.9, 1.1, dim, dtype=torch.float32).to(dtype)
    return Independent(Normal(grid - 1, grid), 1)


def mixture(dim: int, dtype: torch.dtype) -> Distribution:
    weights = torch.tensor([0.25, 0.75], dtype=dtype)
    loc = torch.linspace(-1, 1, 2 * dim, dtype=torch.float32).to(dtype).reshape(2, dim)
    return MixtureSameFamily(Categorical(weights), Independent(Normal(loc, torch.ones_like(loc)), 1))


def transformed(dim: int, dtype: torch.dtype) -> Distribution:
    shift = AffineTransform(torch.full((dim,), 0.5, dtype=dtype), torch.full((dim,), 1.5, dtype=dtype), event_dim=1)
    return TransformedDistribution(normal(dim, dtype), [shift])


def full(dim: int, dtype: torch.dtype) -> Distribution:
    return MultivariateNormal(torch.zeros(dim, dtype=dtype), torch.eye(dim, dtype=dtype) * 2)


@pytest.mark.parametrize("family", [normal, mixture, transformed, full])
def test_agrees_with_float64_parameters(family):
    z = torch.randn(7, 64, generator=torch.Generator().manual_seed(0))
    computed = log_prob_float64(family(64, torch.float32), z)
    assert computed.dtype == torch.float64
    torch.testing.assert_close(computed, family(64, torch.float64).log_prob(z.double()), rtol=0, atol=1e-5)


def test_high_dimension_keeps_its_digits():
    dim = 65_536
    z = torch.randn(2, dim, generator=torch.Generator().manual_seed(0))
    exact = normal(dim, torch.float64).log_prob(z.double())
    torch.testing.assert_close(log_prob_float64(normal(dim, torch.float32), z), exact, rtol=0, atol=1e-7)


def test_modules_and_originals():
    class Shifted(Distribution):
        def __init__(self):
            super().__init__(event_shape=torch.Size([3]), validate_args=False)
            self.network = nn.Linear(3, 3)

        def log_prob(self, value):
            return self.network(value).sum(-1)

    distribution = Shifted()
    z = torch.ones(2, 3)
    expected = distribution.log_prob(z).double()
    torch.testing.assert_close(log_prob_float64(distribution, z), expected, rtol=0, atol=1e-6)
    assert distribution.network.weight.dtype == torch.float32
    assert to_float64(Categorical(torch.ones(2)).sample()).dtype == torch.int64


def test_a_rounded_or_misshapen_density_is_an_error():
    class Rounded(Distribution):
        def __init__(self):
            super().__init__(event_shape=torch.Size([3]), validate_args=False)

        def log_prob(self, value):
            return value.float().sum(-1)

    with pytest.raises(ValueError, match="float32"):
        log_prob_float64(Rounded(), torch.ones(2, 3))
    with pytest.raises(ValueError, match="whole latent shape"):
        log_prob_float64(Normal(0.0, 1.0), torch.ones(2, 3))

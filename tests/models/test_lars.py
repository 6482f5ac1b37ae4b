"""LARS: the density of truncated rejection against quadrature, its draws, and the error of its normaliser."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from models.context import Context
from models.priors.lars import LARS
from models.shapes import Shapes
from study.design.families import NETWORKS, PRIORS

GRID = torch.linspace(-9, 9, 4_001, dtype=torch.float64)


class Linear(nn.Module):
    """f(z) = steepness · z₁ + level."""

    def __init__(self, steepness: float, level: float) -> None:
        super().__init__()
        self.steepness, self.level = steepness, level

    def forward(self, z: Tensor) -> Tensor:
        return self.steepness * z[..., :1] + self.level


def build(latent_shape: tuple[int, ...] = (1,), network: nn.Module | None = None, **options: int) -> LARS:
    torch.manual_seed(0)
    prior = PRIORS["lars"](Context(Shapes(latent_shape, (1, 8, 8)), NETWORKS["mlp"](hidden=(8,))), **options)
    assert isinstance(prior, LARS)
    prior.network = prior.network if network is None else network
    return prior.double()


def exact(network: nn.Module, rounds: int) -> Tensor:
    """log p on GRID by the law of the sampler: sum over the rounds at which a proposal may be kept."""
    base, accept = Normal(0.0, 1.0).log_prob(GRID).exp(), network(GRID[:, None])[:, 0].sigmoid()
    z = torch.trapezoid(base * accept, GRID)
    kept = sum((1 - z) ** t * accept for t in range(rounds - 1)) + (1 - z) ** (rounds - 1)
    return (base * kept).log()


@pytest.mark.parametrize("rounds", [2, 5, 100])
@pytest.mark.parametrize("level", [-4.0, 0.0, 30.0])
def test_density_is_that_of_truncated_rejection(rounds, level):
    """To six errors of the estimated normaliser, relative to how far log p can move with it."""
    network = Linear(2.0, level)
    prior = build(network=network, rounds=rounds)()
    accept = network(GRID[:, None])[:, 0].sigmoid()
    z = float(torch.trapezoid(Normal(0.0, 1.0).log_prob(GRID).exp() * accept, GRID))
    often = accept >= z  # where the error is that of log Z or less
    error = (prior.log_prob(GRID[:, None]) - exact(network, rounds))[often]
    assert float(error.abs().max()) < 6 * float(prior.log_prob_standard_error) + 1e-9


def test_constant_acceptance_leaves_the_base():
    prior = build((2, 3), Linear(0.0, -1.5))()
    z = torch.randn(20, 2, 3, dtype=torch.float64)
    assert torch.allclose(prior.log_prob(z), Normal(0.0, 1.0).log_prob(z).sum((1, 2)), atol=1e-12)
    assert float(prior.log_prob_standard_error) < 1e-12


@pytest.mark.parametrize("rounds", [2, 5])
def test_draws_are_truncated_rejection(rounds):
    """A Kolmogorov distance of 0.014 has p = 1e-3; the formula without truncation is off by more than 0.03."""
    network = Linear(3.0, -4.0)
    prior = build(network=network, rounds=rounds)()
    torch.manual_seed(1)
    sample = prior.sample((20_000,))[:, 0].sort().values
    uniform = torch.linspace(0, 1, len(sample), dtype=torch.float64)

    def distance(log_density: Tensor) -> float:
        cdf = torch.cumulative_trapezoid(log_density.exp(), GRID)
        return float((cdf[(torch.searchsorted(GRID, sample) - 1).clamp(0, len(cdf) - 1)] - uniform).abs().max())

    assert distance(exact(network, rounds)) < 0.014 + 0.002
    assert distance(exact(network, 500)) > 0.03


def test_standard_error_is_the_spread_of_the_log_normaliser():
    """Over 400 sets of fresh draws the spread is the stated error to 15 %, four standard errors of a spread."""
    prior = build(network=Linear(2.0, -2.0), draws=2_000)
    torch.manual_seed(2)
    distributions = [prior.for_training(torch.empty(0)) for _ in range(400)]
    log_z = torch.stack([d.log_accept for d in distributions])
    stated = torch.stack([d.log_prob_standard_error for d in distributions]).mean()
    assert float(log_z.std() / stated) == pytest.approx(1, abs=0.15)
    accept = (2.0 * GRID - 2.0).sigmoid()
    truth = torch.trapezoid(Normal(0.0, 1.0).log_prob(GRID).exp() * accept, GRID).log()
    assert abs(float(log_z.mean() - truth)) < 5 * float(stated) / math.sqrt(400)


def test_the_density_is_fixed_and_training_is_fresh():
    prior, z = build((3,)), torch.randn(4, 3, dtype=torch.float64)
    assert torch.equal(prior().log_prob(z), prior().log_prob(z))
    assert not torch.equal(prior.for_training(z).log_prob(z), prior.for_training(z).log_prob(z))


def test_many_draws_come_in_blocks(monkeypatch):
    prior, z = build((3,), evaluation_draws=1_000), torch.randn(4, 3, dtype=torch.float64)
    whole = prior().log_prob(z)
    monkeypatch.setattr("models.priors._reweighted._ELEMENTS_PER_BLOCK", 7 * 3)
    assert [len(block) for block in prior._fixed_draws()] == [7] * 142 + [6]
    assert torch.allclose(prior().log_prob(z), whole, atol=0.02)


@pytest.mark.parametrize("options", [{"rounds": 1}, {"hidden": ()}, {"draws": 1}, {"evaluation_draws": 0}], ids=str)
def test_impossible_options_are_refused_by_name(options):
    (option,) = options
    with pytest.raises(ValueError, match=rf"prior\.{option}"):
        build(**options)


def test_more_draws_than_memory_holds_are_refused():
    with pytest.raises(ValueError, match=r"prior\.draws"):
        build((2**19,))

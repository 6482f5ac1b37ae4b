"""Energy prior: a quadratic energy is a Gaussian with a known normaliser; resampling; the bound; the stated error."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from models.context import Context
from models.priors.energy import Energy
from models.shapes import Shapes
from study.design.families import NETWORKS, PRIORS

PRECISION, PULL = 1.5, 0.4
"""f(z) = −½ PRECISION ‖z‖² + PULL Σ z: p is N(PULL/(1 + PRECISION), 1/(1 + PRECISION)) in every dimension."""

UNBOUNDED = 1e6


class Quadratic(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return (PULL * z - 0.5 * PRECISION * z.square()).sum(-1, keepdim=True)


def build(latent_shape: tuple[int, ...] = (2,), network: nn.Module | None = None, **options: float) -> Energy:
    torch.manual_seed(0)
    prior = PRIORS["energy"](Context(Shapes(latent_shape, (1, 8, 8)), NETWORKS["mlp"](hidden=(8,))), **options)
    assert isinstance(prior, Energy)
    prior.network = prior.network if network is None else network
    return prior.double()


def gaussian() -> Normal:
    variance = torch.tensor(1 / (1 + PRECISION), dtype=torch.float64)
    return Normal(PULL * variance, variance.sqrt())


@pytest.mark.parametrize("shape", [(1,), (2,), (2, 2, 1)], ids=str)
def test_quadratic_energy_is_a_gaussian(shape):
    prior = build(shape, Quadratic(), bound=UNBOUNDED)()
    z = torch.randn(50, *shape, dtype=torch.float64)
    error = prior.log_prob(z) - gaussian().log_prob(z).flatten(1).sum(1)
    # One error for all: that of log Z.
    assert float(error.std()) < 1e-9
    assert 0 < abs(float(error.mean())) < 5 * float(prior.log_prob_standard_error)
    dim = math.prod(shape)
    log_z = 0.5 * dim * (PULL**2 / (1 + PRECISION) - math.log(1 + PRECISION))
    assert float(prior.log_normaliser) == pytest.approx(log_z, abs=5 * float(prior.log_prob_standard_error))


def test_standard_error_is_the_one_known_in_closed_form():
    """Var r / Z² is E r²/Z² − 1, with E r² from twice the energy; the estimate of it is good to 10 %."""
    prior = build((2,), Quadratic(), bound=UNBOUNDED)()

    def log_z(times: float) -> float:
        return 0.5 * 2 * ((times * PULL) ** 2 / (1 + times * PRECISION) - math.log(1 + times * PRECISION))

    expected = math.sqrt(math.expm1(log_z(2) - 2 * log_z(1)) / 65_536)
    assert float(prior.log_prob_standard_error) == pytest.approx(expected, rel=0.1)


def test_resampling_draws_the_gaussian():
    """Detects a shift of five standard errors; the bias of 500 proposals is a few parts in a thousand."""
    prior = build((2,), Quadratic(), bound=UNBOUNDED)()
    torch.manual_seed(1)
    sample, target = prior.sample((10_000,)), gaussian()
    scale = float(target.stddev)
    assert ((sample.mean(0) - target.mean).abs() < 5 * scale / 100 + 0.003).all()
    assert ((sample.std(0) / scale - 1).abs() < 5 / math.sqrt(20_000) + 0.003).all()


def test_one_proposal_is_the_base():
    prior = build((1,), Quadratic(), bound=UNBOUNDED, proposals=1)()
    torch.manual_seed(2)
    sample = prior.sample((10_000,))
    assert abs(float(sample.mean())) < 5 / 100
    assert abs(float(sample.std()) - 1) < 5 / math.sqrt(20_000)


def test_blocks_of_draws_are_draws(monkeypatch):
    prior = build((2,), Quadratic(), bound=UNBOUNDED, proposals=50)()
    monkeypatch.setattr("models.priors.energy._ELEMENTS_PER_BLOCK", 50 * 2 * 7)
    sample = prior.expand((3,)).sample((10,))
    assert sample.shape == (10, 3, 2)
    assert len(sample.flatten(0, 1).unique(dim=0)) == 30


def test_log_ratio_stays_within_the_bound():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 50.0)
    prior = build((1,), network, bound=2.0)()
    z = torch.linspace(-5, 5, 101, dtype=torch.float64)[:, None]
    with torch.no_grad():
        log_r = prior.log_prob(z) - Normal(0.0, 1.0).log_prob(z)[:, 0] + prior.log_normaliser
    assert 1.999 < float(log_r.max()) < 2 + 1e-12
    assert -2 - 1e-12 < float(log_r.min()) < -1.999


def test_gradient_is_that_of_maximum_likelihood():
    """At p = N(0, I), ∇ E_q[log p] = E_q[∇f] − E_N[∇f]; in z₁ it is the shift of q, 0.7, to 4 / √draws."""
    network = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(network.weight)
    prior = build((2,), network, draws=20_000)
    torch.manual_seed(3)
    z = torch.randn(20_000, 2, dtype=torch.float64) + torch.tensor([0.7, 0.0])
    prior.for_training(z).log_prob(z).mean().backward()
    assert torch.allclose(network.weight.grad, torch.tensor([[0.7, 0.0]], dtype=torch.float64), atol=0.04)


@pytest.mark.parametrize("options", [{"bound": 0.0}, {"proposals": 0}, {"hidden": (0,)}, {"draws": 1}], ids=str)
def test_impossible_options_are_refused_by_name(options):
    (option,) = options
    with pytest.raises(ValueError, match=rf"prior\.{option}"):
        build(**options)

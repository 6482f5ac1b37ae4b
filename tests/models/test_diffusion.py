"""Diffusion prior: N(0, I) at the start, the density of a known Gaussian from its score, and the bound below it."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from models import noise
from models.context import Context
from models.priors.diffusion import Correction, Diffusion
from models.shapes import Shapes
from study.design.families import NETWORKS, PRIORS

LOC = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64)
SCALE = torch.tensor([0.3, 1.0, 1.6], dtype=torch.float64)


def build(latent_shape: tuple[int, ...] = (3,), **options: int) -> Diffusion:
    torch.manual_seed(0)
    prior = PRIORS["diffusion"](Context(Shapes(latent_shape, (1, 8, 8)), NETWORKS["mlp"](hidden=(8,))), **options)
    assert isinstance(prior, Diffusion)
    return prior.double()


def moved(prior: Diffusion, by: float = 0.3) -> Diffusion:
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(by * torch.randn_like(parameter))
    return prior


def log_normal(z: Tensor, loc: Tensor | float = 0.0, scale: Tensor | float = 1.0) -> Tensor:
    return torch.distributions.Normal(loc, scale).log_prob(z).sum(-1)


class GaussianScore(nn.Module):
    """The h of N(LOC, diag SCALE²): −cos θ · h is the score of N(cos θ LOC, cos² θ SCALE² + sin² θ), plus z."""

    def __init__(self) -> None:
        super().__init__()
        self.loc = nn.Parameter(LOC.clone(), requires_grad=False)

    def forward(self, z: Tensor, theta: Tensor) -> Tensor:
        return self.with_divergence(z, theta)[0]

    def with_divergence(self, z: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        cosine = theta.cos()[..., None]
        variance = cosine.square() * SCALE.square() + theta.sin()[..., None].square()
        # (1/V − 1)/cos θ without the division.
        slope = cosine * (1 - SCALE.square()) / variance
        return slope * z - self.loc / variance, slope.sum(-1).expand(z.shape[:-1])


def test_starts_at_the_standard_normal_exactly():
    prior, z = build((2, 2, 1)), torch.randn(50, 2, 2, 1, dtype=torch.float64)
    assert torch.equal(prior().log_prob(z), torch.distributions.Normal(0, 1).log_prob(z).sum((1, 2, 3)))
    assert torch.equal(prior.for_training(z).log_prob(z), prior().log_prob(z))


def test_divergence_is_the_trace_of_the_jacobian():
    correction = moved(build((5,), units=7)).correction
    z, theta = torch.randn(5, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)
    with torch.no_grad():
        h, divergence = correction.with_divergence(z, theta)
    full = jacobian(lambda value: correction(value, theta), z)
    assert float(divergence) == pytest.approx(float(full.trace()), abs=1e-12)
    assert torch.equal(h, correction(z, theta).detach())
    assert full.abs().max() > 0.1


def test_known_score_gives_the_known_density_and_its_draws():
    prior = build()
    prior.correction = GaussianScore()
    z = LOC + 2 * SCALE * torch.randn(200, 3, dtype=torch.float64)
    assert torch.allclose(prior().log_prob(z), log_normal(z, LOC, SCALE), atol=1e-4)
    torch.manual_seed(1)
    sample = prior().sample((20_000,))
    # Five standard errors: 0.035 of a scale in the mean, 2.5 % of the scale.
    assert ((sample.mean(0) - LOC).abs() < 5 * SCALE / math.sqrt(20_000)).all()
    assert ((sample.std(0) / SCALE - 1).abs() < 5 / math.sqrt(40_000)).all()


def test_solver_is_of_fourth_order():
    """Halving the step divides the error by about 16."""
    errors, z = [], LOC + SCALE * torch.randn(100, 3, dtype=torch.float64)
    for steps in (10, 20):
        prior = build(steps=steps)
        prior.correction = GaussianScore()
        errors.append(float((prior().log_prob(z) - log_normal(z, LOC, SCALE)).abs().max()))
    assert 10 < errors[0] / errors[1] < 26


def test_bound_is_tight_where_the_score_is_known():
    """Pointwise; detects a bias of five standard errors, about 0.04 nats."""
    prior = build()
    prior.correction = GaussianScore()
    torch.manual_seed(2)
    point = LOC + SCALE * torch.tensor([0.4, -1.2, 0.8], dtype=torch.float64)
    z = point.expand(200_000, 3)
    draws = prior.for_training(z).log_prob(z)
    assert abs(float(draws.mean() - log_normal(point, LOC, SCALE))) < 5 * float(draws.std()) / math.sqrt(len(z))


def test_bound_is_below_the_known_density_at_a_wrong_score():
    """Under data of the known Gaussian, E log p ≥ E bound for any p, so the bound is at most minus the entropy."""
    prior = moved(build())
    torch.manual_seed(3)
    z = LOC + SCALE * torch.randn(20_000, 3, dtype=torch.float64)
    with torch.no_grad():
        gap = log_normal(z, LOC, SCALE) - prior.for_training(z).log_prob(z)
    assert float(gap.mean()) > 5 * float(gap.std()) / math.sqrt(len(z))


def test_density_normalises_and_draws_follow_it_away_from_the_start():
    prior = moved(build((1,), units=16, steps=50))
    grid = torch.linspace(-12, 12, 2_001, dtype=torch.float64)
    with torch.no_grad():
        density = prior().log_prob(grid[:, None]).exp()
    assert float(torch.trapezoid(density, grid)) == pytest.approx(1, abs=1e-6)
    assert float((density - log_normal(grid[:, None]).exp()).abs().max()) > 0.01
    torch.manual_seed(4)
    sample = prior().sample((20_000,))[:, 0].sort().values
    cdf = torch.cumulative_trapezoid(density, grid)
    at = cdf[(torch.searchsorted(grid, sample) - 1).clamp(0, len(cdf) - 1)]
    # A Kolmogorov distance of 0.014 has p = 1e-3; the grid adds 0.005.
    assert float((at - torch.linspace(0, 1, 20_000, dtype=torch.float64)).abs().max()) < 0.014 + 0.005


def test_training_learns_two_bubbles():
    """KL falls from that of N(0, 1), by quadrature, to less than a third."""
    prior = build((1,), units=32)
    grid = torch.linspace(-8, 8, 801, dtype=torch.float64)[:, None]
    bubbles = torch.distributions.Normal(torch.tensor([-0.9, 0.9], dtype=torch.float64), 0.3)
    target = bubbles.log_prob(grid).logsumexp(1) - math.log(2)

    def kl() -> float:
        with torch.no_grad():
            return float(torch.trapezoid(target.exp() * (target - prior().log_prob(grid)), grid[:, 0]))

    before = kl()
    optimiser = torch.optim.Adam(prior.parameters(), 5e-3)
    torch.manual_seed(5)
    for _ in range(120):
        z = (torch.randint(2, (128, 1)) * 2 - 1) * 0.9 + 0.3 * torch.randn(128, 1, dtype=torch.float64)
        optimiser.zero_grad()
        (-prior.for_training(z).log_prob(z).mean()).backward()
        optimiser.step()
    assert before > 0.3
    assert 0 < kl() < before / 3


def test_noise_levels_cover_the_unit_interval_evenly(monkeypatch):
    """One uniform offset and equal strata: sorted levels are 1/n apart."""
    prior, seen = build(), []
    original = Correction.forward
    monkeypatch.setattr(
        Correction, "forward", lambda self, z, theta: seen.append(theta.sin()) or original(self, z, theta)
    )
    z = torch.zeros(8, 3, dtype=torch.float64)
    with noise.replay([torch.tensor([0.3], dtype=torch.float64), torch.zeros_like(z)]):
        prior.for_training(z).log_prob(z)
    levels = seen[0].sort().values
    assert torch.allclose(levels.diff(), torch.full((7,), 1 / 8, dtype=torch.float64), atol=1e-6)
    assert 0 <= levels[0] < 1 / 8


@pytest.mark.parametrize("options", [{"units": 0}, {"steps": 0}, {"units": 10**5}], ids=str)
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=r"units|steps|parameters"):
        build(**options)

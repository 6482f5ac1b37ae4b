"""Hamiltonian Monte Carlo and annealed importance sampling against Gaussian targets, where all is known."""

import math
from functools import partial

import pytest
import torch

from analysis.likelihood.annealing import AnnealedEvidence, AnnealingPath, Sandwich, sandwich, sigmoid_schedule
from analysis.likelihood.hmc import hmc_transition, leapfrog
from models.linear import LinearGaussianVAE

SCALE = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
DIM, NUM_IMAGES = 6, 100


def log_normal(z):
    return -(z / SCALE).square().sum(-1) / 2


@pytest.fixture(scope="module")
def vae() -> LinearGaussianVAE:
    return LinearGaussianVAE.random(
        DIM, 8, gain=2.0, noise=0.7, generator=torch.Generator().manual_seed(0)
    ).requires_grad_(False)


@pytest.fixture(scope="module")
def simulated(vae) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(NUM_IMAGES, DIM, generator=generator, dtype=torch.float64)
    noise = torch.randn(NUM_IMAGES, 8, generator=generator, dtype=torch.float64)
    return z, vae.likelihood(z).base_dist.loc + vae.noise * noise


def log_joint(vae, images, z):
    return vae.prior().log_prob(z) + vae.likelihood(z).log_prob(images)


def run(vae, simulated, temperatures, *, chains=1, seed=2, step_size=None) -> Sandwich:
    """Sandwich from the prior, with tuned step sizes or with one for all temperatures."""
    generator = torch.Generator().manual_seed(seed)
    z, images = simulated
    pilot, start = torch.randn(2, chains, *z.shape, generator=generator, dtype=torch.float64)
    ends = vae.prior().log_prob, partial(log_joint, vae, images)
    if step_size is None:
        path = AnnealingPath.tuned(*ends, pilot, sigmoid_schedule(temperatures), generator)
    else:
        steps = torch.full((temperatures - 1, len(z)), step_size, dtype=torch.float64)
        path = AnnealingPath(*ends, sigmoid_schedule(temperatures), steps)
    return sandwich(path, start, z.expand(chains, -1, -1), generator)


def test_leapfrog_is_reversible():
    generator = torch.Generator().manual_seed(0)
    z, p = torch.randn(2, 4, 5, 3, generator=generator, dtype=torch.float64)
    quartic = lambda z: log_normal(z) - z.pow(4).sum(-1) / 10  # noqa: E731
    step = torch.full((5,), 0.1, dtype=torch.float64)
    there, momentum, start, end = leapfrog(quartic, z, p, step, 10)
    back, returned, again, origin = leapfrog(quartic, there, -momentum, step, 10)
    assert torch.allclose(back, z, atol=1e-10, rtol=0)
    assert torch.allclose(returned, -p, atol=1e-10, rtol=0)
    assert torch.allclose(again, end, atol=1e-10)
    assert torch.allclose(origin, start, atol=1e-10)
    assert (there - z).abs().max() > 0.5


def test_leapfrog_conserves_energy_to_second_order():
    generator = torch.Generator().manual_seed(0)
    z, p = torch.randn(2, 1, 200, 3, generator=generator, dtype=torch.float64)
    errors = []
    for steps in (10, 20):
        _, momentum, start, end = leapfrog(log_normal, z, p, torch.tensor([2 / steps], dtype=torch.float64), steps)
        energy = momentum.square().sum(-1) / 2 - end - p.square().sum(-1) / 2 + start
        errors.append(float(energy.abs().mean()))
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.15)


def test_transitions_leave_the_target_invariant():
    """20,000 chains that start in the target, 5 s.e. are 0.035 of the mean, 0.05 of the variance."""
    generator = torch.Generator().manual_seed(0)
    z = SCALE * torch.randn(1, 20_000, 3, generator=generator, dtype=torch.float64)
    step = torch.tensor([0.75], dtype=torch.float64)
    for _ in range(5):
        z, acceptance = hmc_transition(log_normal, z, step, generator, 3)
    assert 0.6 < float(acceptance.mean()) < 0.95
    standard = (z / SCALE)[0]
    assert (standard.mean(0).abs() < 5 / math.sqrt(20_000)).all()
    assert ((standard.square().mean(0) - 1).abs() < 5 * math.sqrt(2 / 20_000)).all()
    assert ((standard.pow(4).mean(0) - 3).abs() < 5 * math.sqrt(96 / 20_000)).all()


def test_broken_proposals_are_rejected():
    generator = torch.Generator().manual_seed(0)
    z = torch.full((1, 4, 3), 0.1, dtype=torch.float64)
    fenced = lambda z: torch.where(z.abs().sum(-1) < 1, log_normal(z), torch.nan)  # noqa: E731
    moved, acceptance = hmc_transition(fenced, z, torch.tensor([50.0]), generator, 2)
    assert torch.equal(moved, z)
    assert (acceptance == 0).all()


def test_schedule_is_sigmoid_and_symmetric():
    beta = sigmoid_schedule(10)
    assert (beta[0], beta[-1], len(beta)) == (0.0, 1.0, 11)
    assert torch.allclose(beta, 1 - beta.flip(0), atol=1e-15)
    assert (beta.diff() > 0).all()
    assert beta.diff()[5] > 5 * beta.diff()[0]
    with pytest.raises(ValueError, match="sigmoid_schedule"):
        AnnealingPath(log_normal, log_normal, torch.linspace(0, 0.9, 5), torch.ones(3, 1))


def test_exact_guide_needs_no_annealing(vae, simulated):
    """From f₀ = p(z|x) every weight is p(x), whatever the chain does."""
    z, images = simulated
    generator = torch.Generator().manual_seed(0)
    path = AnnealingPath.tuned(
        vae.posterior(images).log_prob,
        partial(log_joint, vae, images),
        z[None],
        sigmoid_schedule(6),
        generator,
    )
    both = sandwich(path, z[None], z[None], generator)
    truth = vae.marginal().log_prob(images)
    for side in (both.lower, both.upper):
        assert torch.allclose(side.log_evidence, truth[None], atol=1e-9, rtol=0)
    assert both.gap().value == pytest.approx(0.0, abs=1e-9)


def test_one_temperature_step_is_plain_importance_sampling(vae, simulated):
    z, images = simulated
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(5, NUM_IMAGES, DIM, generator=generator, dtype=torch.float64)
    path = AnnealingPath.tuned(
        vae.prior().log_prob, partial(log_joint, vae, images), start, sigmoid_schedule(1), generator
    )
    evidence = path.forward(start, generator)
    expected = vae.likelihood(start).log_prob(images)
    assert torch.allclose(evidence.log_evidence, expected, atol=1e-9)
    assert torch.allclose(evidence.per_image(), expected.exp().mean(0).log(), atol=1e-9)
    assert torch.allclose(path.reverse(z[None], generator).per_image(), vae.likelihood(z).log_prob(images), atol=1e-9)


def test_several_chains_of_an_upper_bound_average_the_reciprocal():
    log_evidence = torch.tensor([[1.0], [2.0]], dtype=torch.float64).log()
    upper = AnnealedEvidence(log_evidence, torch.ones(1), "upper")
    assert math.exp(float(upper.per_image())) == pytest.approx(1 / ((1 / 1.0 + 1 / 2.0) / 2), rel=1e-12)
    lower = AnnealedEvidence(log_evidence, torch.ones(1), "lower")
    assert math.exp(float(lower.per_image())) == pytest.approx(1.5, rel=1e-12)


def exact_gap(vae, images, schedule) -> torch.Tensor:
    """Expected gap [B] of chains that mix perfectly: Σ (β_t − β_{t−1}) (E_{β_t} u − E_{β_{t−1}} u), u = log p(x|z)."""
    gain = vae.weight.square().sum(0) / vae.noise**2
    centre = (images - vae.bias) @ vae.weight / vae.weight.square().sum(0)
    shrink = 1 / (1 + schedule[:, None, None] * gain)
    expected = -0.5 * (gain * (shrink + (centre * shrink).square())).sum(-1)
    return (schedule.diff()[:, None] * expected.diff(dim=0)).sum(0)


def test_sandwich_brackets_log_evidence(vae, simulated):
    truth = vae.marginal().log_prob(simulated[1])
    both = run(vae, simulated, 30, chains=4)
    for side, sign in ((both.lower, -1), (both.upper, 1)):
        error = sign * (side.per_image() - truth)
        # Five errors are about 0.4 nats.
        assert float(error.mean()) > -5 * float(error.std()) / math.sqrt(NUM_IMAGES)
        assert 0.5 < float(side.acceptance.mean()) < 0.9
        assert side.estimate().n == NUM_IMAGES
        assert side.estimate().num_draws == 4 * NUM_IMAGES
    assert (both.lower.estimate().bound, both.upper.estimate().bound) == ("lower", "upper")
    assert both.gap().value == pytest.approx(both.upper.estimate().value - both.lower.estimate().value, abs=1e-9)


def test_gap_halves_as_temperatures_double(vae, simulated):
    """At one step size, for the mean of single chains. Successive energies of a chain are correlated, so the gap is a
    multiple of that of perfect mixing, the same at each T. Five errors are 0.15 of the ratio: 1/√T would be seen."""
    schedules = [sigmoid_schedule(temperatures) for temperatures in (20, 40)]
    means, errors, excess = [], [], []
    for schedule in schedules:
        both = run(vae, simulated, len(schedule) - 1, chains=8, step_size=0.3)
        gaps = (both.upper.log_evidence - both.lower.log_evidence).mean(0)
        means.append(float(gaps.mean()))
        errors.append(float(gaps.std()) / math.sqrt(NUM_IMAGES))
        excess.append(means[-1] / float(exact_gap(vae, simulated[1], schedule).mean()))
    ratio = means[1] / means[0]
    error = ratio * math.hypot(errors[0] / means[0], errors[1] / means[1])
    assert 5 * error < 0.2
    assert abs(ratio - 0.5) < 5 * error
    assert all(1 < factor < 4 for factor in excess)


def test_weights_are_unbiased_for_the_evidence(vae, simulated):
    truth = vae.marginal().log_prob(simulated[1])
    both = run(vae, simulated, 30, chains=32)
    for ratio in ((both.lower.log_evidence - truth).exp().mean(0), (truth - both.upper.log_evidence).exp().mean(0)):
        error = float(ratio.std()) / math.sqrt(NUM_IMAGES)
        # Five errors are 0.15 to 0.3, on weights that differ by e-folds.
        assert 5 * error < 0.5
        assert abs(float(ratio.mean()) - 1) < 5 * error


def test_generators_are_honoured(vae, simulated):
    first, same, other = (run(vae, simulated, 5, seed=seed).lower.log_evidence for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_broken_densities_are_refused(vae, simulated):
    broken = torch.zeros(2, 3, dtype=torch.float64)
    broken[0, 1] = math.nan
    lower = AnnealedEvidence(broken, torch.ones(3), "lower")
    assert lower.estimate().is_refused
    assert Sandwich(lower, AnnealedEvidence(torch.zeros(2, 3), torch.ones(3), "upper")).gap().is_refused

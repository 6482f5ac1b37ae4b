"""Mixed model: densities and predictions against the full normal, and scales against quadrature and NUTS."""

import math

import arviz as az
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import MCMC, NUTS
from scipy import stats

from analysis.mixed_model import SCALE, MixedModel, sample_scales
from analysis.randomness import seeded, stream


def model(num: int = 18, groups: int = 6, *, spread: float = 0.6, seed: int = 0) -> MixedModel:
    """Groups of equal size with intercepts of standard deviation ``spread``, two predictors, noise 0.3."""
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(num), rng.normal(size=num)])
    group = np.arange(num) % groups
    membership = np.eye(groups)[group]
    outcome = design @ [0.2, 0.8] + spread * rng.normal(size=groups)[group] + 0.3 * rng.normal(size=num)
    kernels = np.stack([np.eye(num), membership @ membership.T])
    return MixedModel(*map(torch.from_numpy, (outcome, design, kernels, np.full(num, 0.05))))


def full(given: MixedModel, scales: np.ndarray) -> np.ndarray:
    """Covariance of the outcome, coefficients included."""
    design, kernels = given.design.numpy(), given.kernels.numpy()
    random = np.einsum("k,kij->ij", scales**2, kernels) + np.diag(given.error.numpy() ** 2)
    return random + given.prior_scale**2 * design @ design.T


def test_density_is_that_of_the_full_normal_with_half_normal_scales():
    given = model()
    scales = np.array([[0.3, 0.6], [1.2, 0.01], [0.02, 2.0]])
    for row, density in zip(scales, given.log_density(torch.from_numpy(scales).log()), strict=True):
        evidence = stats.multivariate_normal(np.zeros(18), full(given, row)).logpdf(given.outcome.numpy())
        prior = stats.halfnorm(scale=SCALE).logpdf(row).sum() + np.log(row).sum()
        assert float(density) == pytest.approx(evidence + prior, abs=1e-8)


def test_coefficients_have_their_conditional_mean_and_covariance():
    given = model()
    scales = np.array([0.4, 0.7])
    draws = given.coefficients(torch.from_numpy(scales).expand(40_000, 2), stream(0, "test")).numpy()
    design, covariance = given.design.numpy(), full(given, scales)
    gain = design.T @ np.linalg.inv(covariance)
    mean, spread = gain @ given.outcome.numpy(), np.eye(2) - gain @ design
    deviations = np.sqrt(spread.diagonal())
    # Five standard errors of 40,000 draws.
    assert np.abs(draws.mean(0) - mean).max() < 5 * deviations.max() / 200
    assert np.cov(draws.T) == pytest.approx(spread, abs=5 * deviations.max() ** 2 * math.sqrt(2) / 200)


def test_leave_one_out_is_the_conditional_given_all_others():
    given = model()
    scales = np.array([0.4, 0.7])
    mean, deviation = given.leave_one_out(torch.from_numpy(scales)[None])
    covariance, outcome = full(given, scales), given.outcome.numpy()
    for i in range(18):
        others = np.arange(18) != i
        gain = covariance[i, others] @ np.linalg.inv(covariance[np.ix_(others, others)])
        assert float(mean[0, i]) == pytest.approx(gain @ outcome[others], abs=1e-9)
        variance = covariance[i, i] - gain @ covariance[others, i]
        assert float(deviation[0, i]) == pytest.approx(math.sqrt(variance), abs=1e-9)


@pytest.mark.parametrize("spread", [0.0, 0.6, 3.0])
def test_scales_agree_with_quadrature(spread):
    given = model(spread=spread)
    draws = sample_scales(given, stream(0, "test"), num_chains=4, num_draws=2_000).numpy()
    grid = torch.linspace(math.log(1e-4), math.log(8.0), 400, dtype=torch.float64)
    points = torch.cartesian_prod(grid, grid)
    weights = given.log_density(points).softmax(0)
    for place in range(2):
        exact = float(weights @ points[:, place].exp())
        sd = math.sqrt(float(weights @ (points[:, place].exp() - exact).square()))
        effective = float(az.ess(draws[..., place]))
        assert effective > 400
        assert float(az.rhat(draws[..., place])) < 1.01
        assert abs(draws[..., place].mean() - exact) < 5 * sd / math.sqrt(effective), place


def test_a_posterior_a_hundred_times_narrower_than_its_prior_is_found():
    """Of 120 rows the noise scale is known to 7 %, a volume of the prior that few of its draws hit."""
    given = model(120, 30, spread=0.02)
    draws = sample_scales(given, stream(0, "test"), num_chains=4, num_draws=400)[..., 0].numpy()
    assert draws.mean() == pytest.approx(0.3, abs=0.08)
    assert float(az.ess(draws)) > 400


def test_draws_repeat_and_chains_differ():
    first, second = (sample_scales(model(), stream(1, "test"), num_chains=2, num_draws=50) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


@pytest.mark.slow
def test_posterior_is_that_of_nuts_on_the_model_that_keeps_every_intercept():
    given = model(spread=0.8, seed=3)
    groups = torch.arange(18) % 6

    def joint():
        coefficients = pyro.sample("coefficients", dist.Normal(torch.zeros(2).double(), 1.0).to_event(1))
        scales = pyro.sample("scales", dist.HalfNormal(torch.full((2,), SCALE).double()).to_event(1))
        intercepts = pyro.sample("intercepts", dist.Normal(torch.zeros(6).double(), 1.0).to_event(1))
        location = given.design @ coefficients + scales[1] * intercepts[groups]
        spread = (scales[0].square() + given.error.square()).sqrt()
        pyro.sample("outcome", dist.Normal(location, spread).to_event(1), obs=given.outcome)

    with seeded(stream(0, "test"), "cpu"), pyro.validation_enabled(False):
        mcmc = MCMC(NUTS(joint), num_samples=500, warmup_steps=200, disable_progbar=True)
        mcmc.run()
    nuts = mcmc.get_samples()
    scales = sample_scales(given, stream(0, "test"), num_chains=4, num_draws=2_000).flatten(0, 1)
    own = {"coefficients": given.coefficients(scales, stream(1, "test")), "scales": scales}
    for name, drawn in own.items():
        for place in range(2):
            other = nuts[name][:, place].numpy()
            # Five standard errors at 200 effective draws: a third of a posterior standard deviation.
            assert abs(float(drawn[:, place].mean()) - other.mean()) < 5 * other.std() / math.sqrt(200), (name, place)
            assert float(drawn[:, place].std()) == pytest.approx(other.std(), rel=0.25), (name, place)

"""Effects: planted coefficients, the exact posterior of the normal linear model, and what is left of process state."""

import math

import arviz as az
import numpy as np
import pyro
import pytest
import torch
import xarray as xr

from analysis.effects import Replicates, fit_effects, probability_of

OFFSET = {"a": 1.0, "b": 0.0, "c": -1.0}
SLOPE = {"a": 0.3, "b": 0.0, "c": -0.3}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def planted(*, log_dim: float, noise: float, seed: int) -> Replicates:
    """60 replicates: rate is confounded with log D (correlation about 0.9), priors differ in offset and slope."""
    generator = seeded(seed)
    priors = ["a", "b", "c"] * 20
    d = torch.linspace(1, 5, 5, dtype=torch.float64).repeat_interleave(12)
    rate = 10 * d + 6 * torch.randn(60, generator=generator, dtype=torch.float64)
    errors = noise * torch.randn(60, generator=generator, dtype=torch.float64)
    offset, slope = (torch.tensor([table[p] for p in priors], dtype=torch.float64) for table in (OFFSET, SLOPE))
    return Replicates(2 + (log_dim + slope) * d + 0.1 * rate + offset + errors, d, rate, priors)


def natural(tree: xr.DataTree, name: str) -> xr.DataArray:
    return tree["posterior"][name] * tree["posterior"][name].attrs["per_unit"]


@pytest.fixture(scope="module")
def student() -> xr.DataTree:
    data = planted(log_dim=0.7, noise=0.4, seed=1)
    return fit_effects(data, seeded(0), interaction="prior", num_chains=2, num_draws=250, num_warmup=150)


def test_intervals_cover_the_planted_coefficients(student):
    # Four posterior standard deviations: fails of a correct fit with probability 1e-4 per coefficient, and detects a
    # coefficient off by more than that (0.2 on the slope of log D: 0.7).
    truth = {"log_dim": 0.7, "rate": 0.1, "log_dim_by_prior": list(SLOPE.values())}
    for name, value in truth.items():
        draws = natural(student, name)
        z = (draws.mean(("chain", "draw")) - value) / draws.std(("chain", "draw"))
        assert float(abs(z).max()) < 4, name
    assert float(natural(student, "log_dim").std()) < 0.1


def test_prior_effects_and_slopes_sum_to_zero(student):
    for name in ("prior_effect", "log_dim_by_prior"):
        assert float(abs(student["posterior"][name].sum("prior")).max()) < 1e-12


def test_chains_mix_and_arviz_reads_the_tree(student):
    table = az.summary(student, round_to="none")
    assert table["r_hat"].max() < 1.05
    assert table["ess_bulk"].min() > 100
    assert not bool(student["sample_stats"]["diverging"].any())
    assert "log_dim_by_prior[b]" in table.index
    assert student["observed_data"]["outcome"].dims == ("replicate",)
    assert az.plot_forest(student) is not None


@pytest.mark.slow
def test_normal_model_agrees_with_its_exact_posterior():
    # With wide priors the coefficients' mean is the least-squares one and their variance E[σ²|y] (XᵀX)⁻¹, with the
    # one-dimensional posterior of σ by quadrature. Detects 5 Monte Carlo standard errors: 0.15 posterior sd in means.
    data = planted(log_dim=0.7, noise=0.4, seed=2)
    tree = fit_effects(data, seeded(3), noise="normal", prior_scale=1e3, num_chains=2, num_draws=500, num_warmup=150)
    columns = [(x - x.mean()) / x.std() for x in (data.log_dim, data.rate)]
    membership = torch.tensor([[float(p == q) for q in "abc"] for p in data.prior], dtype=torch.float64)
    design = torch.stack([*columns, *membership.T], 1)
    y = (data.outcome - data.outcome.mean()) / data.outcome.std()
    gram = torch.linalg.inv(design.T @ design)
    least_squares = gram @ design.T @ y
    rss, freedom = float((y - design @ least_squares).square().sum()), len(y) - design.shape[1]
    sigma = torch.linspace(0.01, 2, 20_000, dtype=torch.float64)
    log_density = -freedom * sigma.log() - 0.5 * rss / sigma.square() - 0.5 * sigma.square()
    weights = log_density.softmax(0)
    expected_variance = float((weights * sigma.square()).sum())
    for position, name in enumerate(("log_dim", "rate")):
        draws = tree["posterior"][name].to_numpy()
        sd = math.sqrt(expected_variance * float(gram[position, position]))
        assert abs(draws.mean() - float(least_squares[position])) < 5 * sd / math.sqrt(az.ess(draws))
        assert draws.std() == pytest.approx(sd, rel=5 * math.sqrt(0.5 / az.ess(draws, method="sd")))
    scale = tree["posterior"]["noise_scale"].to_numpy()
    assert abs(scale.mean() - float((weights * sigma).sum())) < 5 * float(az.mcse(scale))


def test_a_null_effect_is_not_certain_and_state_and_seeds_are_kept():
    data = planted(log_dim=0.0, noise=0.4, seed=4)
    state, validation = torch.get_rng_state(), torch.distributions.Distribution._validate_args
    pyro.get_param_store().clear()
    first, second = (
        fit_effects(data, seeded(5), interaction="rate", noise="normal", num_chains=2, num_draws=100, num_warmup=100)
        for _ in range(2)
    )
    # A two-sided check: detects an effect more than 3.7 posterior sd from the truth of 0.
    assert 1e-4 < float(probability_of(first["posterior"]["log_dim"] > 0).value) < 1 - 1e-4
    assert "log_dim_by_rate" in first["posterior"]
    assert torch.equal(state, torch.get_rng_state())
    assert torch.distributions.Distribution._validate_args == validation
    assert not list(pyro.get_param_store().keys())
    assert first["posterior"].to_dataset().equals(second["posterior"].to_dataset())
    chains = first["posterior"]["rate"]
    assert not np.array_equal(chains[0], chains[1])


def test_probability_has_the_error_of_its_effective_draws():
    generator = np.random.default_rng(0)
    draws = xr.DataArray(generator.normal(size=(4, 500)), dims=("chain", "draw"))
    probability = probability_of(draws > 0.5)
    assert probability.value == float((draws > 0.5).mean())
    # An independent chain has about as many effective draws as draws; a repeated one a tenth of them.
    assert probability.standard_error == pytest.approx(math.sqrt(0.309 * 0.691 / 2000), rel=0.2)
    repeated = xr.DataArray(np.repeat(draws.to_numpy(), 10, axis=1), dims=("chain", "draw"))
    assert probability_of(repeated > 0.5).standard_error == pytest.approx(probability.standard_error, rel=0.25)
    assert probability_of(draws < 100).flags == ("saturated",)


def test_replicates_that_cannot_inform_are_refused():
    data = planted(log_dim=0.7, noise=0.4, seed=6)
    with pytest.raises(ValueError, match="rate must be finite, vary"):
        Replicates(data.outcome, data.log_dim, torch.ones(60), data.prior)
    with pytest.raises(ValueError, match="outcome must be finite"):
        Replicates(torch.full((60,), math.nan), data.log_dim, data.rate, data.prior)
    alone = Replicates(data.outcome, data.log_dim, data.rate, ["a"] * 60)
    with pytest.raises(ValueError, match="at least two"):
        fit_effects(alone, seeded(0), interaction="prior")

"""Effects: planted coefficients, what is refused, and what is left of process state."""

import math

import arviz as az
import numpy as np
import pyro
import pytest
import torch
import xarray as xr

from analysis.effects import (
    LARGEST_R_HAT,
    LEAST_EFFECTIVE_DRAWS,
    Replicates,
    _terms,
    fit_effects,
    pit_band,
    probability_of,
    settling,
)

OFFSET = {"a": 1.0, "b": 0.0, "c": -1.0}
SLOPE = {"a": 0.3, "b": 0.0, "c": -0.3}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def planted(*, log_dim: float, noise: float, seed: int, between: float = 0.0, bend: float = 0.0) -> Replicates:
    """20 cells of 3 replicates: the rate is confounded with log D (correlation about 0.9), priors differ in offset and
    slope; ``between`` is the standard deviation of the cells' intercepts, ``bend`` the coefficient of x²."""
    rng = np.random.default_rng(seed)
    cell = np.repeat(np.arange(20), 3)
    priors = [name for name in ["a", "b", "c", "b"] * 5 for _ in range(3)]
    d = np.linspace(1, 5, 5).repeat(12)
    updates = np.tile([100.0, 300.0, 900.0, 300.0], 5).repeat(3)
    x = 0.5 * d + 1 + 0.3 * rng.normal(size=20)[cell] + 0.01 * rng.normal(size=60)
    outcome = (
        2 + (log_dim + np.array([SLOPE[p] for p in priors])) * d + 0.4 * x + bend * (x - 2.5) ** 2
        + np.array([OFFSET[p] for p in priors]) - 0.2 * np.log(updates)
        + between * rng.normal(size=20)[cell] + noise * rng.normal(size=60)
    )  # fmt: skip
    columns = (outcome, np.zeros(60), d, np.expm1(x), np.log(updates))
    numbers = [torch.from_numpy(column) for column in columns]
    return Replicates(*numbers, priors, [f"cell {c}" for c in cell], [*range(3)] * 20, ["digits"] * 60)


def natural(tree: xr.DataTree, name: str) -> xr.DataArray:
    return tree["posterior"][name] * tree["posterior"][name].attrs["per_unit"]


@pytest.fixture(scope="module")
def fitted() -> xr.DataTree:
    data = planted(log_dim=0.7, noise=0.1, seed=1, between=0.06)
    return fit_effects(data, seeded(0), interaction="prior")


def test_intervals_cover_the_planted_coefficients(fitted):
    # Four posterior standard deviations: fails of a correct fit with probability 1e-4 per coefficient, and detects a
    # coefficient off by more than that (0.4 on the slope of log D: 0.7).
    truth = {"log_dim": 0.7, "rate": 0.4, "log_updates": -0.2, "log_dim_by_prior": list(SLOPE.values())}
    for name, value in truth.items():
        draws = natural(fitted, name)
        z = (draws.mean(("chain", "draw")) - value) / draws.std(("chain", "draw"))
        assert float(abs(z).max()) < 4, name
    assert float(natural(fitted, "log_dim").std()) < 0.1


def test_scales_are_those_planted(fitted):
    assert float(natural(fitted, "noise_scale").mean()) == pytest.approx(0.1, abs=0.03)
    assert float(natural(fitted, "cell_scale").mean()) == pytest.approx(0.06, abs=0.05)
    assert "dataset_scale" not in fitted["posterior"]


def test_prior_effects_and_slopes_sum_to_zero(fitted):
    for name in ("prior_effect", "log_dim_by_prior"):
        assert float(abs(fitted["posterior"][name].sum("prior")).max()) < 1e-12


def test_chains_mix_and_arviz_reads_the_tree(fitted):
    table = az.summary(fitted, round_to="none")
    assert table["r_hat"].max() < 1.01
    assert table["ess_bulk"].min() > 400
    assert settling(fitted).settled
    assert "log_dim_by_prior[b]" in table.index
    assert fitted["observed_data"]["outcome"].dims == ("replicate",)
    assert az.plot_forest(fitted) is not None


def test_replicates_of_a_cell_are_no_independent_evidence():
    """With intercepts of cells ten times the noise, the error of log D follows the cells: as wide as in a fit of one
    replicate of each, and several times that of a fit that takes each replicate for a cell of its own."""
    data = planted(log_dim=0.0, noise=0.05, seed=2, between=0.5)
    alone = [*map(str, range(60))]
    columns = {name: getattr(data, name) for name in Replicates.__dataclass_fields__}
    means = Replicates(**{name: column[::3] for name, column in columns.items()})
    apart = Replicates(**(columns | {"cell": alone, "replicate": [0] * 60}))
    joint, few, naive = (float(natural(fit_effects(rows, seeded(0)), "log_dim").std()) for rows in (data, means, apart))
    assert joint == pytest.approx(few, rel=0.35)
    assert naive < 0.8 * joint


def test_a_bend_in_the_rate_is_no_effect_of_the_dimension():
    data = planted(log_dim=0.0, noise=0.05, seed=5, bend=0.5)
    tree = fit_effects(data, seeded(0))
    assert 0.005 < float(probability_of(tree["posterior"]["log_dim"] > 0).value) < 0.995
    assert float(tree["posterior"]["curvature_scale"].quantile(0.025)) > 0.02


def test_known_errors_of_evaluation_are_no_noise_of_training():
    data = planted(log_dim=0.7, noise=0.3, seed=6)
    known = Replicates(
        data.outcome, torch.full((60,), 0.3).double(), data.log_dim, data.rate, data.log_updates,
        data.prior, data.cell, data.replicate, data.dataset,
    )  # fmt: skip
    with_error, without = (float(natural(fit_effects(rows, seeded(0)), "noise_scale").mean()) for rows in (known, data))
    assert without == pytest.approx(0.3, abs=0.06)
    assert with_error < 0.5 * without


def test_data_sets_have_intercepts_of_their_own():
    data = planted(log_dim=0.7, noise=0.1, seed=7)
    dataset = ["digits", "mnist", "other"] * 20
    shift = torch.tensor([0.0, 2.0, 4.0] * 20).double()
    several = Replicates(
        data.outcome + shift, data.error, data.log_dim, data.rate, data.log_updates, data.prior,
        [f"{cell} of {name}" for cell, name in zip(data.cell, dataset, strict=True)], data.replicate, dataset,
    )  # fmt: skip
    tree = fit_effects(several, seeded(0))
    draws = natural(tree, "log_dim")
    assert abs(float(draws.mean()) - 0.7) < 4 * float(draws.std()) < 1.2
    assert float(natural(tree, "dataset_scale").mean()) > 0.8


def test_a_null_effect_is_not_certain_and_state_and_seeds_are_kept():
    data = planted(log_dim=0.0, noise=0.4, seed=4)
    state, validation = torch.get_rng_state(), torch.distributions.Distribution._validate_args
    pyro.get_param_store().clear()
    first, second = (fit_effects(data, seeded(5), interaction="rate", num_chains=2, num_draws=200) for _ in range(2))
    # A two-sided check: detects an effect more than 3.7 posterior sd from the truth of 0.
    assert 1e-4 < float(probability_of(first["posterior"]["log_dim"] > 0).value) < 1 - 1e-4
    assert "log_dim_by_rate" in first["posterior"]
    assert torch.equal(state, torch.get_rng_state())
    assert torch.distributions.Distribution._validate_args == validation
    assert not list(pyro.get_param_store().keys())
    assert first["posterior"].to_dataset().equals(second["posterior"].to_dataset())
    chains = first["posterior"]["rate"]
    assert not np.array_equal(chains[0], chains[1])


def test_leave_one_out_predictions_are_uniform_where_the_model_holds_and_not_where_it_does_not(fitted):
    band = pit_band(fitted["loo_pit"]["probability"].values)
    assert bool(((band["lower"] <= band["share"]) & (band["share"] <= band["upper"])).all())
    outlying = planted(log_dim=0.7, noise=0.01, seed=1)
    outlying.outcome[::10] += 3.0
    far = pit_band(fit_effects(outlying, seeded(0))["loo_pit"]["probability"].values)
    assert bool(((far["share"] < far["lower"]) | (far["share"] > far["upper"])).any())


def chains(*centres: float, draws: int = 1_000, thin: int = 1) -> xr.DataTree:
    generator = np.random.default_rng(0)
    values = np.stack([c + generator.normal(size=draws).repeat(thin) for c in centres])
    return az.from_dict({"posterior": {"slope": values}})


def test_chains_that_disagree_or_stand_still_have_not_settled():
    assert settling(chains(0.0, 0.0, 0.0, 0.0)).settled
    # One chain of four in another mode, as in the posterior that had r_hat 1.13; and chains that repeat each state.
    apart = settling(chains(0.0, 0.0, 0.0, 1.0))
    assert apart.r_hat > LARGEST_R_HAT
    assert not apart.settled
    still = settling(chains(0.0, 0.0, 0.0, 0.0, draws=80, thin=12))
    assert still.effective < LEAST_EFFECTIVE_DRAWS
    assert not still.settled


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
    columns = {name: getattr(data, name) for name in Replicates.__dataclass_fields__}
    for changes, message in (
        ({"rate": torch.ones(60)}, "rate must be finite, vary"),
        ({"outcome": torch.full((60,), math.nan)}, "outcome must be finite"),
        ({"cell": ["a"]}, "cell must have one entry"),
        ({"error": -torch.ones(60)}, "errors of 0 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            Replicates(**(columns | changes))
    alone = Replicates(**(columns | {"prior": ["a"] * 60}))
    with pytest.raises(ValueError, match="at least two"):
        fit_effects(alone, seeded(0), interaction="prior")


@pytest.mark.parametrize("updates", [2_000, 500, 120])
@pytest.mark.parametrize("num", [12, 18, 24])
def test_a_length_that_all_share_has_no_effect_however_its_logarithm_rounds(updates, num):
    column = torch.full((num,), math.log(updates), dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    outcome, rate, log_dim = torch.rand(3, num, generator=generator, dtype=torch.float64)
    names = ["a"] * num
    replicates = Replicates(outcome, torch.full((num,), 0.1), log_dim, rate, column, names, names, [0] * num, names)
    assert "log_updates" not in _terms(replicates, None, 1.0)
    with pytest.raises(ValueError, match="log_dim must be finite, vary"):
        Replicates(outcome, torch.full((num,), 0.1), column, rate, column, names, names, [0] * num, names)

"""The labelled shell: trees of measurements and the tables made of them."""

import dataclasses
import math
import warnings

import numpy as np
import pytest
import torch

from analysis.estimate import Estimate
from analysis.layout import SPLITS
from analysis.mixtures import Candidate
from analysis.summaries import FIELDS, ONE_SEED, Estimates, overview, summary
from analysis.tree import Measured, Records, build_tree
from study.store.merge import merge
from study.store.netcdf import tree as stored_tree
from study.store.result import CellResult, write_result
from study.store.schema import check_result

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the plotting backends' own deprecations at import
    import arviz as az

DRAWS = 400


def measured(seed: int, kl: float = 2.0) -> Measured:
    generator = torch.Generator().manual_seed(seed)

    def draws(mean: float) -> torch.Tensor:
        return mean + torch.randn(DRAWS, generator=generator, dtype=torch.float64)

    integrands = {split: {"rate": draws(5.0), "kl": draws(kl)} for split in SPLITS}
    estimates = {split: {name: Estimate.mean(values) for name, values in integrands[split].items()} for split in SPLITS}
    estimates["train"]["log_n"] = Estimate.exact(math.log(1437), 1437)
    estimates["held_out"]["kl_certified_aggregate"] = Estimate.mean(draws(kl - 1), "lower").flagged("saturated")
    estimates["held_out"]["kl_certified_mixture"] = Estimate.refused("too few codes")
    none = Estimate.refused("too few codes")
    both = {
        name: (("draw", "split"), torch.stack([integrands[s][name] for s in SPLITS], -1)) for name in ("rate", "kl")
    }
    return Measured(
        tables={"aggregate": estimates},
        mixtures=[
            Candidate(1, "diagonal", None, 12.0, Estimate.exact(1.0), Estimate(0.5, 0.1, 10, 10)),
            Candidate(2, "diagonal", None, math.nan, none, none),
        ],
        records={
            "posterior": Records({**both, "kl_certified_aggregate": (("draw",), draws(kl - 1))}, {"split": SPLITS}),
            "sample_stats": Records(
                {"log_q": (("draw", "split"), torch.stack([draws(0.0) for _ in SPLITS], -1))}, {"split": SPLITS}
            ),
        },
    )


def tree(*seeds: int, kl: float = 2.0):
    curves = {"loss": [[3.0] * len(seeds), [2.0] * len(seeds)]}
    return build_tree([measured(seed, kl) for seed in seeds], curves, {"latent_dim": 2})


def test_a_group_whose_estimates_are_all_left_out_is_read_again_as_it_was(tmp_path):
    bare = build_tree([dataclasses.replace(measured(0), tables={"realism": {"prior": {}}}, records={})], {}, {})
    write_result(CellResult(bare, {}, {}), tmp_path / "result.nc", tmp_path / "weights.safetensors")
    again = stored_tree(tmp_path / "result.nc")
    check_result(again, 1)
    assert again["realism"].to_dataset().identical(bare["realism"].to_dataset())
    assert again["realism"].sizes == {"chain": 1, "source": 1, "quantity": 0}


def config(latent_dim: int) -> dict:
    from study.design.cell import Cell

    return Cell.from_config({"latent_dim": latent_dim}).config()


def test_az_summary_gives_mean_and_monte_carlo_error_of_each_quantity():
    one = tree(0, 1)
    table = az.summary(one, round_to="none")
    assert {"rate[train]", "rate[held_out]", "kl[train]", "kl_certified_aggregate"} <= set(table.index)
    values = one["posterior"]["rate"].sel(split="train").values
    assert table.loc["rate[train]", "mean"] == pytest.approx(values.mean())
    # Independent draws: ArviZ's error is that of a mean of independent values, within its own noise.
    assert table.loc["rate[train]", "mcse_mean"] == pytest.approx(values.std() / math.sqrt(values.size), rel=0.15)
    assert one["posterior"].attrs["r_hat"] == "seed disagreement"


def test_trees_merge_along_latent_dim_and_plot():
    merged = merge({"a": (config(2), tree(0, 1, kl=1.0)), "b": (config(8), tree(2, 3, kl=6.0))})
    (whole,) = merged.values()
    assert whole["posterior"]["kl"].dims[0] == "latent_dim" or "latent_dim" in whole["posterior"]["kl"].dims
    table = az.summary(whole, round_to="none")
    assert table.loc["kl[8, train]", "mean"] - table.loc["kl[2, train]", "mean"] == pytest.approx(5.0, abs=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure = az.plot_forest(whole, var_names=["kl"], combined=True, backend="none")
    assert figure is not None


def test_netcdf_round_trip_keeps_values_bounds_and_flags(tmp_path):
    import xarray as xr

    one = tree(0, 1)
    one.to_netcdf(tmp_path / "result.nc", engine="netcdf4")
    with xr.open_datatree(tmp_path / "result.nc", engine="netcdf4") as stored:
        back = stored.load()
    at = {"chain": 0, "split": "held_out", "quantity": "kl_certified_aggregate"}
    assert str(back["aggregate"]["bound"].sel(at).item()) == "lower"
    assert str(back["aggregate"]["flags"].sel(at).item()) == "saturated"
    assert back["aggregate"]["value"].equals(one["aggregate"]["value"])
    assert back["mixtures"]["bic"].sel(components=1, covariance="diagonal").values.tolist() == [12.0, 12.0]
    assert np.isnan(back["mixtures"]["bic"].sel(components=2, covariance="diagonal").values).all()
    assert back["training"]["loss"].dims == ("epoch", "chain")


def estimates(whole):
    """The group ``aggregate`` of a tree."""
    table = whole["aggregate"].to_dataset().transpose("chain", "split", "quantity")
    rows, quantities = (table[name].values.tolist() for name in ("split", "quantity"))
    return Estimates("a", 2, "aggregate", rows, quantities, {name: table[name].values for name in FIELDS})


def test_summary_combines_seeds_and_keeps_bounds_flags_and_refusals():
    whole = tree(0, 1, 2)
    table = summary([estimates(whole)]).set_index(["row", "quantity"])
    values = whole["aggregate"]["value"].sel(split="train", quantity="rate").values
    row = table.loc["train", "rate"]
    assert row["mean"] == pytest.approx(values.mean())
    assert row["standard_error"] == pytest.approx(values.std(ddof=1) / math.sqrt(3))
    assert (row["seeds"], row["n"], row["bound"]) == (3, DRAWS, "unbiased")
    assert table.loc["held_out", "kl_certified_aggregate"]["flags"] == "saturated"
    refused = table.loc["held_out", "kl_certified_mixture"]
    assert math.isnan(refused["mean"])
    assert refused["flags"] == "refused: too few codes"
    assert ("train", "kl_certified_mixture") not in table.index


def test_one_seed_says_that_its_error_is_monte_carlo_only():
    table = summary([estimates(tree(0))]).set_index(["row", "quantity"])
    row = table.loc["train", "rate"]
    assert row["flags"] == ONE_SEED
    assert 0 < row["standard_error"] < 0.1


def test_overview_marks_flags_and_withheld_values():
    row = overview([estimates(tree(0, 1))]).iloc[0]
    assert row["log N"] == "7.27"
    assert row["KL(q∞‖p) ≥"].endswith("*")
    assert row["KL(p‖q_N)"] == "–"
    assert " ± " in row["rate R"]
    assert "*" not in row["rate R"]

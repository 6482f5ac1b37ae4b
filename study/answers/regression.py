"""Regression of an outcome on log D, rate and prior.

The Bayesian regression of :mod:`analysis.effects` over trained replicates of cells that differ in the latent dimension,
β and the prior, all else equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
import torch
import xarray as xr

from analysis.effects import Replicates, fit_effects, probability_of
from analysis.randomness import stream
from study.answers.effects import OUTCOMES
from study.answers.results import Results
from study.design.registry import UnknownName
from study.errors import ConfigurationError

FACTORS = ("latent_dim", "beta", "prior")
LEAST_REPLICATES = 8


def effects(results: Results, outcome: str) -> pd.DataFrame:
    """Coefficients in units of the outcome, one row each: ``mean``, ``lower`` and ``upper`` (95 %), and the posterior
    probability ``positive`` that it is above zero; ``log_dim`` is per e-fold of D, ``rate`` per nat.

    Args:
        results: finished cells of one data set.
        outcome: what is regressed, one of OUTCOMES.

    Raises:
        ConfigurationError: for an unknown outcome, and where no family of cells is large enough.
    """
    if outcome not in OUTCOMES:
        raise ConfigurationError(str(UnknownName("outcome", outcome, OUTCOMES)))
    table = _table(results, outcome)
    tensors = {name: torch.tensor(table[name].to_numpy(dtype=float)) for name in ("outcome", "latent_dim", "rate")}
    replicates = Replicates(tensors["outcome"], tensors["latent_dim"].log(), tensors["rate"], list(table["prior"]))
    tree = fit_effects(replicates, stream(0, "effects", outcome))
    frame = pd.DataFrame(_rows(tree["posterior"].to_dataset()))
    frame.insert(0, "outcome", outcome)
    return frame.assign(replicates=len(table), diverging=int(tree["sample_stats"]["diverging"].sum()))


def _table(results: Results, outcome: str) -> pd.DataFrame:
    """Outcome, D, rate and prior of each replicate of the largest family."""
    families = results.families("latent_dim", "prior") + results.families("latent_dim")
    candidates = [family for group in (results.families(*FACTORS), families) for family in group]
    for family in candidates:
        index = ["key", "replicate"]
        rate = family.values("aggregate/train/rate").set_index(index)
        replicates = pd.DataFrame(
            {"outcome": _outcome(family, outcome), "rate": rate["value"], "latent_dim": rate["latent_dim"],
             "prior": rate["prior"]}
        ).dropna()  # fmt: skip
        varied = (replicates[["outcome", "rate", "latent_dim"]].nunique() > 1).all()
        if len(replicates) >= LEAST_REPLICATES and varied:
            return replicates
    raise ConfigurationError(
        f"effects need {LEAST_REPLICATES} replicates of cells that differ in latent_dim, beta and prior alone; "
        "found no such family: run a study with latent_dim=2,8,32,128 and two seeds or more"
    )


def _outcome(family: Results, outcome: str) -> pd.Series:
    index = ["key", "replicate"]
    if outcome == "quality_gap":
        prior, aggregate = (
            family.values(f"realism/{row}/squared_frechet").set_index(index)["value"]
            for row in ("prior", "aggregate_train")
        )
        return prior - aggregate
    row = "held_out" if outcome == "log_px" else "train"
    return family.values(f"aggregate/{row}/{outcome}").set_index(index)["value"]


def _rows(posterior: xr.Dataset) -> Iterator[dict[str, object]]:
    for name in ("log_dim", "rate", "prior_effect"):
        if name not in posterior:
            continue
        drawn = posterior[name] * posterior[name].attrs["per_unit"]
        levels = drawn["prior"].values if "prior" in drawn.dims else [None]
        for level in levels:
            one = drawn if level is None else drawn.sel(prior=level)
            low, high = one.quantile([0.025, 0.975]).values
            positive = probability_of(one > 0)
            yield {
                "coefficient": name if level is None else f"{name}[{level}]",
                "mean": float(one.mean()),
                "lower": float(low),
                "upper": float(high),
                "positive": positive.value,
                "positive_error": positive.standard_error if not math.isnan(positive.standard_error) else 0.0,
            }

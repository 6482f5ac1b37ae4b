"""Regression of an outcome on log D, rate, length of training and prior.

The Bayesian regression of :mod:`analysis.effects` over trained replicates of cells that differ in latent dimension, β,
prior and length of training, all else equal; over several data sets together, in the data set too. β has no coefficient
of its own, as it acts through the rate. KL is rate less information, so that for KL the rate's coefficient is in part
an identity, and only that of log D is of interest.

Mismatch and gap range over orders of magnitude, and their noise grows with them, so they are regressed as

    asinh(y / 2s),     s the larger of the median standard error and a hundredth of the median |y|,

which is log(y/s) where y is well above s, straight through 0 within ± s, and odd: a gap below 0, which noise gives
where there is none, counts as what it is, and nothing is clipped or left out. Differences are e-folds where y is large.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import arviz as az
import numpy as np
import pandas as pd
import torch
import xarray as xr

from analysis.effects import Replicates, fit_effects, pit_band, probability_of, settling
from analysis.randomness import stream
from study.answers.effects import OUTCOMES, PIT_COLUMNS, Effects
from study.answers.results import Results
from study.design.registry import UnknownName
from study.errors import ConfigurationError

STABILISED = {"kl", "quality_gap"}
"""Outcomes that are regressed as asinh(y / 2s)."""

log = logging.getLogger(__name__)

FACTORS = ("latent_dim", "beta", "prior", "updates")
LEAST_REPLICATES, LEAST_CELLS = 8, 4
DRAWS = 2_000


def effects(results: Results, outcome: str, draws: int = DRAWS) -> Effects:
    """The regression over the largest family of cells.

    Args:
        results: finished cells, of one data set or of several.
        outcome: what is regressed, one of OUTCOMES.
        draws: of each of four chains.

    Raises:
        ConfigurationError: for an unknown outcome, where no family of cells is large enough, and where the chains have
            not settled in so many draws.
    """
    if outcome not in OUTCOMES:
        raise ConfigurationError(str(UnknownName("outcome", outcome, OUTCOMES)))
    table = _table(results, outcome)
    value, error = table["outcome"].to_numpy(float), table["outcome_error"].to_numpy(float)
    if outcome in STABILISED:
        value, error = stabilised(value, error)
    columns = (value, error, np.log(table["latent_dim"]), table["rate"], np.log(table["updates"]))
    y, error_of_y, log_dim, rate, log_updates = (torch.tensor(np.asarray(column, float)) for column in columns)
    prior, cell, replicate, dataset = (table[name].tolist() for name in ("prior", "key", "replicate", "dataset"))
    replicates = Replicates(y, error_of_y, log_dim, rate, log_updates, prior, cell, replicate, dataset)
    tree = fit_effects(replicates, stream(0, "effects", outcome), num_draws=draws)
    worst = settling(tree)
    if not worst.settled:
        raise ConfigurationError(
            f"expected 400 effective draws and r_hat of at most 1.01; the chains have {worst.effective:.0f} and "
            f"{worst.r_hat:.3f}, so that no interval of them can be relied on: give more draws, --draws {4 * draws}"
        )
    num_cells = table["key"].nunique()
    if num_cells < len(results):
        log.warning(
            "effects on %s: %d of %d cells are left out, since the regression is over the largest set of cells that "
            "have the outcome and differ in %s alone",
            outcome,
            len(results) - num_cells,
            len(results),
            ", ".join(FACTORS),
        )
    frame = pd.DataFrame(_rows(tree["posterior"].to_dataset()))
    frame.insert(0, "outcome", outcome)
    band = pit_band(tree["loo_pit"]["probability"].to_numpy())
    return Effects(
        frame.assign(replicates=len(table), cells=num_cells),
        band.to_dataframe().reset_index()[list(PIT_COLUMNS)],
    )


def stabilised(value: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """asinh(y / 2s) of values ``(S,)``, and its standard errors by the delta method; see the module for s.

    Args:
        value: y.
        error: standard errors of y.
    """
    unit = 2 * max(float(np.median(error)), float(np.median(np.abs(value))) / 100)
    return np.arcsinh(value / unit), error / np.hypot(value, unit)


def comparable(results: Results) -> bool:
    """Whether cells of several data sets differ in nothing but FACTORS and the data set."""
    return len(results.levels("dataset")) > 1 and bool(_families(results))


def _families(results: Results) -> list[Results]:
    """Sets of cells that differ in FACTORS alone, and of several data sets in the data set too; the largest first."""
    if len(results.levels("dataset")) < 2:
        return results.partition(*FACTORS)
    return [family for family in results.partition(*FACTORS, "dataset") if len(family.levels("dataset")) > 1]


def _table(results: Results, outcome: str) -> pd.DataFrame:
    """Outcome with its error, and predictors, of each replicate of the largest family."""
    for family in _families(results):
        replicates = _outcome(family, outcome).dropna(subset=["outcome", "rate"])
        varied = len(replicates) and (replicates[["outcome", "rate", "latent_dim"]].nunique() > 1).all()
        if varied and len(replicates) >= LEAST_REPLICATES and replicates["key"].nunique() >= LEAST_CELLS:
            return replicates
    raise ConfigurationError(
        f"effects need {LEAST_REPLICATES} replicates of {LEAST_CELLS} cells that differ in {', '.join(FACTORS)} alone; "
        "found no such family: run a study with latent_dim=2,8,32,128 and two seeds or more"
    )


def _outcome(family: Results, outcome: str) -> pd.DataFrame:
    rate = {"rate": "aggregate/train/rate"}
    if outcome == "quality_gap":
        levels = {name: f"realism/{name}/squared_frechet" for name in ("prior", "aggregate_train")}
        table = family.frame(**rate, from_prior=levels["prior"], from_aggregate=levels["aggregate_train"])
        # Both are compared with the same images, whose share of the error is then counted twice: it is not too small.
        error = np.hypot(table["from_prior_error"], table["from_aggregate_error"]) if len(table) else ()
        return table.assign(outcome=table["from_prior"] - table["from_aggregate"], outcome_error=error)
    row = "held_out" if outcome == "log_px" else "train"
    return family.frame(**rate, outcome=f"aggregate/{row}/{outcome}")


def _rows(posterior: xr.Dataset) -> Iterator[dict[str, object]]:
    shown = ["log_dim", "rate", "log_updates", "prior_effect", *(name for name in posterior if "scale" in str(name))]
    for name in (name for name in shown if name in posterior):
        drawn = posterior[name] * posterior[name].attrs["per_unit"]
        levels = drawn["prior"].values if "prior" in drawn.dims else [None]
        for level in levels:
            one = (drawn if level is None else drawn.sel(prior=level)).transpose("chain", "draw")
            low, high = one.quantile([0.025, 0.975]).values
            line = {
                "coefficient": name if level is None else f"{name}[{level}]",
                "mean": float(one.mean()),
                "lower": float(low),
                "upper": float(high),
            }
            if "scale" not in str(name):
                positive = probability_of(one > 0)
                line |= {"positive": positive.value, "positive_error": positive.standard_error}
            yield line | {"ess": float(az.ess(one.values)), "r_hat": float(az.rhat(one.values))}

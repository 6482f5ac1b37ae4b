"""Codes: means and scales of q(z|x), and active units."""

from __future__ import annotations

import math

from analysis.estimate import Estimate
from analysis.geometry.active_units import active_units as units
from analysis.geometry.active_units import active_units_by_kl as units_by_kl
from analysis.geometry.overlap import unit_total_variation
from study.measurement.estimators import DIAGONAL_POSTERIOR, Quantity, estimator
from study.measurement.replicate import Split


@estimator(
    Quantity(
        "rms_loc",
        "√(E‖μ‖²/D)",
        "consistent",
        limits="½ D × its square is the least rate: 26 nats for 0.028 at D = 65,536",
    )
)
def rms_loc(split: Split) -> Estimate:
    mean_square = Estimate.mean(split.codes.loc.square().flatten(1).mean(1))
    rms, num = math.sqrt(mean_square.value), len(split.rows)
    return Estimate(rms, mean_square.standard_error / (2 * rms) if rms else 0.0, num, num, "consistent")


@estimator(Quantity("mean_scale", "mean of σ over images and dimensions"))
def mean_scale(split: Split) -> Estimate:
    return Estimate.mean(split.codes.scale.flatten(1).mean(1))


@estimator(Quantity("scale_sd", "standard deviation of σ over dimensions, mean over images"))
def scale_sd(split: Split) -> Estimate:
    return Estimate.mean(split.codes.scale.flatten(1).std(1, correction=0))


@estimator(
    Quantity(
        "active_units",
        "number of d with Var_x μ_d > 0.01 (Burda et al. 2016)",
        "exact",
        "exact for these images",
        "misses signal spread thinly",
    )
)
def active_units(split: Split) -> Estimate:
    return units(split.codes.loc)


@estimator(
    Quantity(
        "active_units_by_kl",
        "number of d with E KL(q(z_d|x) ‖ N(0, 1)) > 0.01",
        "exact",
        "exact for these images",
        "diagonal normal posteriors",
    ),
    needs=(DIAGONAL_POSTERIOR,),
)
def active_units_by_kl(split: Split) -> Estimate:
    return units_by_kl(split.codes.loc, split.codes.scale)


@estimator(Quantity("unit_ball_tv", "E TV(N(μ, I), N(0, I)) = E[2Φ(‖μ‖/2) − 1]", limits="at σ = 1"))
def unit_ball_tv(split: Split) -> Estimate:
    return Estimate.mean(unit_total_variation(split.codes.loc))

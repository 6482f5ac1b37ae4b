"""Codes: means and scales of q(z|x), active units, and the distances between centres."""

from __future__ import annotations

import math

from analysis.estimate import Estimate
from analysis.geometry.active_units import active_units as units
from analysis.geometry.active_units import active_units_by_kl as units_by_kl
from analysis.geometry.coverage import nearest_centre_distance
from analysis.geometry.intrinsic_dimension import two_nn
from analysis.geometry.margins import nearest_margins
from analysis.geometry.overlap import unit_total_variation
from study.measurement.estimators import DIAGONAL_POSTERIOR, Quantity, estimator
from study.measurement.replicate import Split

NEIGHBOURS = 2_000
"""Images and prior draws among which neighbours are sought."""


@estimator(Quantity("rms_loc", "√(E‖μ‖²/D)", "consistent", limits="0.028 at D = 65,536 are 25 nats"))
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


@estimator(
    Quantity(
        "nearest_centre",
        "E min_n ‖z − μₙ‖ over prior draws",
        bias="unbiased for these centres",
        limits="up to 2,000 centres",
    )
)
def nearest_centre(split: Split) -> Estimate:
    return Estimate.mean(nearest_centre_distance(split.replicate.prior_z[:NEIGHBOURS], split.codes.loc[:NEIGHBOURS]))


@estimator(
    Quantity(
        "nearest_margin",
        "E of half the distance of a centre to the nearest other",
        bias="unbiased for these centres",
        limits="the same",
    )
)
def nearest_margin(split: Split) -> Estimate:
    return Estimate.mean(nearest_margins(split.codes.loc[:NEIGHBOURS]))


@estimator(
    Quantity(
        "intrinsic_dimension",
        "two-nearest-neighbour estimate of codes (Facco et al. 2017)",
        "consistent",
        limits="low at edges, the more the higher it is",
    )
)
def intrinsic_dimension(split: Split) -> Estimate:
    return two_nn(split.codes.z[:NEIGHBOURS])

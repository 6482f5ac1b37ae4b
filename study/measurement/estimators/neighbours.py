"""Neighbours: distances from codes and prior draws to the nearest centre μ(x), and what they say of dimension."""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.geometry.coverage import nearest_centre_distance
from analysis.geometry.intrinsic_dimension import two_nn
from analysis.geometry.margins import nearest_margins
from study.measurement.estimators import Quantity, estimator
from study.measurement.replicate import Split

NEIGHBOURS = 2_000
"""Images and prior draws among which neighbours are sought."""


@estimator(
    Quantity(
        "nearest_centre",
        "E min_n ‖z − μₙ‖ over prior draws",
        bias="unbiased for these centres",
        limits="up to 2,000 centres",
    )
)
def nearest_centre(split: Split) -> Estimate:
    return Estimate.mean(nearest_centre_distance(split.replicate.prior_z[:NEIGHBOURS], split.codes_of(NEIGHBOURS).loc))


@estimator(
    Quantity(
        "nearest_margin",
        "E of half the distance of a centre to the nearest other",
        bias="unbiased for these centres",
        limits="the same",
    )
)
def nearest_margin(split: Split) -> Estimate:
    return Estimate.mean(nearest_margins(split.codes_of(NEIGHBOURS).loc))


@estimator(
    Quantity(
        "intrinsic_dimension",
        "two-nearest-neighbour estimate of codes (Facco et al. 2017)",
        "consistent",
        limits="low at edges, the more the higher it is",
    )
)
def intrinsic_dimension(split: Split) -> Estimate:
    return two_nn(split.codes_of(NEIGHBOURS).z)

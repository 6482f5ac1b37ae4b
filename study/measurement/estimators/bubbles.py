"""Bubbles: overlap of N(μ, diag σ²) with the prior, and what they cover of it."""

from __future__ import annotations

from analysis import information
from analysis.estimate import Estimate
from analysis.geometry import coverage
from analysis.geometry.overlap import log_bhattacharyya, total_variation_integrands
from study.measurement.estimators import DIAGONAL_POSTERIOR, Quantity, estimator
from study.measurement.estimators._base import NORMALISER_ESTIMATED
from study.measurement.estimators.neighbours import NEIGHBOURS
from study.measurement.replicate import Split


@estimator(
    Quantity("bubble_bhattacharyya", "E BC(q(z|x), N(0, I)), closed form", limits="diagonal normal posteriors"),
    needs=(DIAGONAL_POSTERIOR,),
)
def bubble_bhattacharyya(split: Split) -> Estimate:
    return Estimate.mean(log_bhattacharyya(split.codes.loc, split.codes.scale).exp())


@estimator(
    Quantity(
        "bubble_total_variation",
        "E TV(q(z|x), N(0, I)) = E(1 − p(z)/q(z|x))₊, one draw per image",
        limits="diagonal normal posteriors; up to 2,000 bubbles",
    ),
    needs=(DIAGONAL_POSTERIOR,),
)
def bubble_total_variation(split: Split) -> Estimate:
    codes = split.codes_of(NEIGHBOURS)
    loc, scale = codes.loc, codes.scale
    generator = split.replicate.stream("total variation of bubbles", split.name)
    return Estimate.mean(total_variation_integrands(loc, scale, 1, generator))


@estimator(
    Quantity(
        "ball_coverage",
        "share of prior draws in the 95 % ball of some bubble",
        bias="unbiased for these bubbles",
        limits="up to 2,000 bubbles; balls grow with D",
    ),
    needs=(DIAGONAL_POSTERIOR,),
)
def ball_coverage(split: Split) -> Estimate:
    codes = split.codes_of(NEIGHBOURS)
    loc, scale = codes.loc, codes.scale
    return coverage.ball_coverage(split.replicate.prior_z[:NEIGHBOURS], loc, scale)


@estimator(
    Quantity(
        "ratio_coverage",
        "share of prior draws in the 95 % likelihood-ratio set of some bubble",
        bias="unbiased for these bubbles",
        limits="normal approximation of the ratio, exact at σ = 1",
    ),
    needs=(DIAGONAL_POSTERIOR,),
)
def ratio_coverage(split: Split) -> Estimate:
    codes = split.codes_of(NEIGHBOURS)
    loc, scale = codes.loc, codes.scale
    return coverage.ratio_coverage(split.replicate.prior_z[:NEIGHBOURS], loc, scale)


@estimator(
    Quantity(
        "soft_covering",
        "min(1, N e^−R): what N bubbles of rate R can cover of the prior",
        "consistent",
        limits="a heuristic: R against log N decides; bubbles that overlap cover less",
    )
)
def soft_covering(split: Split) -> Estimate:
    # The error of an estimated normaliser is one of R, in nats: it goes through the exponential with the rest.
    rate = information.rate(split.draws).with_shared_error(split.replicate.prior_error, NORMALISER_ESTIMATED)
    return coverage.soft_covering(rate, len(split))

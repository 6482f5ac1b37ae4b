"""Growth: how KL(q_S ‖ p) of a subset S of the images falls with its size."""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.subsampling import SubsamplingCurve, subsampling_curve
from study.measurement.estimators import Quantity, Refused, estimator, once
from study.measurement.replicate import Split

REPEATS, DRAWS, SIZES = 24, 50, 5
"""Fewer than 24 repeats leave the interval of the slope too short."""


@once
def curve(split: Split) -> SubsamplingCurve | None:
    """KL(q_S ‖ p) of random subsets S of the images whose codes are in memory, or None where they are too few."""
    num = len(split.rows)
    smallest = num // REPEATS
    if smallest < 2:
        return None
    ratio = (num / smallest) ** (1 / (SIZES - 1))
    return subsampling_curve(
        split.aggregate_of_rows,
        split.replicate.prior,
        (*(round(smallest * ratio**step) for step in range(SIZES - 1)), num),
        num_repeats=REPEATS,
        num_draws=DRAWS,
        generator=split.replicate.stream("subsets", split.name),
    )


@estimator(
    Quantity(
        "kl_slope_log_n",
        "slope of E KL(q_S ‖ p) in log of the number of images in S",
        bias="unbiased for the sizes at hand",
        limits="−1: disjoint bubbles; 0: bubbles that coincide",
    ),
    Quantity(
        "kl_at_10_n",
        "the line of `kl_slope_log_n` at 10 N",
        "lower",
        limits="the curve is convex: no line holds beyond its sizes",
        of_prior=True,
    ),
)
def slope(split: Split) -> dict[str, Estimate]:
    by_size = curve(split)
    if by_size is None:
        raise Refused(f"{REPEATS} disjoint subsets need more images", len(split.rows))
    return {"kl_slope_log_n": by_size.slope(), "kl_at_10_n": by_size.extrapolate(10 * by_size.sizes[-1])}

"""Rate, information and the divergence of aggregate posterior and prior, on either split."""

from __future__ import annotations

import math

from sklearn.ensemble import HistGradientBoostingClassifier
from torch.distributions import Independent, Normal

from analysis import divergence, information
from analysis.aggregate import NOT_DIAGONAL
from analysis.estimate import Estimate
from analysis.moments import moment_split
from analysis.randomness import integer_seed
from analysis.subsampling import SubsamplingCurve, subsampling_curve
from analysis.total_correlation import dimensionwise_split
from analysis.two_sample import classifier_test, median_bandwidth, squared_mmd, squared_sliced_wasserstein
from study.measurement.replicate import Replicate, Split

MARGINAL_DRAWS, ENOUGH_KERNELS, MOST_KERNELS = 50, 2**28, 2**32
"""Of the exact marginals, at N·D kernels per draw: the least draws that an estimate rests on, the kernels beyond which
no further draws are taken, and those beyond which there is no estimate."""

TWO_SAMPLE_DRAWS, TWO_SAMPLE_LEAST = 1_000, 40
SLOPE_REPEATS, SLOPE_DRAWS, SLOPE_SIZES = 24, 50, 5
"""Fewer than 24 repeats leave the interval of the slope too short."""


def estimates(replicate: Replicate, split: Split, curve: SubsamplingCurve | None) -> dict[str, Estimate]:
    """Estimates in nats, or in [0, 1]; those that need a factorised normal prior are refused for others."""
    draws, from_prior = split.draws, split.from_prior
    elbo = -split.distortion - draws.integrands()["rate"]
    marginal = information.marginal_kl_interval(draws)
    num = len(split.images)
    return {
        "rate": information.rate(draws),
        "distortion": Estimate.mean(split.distortion, groups=draws.unit),
        "elbo": Estimate.mean(elbo, "lower", groups=draws.unit),
        "information": information.mutual_information(draws),
        "information_upper": information.mutual_information_upper(draws),
        "log_n": Estimate.exact(math.log(num), num),
        "kl": divergence.kl_aggregate_to_prior(draws),
        "kl_upper": marginal.upper,
        "kl_lower": marginal.lower,
        "kl_reverse": divergence.kl_prior_to_aggregate(from_prior),
        "total_variation": divergence.total_variation(draws, from_prior),
        "jensen_shannon": divergence.jensen_shannon(draws, from_prior),
        "bhattacharyya": divergence.bhattacharyya_coefficient(draws, from_prior),
        "log_ratio_auc": divergence.log_ratio_auc(draws, from_prior),
        **_factorised(replicate, split),
        **_two_sample(replicate, split),
        **_slopes(split, curve),
    }


def held_out_estimates(replicate: Replicate) -> dict[str, Estimate]:
    """Ends that held-out images certify against the aggregate of the training images."""
    return {
        "kl_certified_aggregate": information.marginal_kl_lower(replicate.unseen),
        "information_certified_upper": information.mutual_information_upper(replicate.unseen),
    }


def _factorised(replicate: Replicate, split: Split) -> dict[str, Estimate]:
    """Splits of KL(q_N ‖ p): moments and residual; total correlation and dimensions."""
    names = ("kl_moments", "kl_residual", "kl_moments_diagonal", "total_correlation", "kl_dimensionwise")
    prior = replicate.prior
    if not (isinstance(prior, Independent) and isinstance(prior.base_dist, Normal)):
        refusal = Estimate.refused("defined for a factorised normal prior", len(split.images))
        return dict.fromkeys(names, refusal)
    if not split.aggregate.is_diagonal:
        refusal = Estimate.refused(NOT_DIAGONAL, len(split.images))
        return dict.fromkeys(names, refusal)
    full = moment_split(split.aggregate, prior, split.z, split.draws)
    diagonal = moment_split(split.aggregate, prior, split.z, split.draws, diagonal=True)
    kernels = len(split.images) * split.aggregate.latent_dim
    num = min(len(split.z), max(MARGINAL_DRAWS, ENOUGH_KERNELS // kernels))
    if num * kernels > MOST_KERNELS:
        dims = [Estimate.refused("exact marginals at this N·D exceed the budget", len(split.images))] * 2
    else:
        dimensionwise = dimensionwise_split(split.aggregate, prior, split.z[:num], split.draws.first(num))
        dims = [dimensionwise.total_correlation, dimensionwise.dimensionwise_kl]
    return dict(zip(names, (full.gaussian_kl, full.residual_kl, diagonal.gaussian_kl, *dims), strict=True))


def _two_sample(replicate: Replicate, split: Split) -> dict[str, Estimate]:
    """Distances between one draw per image and as many draws of the prior.

    A classifier judged on n rows of each cannot see more than about log n nats: its KL is a lower end and no estimate.
    """
    num = min(TWO_SAMPLE_DRAWS, len(split.rows), len(replicate.prior_z))
    names = (
        "squared_mmd",
        "squared_sliced_wasserstein",
        "classifier_accuracy_codes",
        "classifier_auc",
        "classifier_kl",
    )
    if num < TWO_SAMPLE_LEAST:
        return dict.fromkeys(names, Estimate.refused(f"two-sample tests need {TWO_SAMPLE_LEAST} images", num))
    codes, prior_z = split.codes.z[:num].flatten(1), replicate.prior_z[:num].flatten(1)
    seed = integer_seed(replicate.seed, "classifier of codes", "trees")
    trees = HistGradientBoostingClassifier(max_iter=30, early_stopping=False, random_state=seed)
    test = classifier_test(codes, prior_z, trees, replicate.stream("classifier of codes", "halves"))
    mmd = squared_mmd(codes, prior_z, median_bandwidth(codes, prior_z))
    wasserstein = squared_sliced_wasserstein(codes, prior_z, replicate.stream("sliced Wasserstein"))
    return dict(zip(names, (mmd, wasserstein, test.accuracy, test.auc, test.kl), strict=True))


def subsampled(replicate: Replicate, split: Split) -> SubsamplingCurve | None:
    """KL(q_S ‖ p) of random subsets S of the images whose codes are held, or None where they are too few."""
    num = len(split.rows)
    smallest = num // SLOPE_REPEATS
    if smallest < 2:
        return None
    ratio = (num / smallest) ** (1 / (SLOPE_SIZES - 1))
    return subsampling_curve(
        split.held,
        replicate.prior,
        (*(round(smallest * ratio**step) for step in range(SLOPE_SIZES - 1)), num),
        num_repeats=SLOPE_REPEATS,
        num_draws=SLOPE_DRAWS,
        generator=replicate.stream("subsampling"),
    )


def _slopes(split: Split, curve: SubsamplingCurve | None) -> dict[str, Estimate]:
    """Slope of KL(q_S ‖ p) in log |S| (−1: disjoint bubbles, 0: bubbles that coincide), and its line at 10 N."""
    if curve is None:
        refusal = Estimate.refused(f"{SLOPE_REPEATS} disjoint subsets need more images", len(split.rows))
        return {"kl_slope_log_n": refusal, "kl_at_10_n": refusal}
    return {"kl_slope_log_n": curve.slope(), "kl_at_10_n": curve.extrapolate(10 * curve.sizes[-1])}

"""Rate and information: what a code costs, and what it tells of its image."""

from __future__ import annotations

import math

from analysis import divergence, information
from analysis.estimate import Estimate
from study.measurement.estimators import IMAGE_DENSITY, Quantity, estimator
from study.measurement.replicate import Split


@estimator(Quantity("rate", "R = E[log q(z|x) − log p(z)]", of_prior=True))
def rate(split: Split) -> Estimate:
    return information.rate(split.draws)


@estimator(
    Quantity("distortion", "−E log p(x|z)", limits="depends on the likelihood and on the binarisation"),
    needs=(IMAGE_DENSITY,),
)
def distortion(split: Split) -> Estimate:
    return Estimate.mean(split.distortion, groups=split.draws.unit)


@estimator(
    Quantity(
        "elbo",
        "−distortion − rate",
        "lower",
        "lower end of log p(x)",
        "loose by E KL(q(z|x) ‖ p(z|x))",
        of_prior=True,
    ),
    needs=(IMAGE_DENSITY,),
)
def elbo(split: Split) -> Estimate:
    return Estimate.mean(-split.distortion - split.draws.integrands()["rate"], "lower", groups=split.draws.unit)


@estimator(
    Quantity(
        "information",
        "I_N = E[log q(z|xₙ) − log q_N(z)]",
        "lower",
        "of q_N unbiased; of q_∞ a lower end",
        "at most log N: `saturated` within 0.1 nats of it",
    )
)
def mutual_information(split: Split) -> Estimate:
    return information.mutual_information(split.draws)


@estimator(
    Quantity(
        "information_upper",
        "E[log q(z|xₙ) − log q₋ₙ(z)]",
        "upper",
        "upper end for q_∞ (Poole et al. 2019)",
        "infinite where bubbles are disjoint and bounded only by float64",
    )
)
def information_upper(split: Split) -> Estimate:
    return information.mutual_information_upper(split.draws)


@estimator(
    Quantity(
        "information_certified_upper",
        "E over held-out x of log q(z|x) − log q_N(z)",
        "upper",
        "upper end for q_∞",
        "held-out posteriors must be as good as training ones",
    ),
    rows=("held_out",),
)
def information_certified_upper(split: Split) -> Estimate:
    return information.mutual_information_upper(split.replicate.unseen)


@estimator(Quantity("log_n", "log N", "exact"))
def log_n(split: Split) -> Estimate:
    return Estimate.exact(math.log(len(split)), len(split))


@estimator(
    Quantity(
        "kl",
        "KL(q_N ‖ p) = E t = R − I_N",
        bias="unbiased for q_N; upper end for q_∞",
        limits="`saturated` with the information",
        of_prior=True,
    )
)
def kl(split: Split) -> Estimate:
    return divergence.kl_aggregate_to_prior(split.draws)


@estimator(
    Quantity("kl_upper", "R − I_N, paired by draw", "upper", "upper end for q_∞", "that of `kl`", of_prior=True),
    Quantity(
        "kl_lower",
        "E[log q₋ₙ(z) − log p(z)]",
        "lower",
        "lower end for q_∞",
        "far below where bubbles are disjoint",
        of_prior=True,
    ),
)
def kl_interval(split: Split) -> dict[str, Estimate]:
    ends = information.marginal_kl_bracket(split.draws)
    return {"kl_upper": ends.upper, "kl_lower": ends.lower}


@estimator(
    Quantity(
        "kl_certified_aggregate",
        "E over held-out draws of log q_N(z) − log p(z)",
        "lower",
        "lower end for q_∞",
        "as `kl_lower`",
        of_prior=True,
    ),
    rows=("held_out",),
)
def kl_certified_aggregate(split: Split) -> Estimate:
    return information.marginal_kl_lower(split.replicate.unseen)

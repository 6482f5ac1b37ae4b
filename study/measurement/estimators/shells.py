"""Shells: the norms of draws, and how far they tell aggregate and prior apart.

On the unit sphere all norms are 1, and what tells them apart is rounding alone: they are refused there.
"""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.geometry import shells
from study.measurement.estimators import Quantity, estimator
from study.measurement.estimators._needs import REAL_LATENTS
from study.measurement.replicate import Split


@estimator(
    Quantity("mean_square", "E‖z‖²/D under q_N", limits="1 under N(0, I)"),
    Quantity("norm_mean", "E‖z‖"),
    Quantity("norm_sd", "sd ‖z‖", "consistent"),
    needs=(REAL_LATENTS,),
)
def norms(split: Split) -> dict[str, Estimate]:
    norms_of_draws = shells.shell(split.z, split.component)
    return {
        "mean_square": norms_of_draws.mean_square,
        "norm_mean": norms_of_draws.norm_mean,
        "norm_sd": norms_of_draws.norm_sd,
    }


@estimator(
    Quantity(
        "norm_auc",
        "P(‖z‖ > ‖z′‖) + ½P(=), z ~ q_N, z′ ~ p",
        limits="sees norms alone: compare with `log_ratio_auc`",
    ),
    needs=(REAL_LATENTS,),
)
def norm_auc(split: Split) -> Estimate:
    return shells.norm_auc(split.z, split.replicate.prior_z, split.component)


@estimator(
    Quantity(
        "norm_ks",
        "sup of the difference of the distribution functions of ‖z‖",
        "upper",
        limits="O(1/√n) above 0 where they agree",
    ),
    needs=(REAL_LATENTS,),
)
def norm_ks(split: Split) -> Estimate:
    return shells.norm_ks(split.z, split.replicate.prior_z, split.component)


@estimator(
    Quantity("squared_norm_ks", "the same of ‖z‖² against χ²_D", "upper", limits="the same"), needs=(REAL_LATENTS,)
)
def squared_norm_ks(split: Split) -> Estimate:
    return shells.squared_norm_ks(split.z, split.component)


@estimator(
    Quantity(
        "typical_set_mass",
        "share of draws of q_N in the 95 % typical set of p, by log p",
        limits="an interval of one number, not a set of directions",
    )
)
def typical_set_mass(split: Split) -> Estimate:
    return shells.typical_set_mass(split.from_prior.log_prior, split.draws.log_prior, split.component)


@estimator(
    Quantity(
        "aggregate_typical_set_mass",
        "share of draws of p in the typical set of q_N, by log q_N",
        limits="the same",
    )
)
def aggregate_typical_set_mass(split: Split) -> Estimate:
    return shells.typical_set_mass(split.draws.log_aggregate, split.from_prior.log_aggregate)

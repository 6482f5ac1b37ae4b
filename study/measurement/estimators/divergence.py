"""Divergences of aggregate posterior and prior: functions of their log-ratio t."""

from __future__ import annotations

from analysis import divergence
from analysis.estimate import Estimate
from study.measurement.estimators import Quantity, estimator
from study.measurement.replicate import Split


@estimator(
    Quantity("kl_reverse", "KL(p ‖ q_N) = −E_p t", limits="large variance where q_N misses the prior", of_prior=True)
)
def kl_reverse(split: Split) -> Estimate:
    return divergence.kl_prior_to_aggregate(split.from_prior)


@estimator(
    Quantity("total_variation", "½E_q(1 − e⁻ᵗ)₊ + ½E_p(1 − eᵗ)₊", limits="within 3/n of 1 it is `saturated`"),
)
def total_variation(split: Split) -> Estimate:
    return divergence.total_variation(split.draws, split.from_prior)


@estimator(
    Quantity(
        "jensen_shannon",
        "½E_q[ln 2 − ln(1 + e⁻ᵗ)] + ½E_p[ln 2 − ln(1 + eᵗ)]",
        limits="within 3 ln 2/n of ln 2 it is `saturated`",
    )
)
def jensen_shannon(split: Split) -> Estimate:
    return divergence.jensen_shannon(split.draws, split.from_prior)


@estimator(
    Quantity(
        "bhattacharyya",
        "½E_q sech(t/2) + ½E_p sech(t/2) = ∫√(q_N p)",
        limits="`unreliable` below ten effective draws",
    )
)
def bhattacharyya(split: Split) -> Estimate:
    return divergence.bhattacharyya_coefficient(split.draws, split.from_prior)


@estimator(
    Quantity(
        "log_ratio_auc",
        "P(t(z) > t(z′)) + ½P(t(z) = t(z′)), z ~ q_N, z′ ~ p",
        limits="the most powerful test there is (Neyman & Pearson 1933)",
    )
)
def log_ratio_auc(split: Split) -> Estimate:
    return divergence.log_ratio_auc(split.draws, split.from_prior)

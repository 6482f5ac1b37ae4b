"""Moments of the codes: mean, variances and correlations in nats, and what each certifies on held-out codes.

G is the normal with the moments of q_N of this split; certified quantities score held-out draws under normals with the
moments of the training codes. No table sets q_N beside q_∞: KL(G ‖ p) is of the images at hand, lower and upper ends
are of the data.
"""

from __future__ import annotations

from torch.distributions import Distribution

from analysis.estimate import Estimate
from analysis.moment_parts import bracket_beyond_moments, certified_by_moments, moment_parts
from analysis.moments import moment_matched
from study.measurement.estimators import DIAGONAL_POSTERIOR, FACTORISED_PRIOR, Quantity, Refused, estimator, once
from study.measurement.replicate import Split


@once
def gaussian(split: Split) -> Distribution | None:
    """G of this split's aggregate; None where its covariance does not fit in memory."""
    return moment_matched(split.aggregate)


@estimator(
    Quantity("kl_mean", "½ Σ_d (m_d − m₀_d)²/s_d², ½‖m‖² for p = N(0, I)", "exact", limits="factorised normal prior"),
    Quantity("kl_variances", "½ Σ_d (v_d/s_d² − 1 − ln v_d/s_d²)", "exact", limits="factorised normal prior"),
    Quantity(
        "kl_correlations",
        "−½ ln det R, R the correlation matrix of q_N",
        "exact",
        limits="D that a D × D matrix allows; with the two above it sums to `kl_moments`",
    ),
    needs=(FACTORISED_PRIOR, DIAGONAL_POSTERIOR),
)
def parts(split: Split) -> dict[str, Estimate]:
    found = moment_parts(split.aggregate, split.replicate.prior, gaussian(split))
    return {"kl_mean": found.mean, "kl_variances": found.variances, "kl_correlations": found.correlations}


@estimator(
    Quantity(
        "certified_by_mean", "E log N(z; m, diag s²) − log p(z), held-out draws", "lower", "lower end of KL(q_∞ ‖ p)"
    ),
    Quantity("certified_by_variances", "the same with N(m₀, diag v)", "lower", "lower end of KL(q_∞ ‖ p)"),
    Quantity("certified_by_mean_variances", "the same with N(m, diag v)", "lower", "lower end of KL(q_∞ ‖ p)"),
    Quantity(
        "certified_by_moments",
        "the same with G = N(m, C)",
        "lower",
        "lower end of KL(q_∞ ‖ p)",
        "D that a D × D matrix allows",
    ),
    rows=("held_out",),
    needs=(FACTORISED_PRIOR, DIAGONAL_POSTERIOR),
)
def certified(split: Split) -> dict[str, Estimate]:
    replicate = split.replicate
    found = certified_by_moments(
        replicate.train.aggregate, replicate.prior, gaussian(replicate.train), split.z, split.component
    )
    return {f"certified_by_{name}": estimate for name, estimate in found.items()}


@estimator(
    Quantity(
        "kl_residual_lower",
        "E over held-out draws of log q_N(z) − log G(z), both of the training images",
        "lower",
        "lower end of KL(q_∞ ‖ G)",
        "far below where bubbles are disjoint",
    ),
    Quantity(
        "kl_residual_upper",
        "E over held-out draws of log q_M(z) − log G(z), q_M of the held-out images",
        "upper",
        "upper end of KL(q_∞ ‖ G)",
        "`saturated` with the information",
    ),
    rows=("held_out",),
    needs=(DIAGONAL_POSTERIOR,),
)
def beyond_moments(split: Split) -> dict[str, Estimate]:
    replicate = split.replicate
    normal = gaussian(replicate.train)
    if normal is None:
        raise Refused(f"a covariance over D = {split.aggregate.latent_dim} does not fit in memory")
    lower, upper = bracket_beyond_moments(
        normal, split.z, replicate.unseen.log_aggregate, split.draws.log_aggregate, split.component
    )
    return {"kl_residual_lower": lower, "kl_residual_upper": upper}

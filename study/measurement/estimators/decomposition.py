"""Parts of KL(q_N ‖ p): moments, and what is beyond them."""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.moments import moment_split
from study.measurement.estimators import DIAGONAL_POSTERIOR, FACTORISED_PRIOR, Quantity, estimator
from study.measurement.replicate import Split


@estimator(
    Quantity(
        "kl_moments",
        "KL(G ‖ p), G the normal with the exact moments of q_N",
        "exact",
        limits="factorised normal prior; D that a D × D matrix allows",
    ),
    Quantity("kl_residual", "KL(q_N ‖ G) = E[log q_N(z) − log G(z)]", limits="as `kl_moments`"),
    needs=(FACTORISED_PRIOR, DIAGONAL_POSTERIOR),
)
def moments(split: Split) -> dict[str, Estimate]:
    parts = moment_split(split.aggregate, split.replicate.prior, split.z, split.draws)
    return {"kl_moments": parts.gaussian_kl, "kl_residual": parts.residual_kl}


@estimator(
    Quantity("kl_moments_diagonal", "the same with G factorised", "exact", limits="factorised normal prior"),
    needs=(FACTORISED_PRIOR, DIAGONAL_POSTERIOR),
)
def moments_diagonal(split: Split) -> Estimate:
    return moment_split(split.aggregate, split.replicate.prior, split.z, split.draws, diagonal=True).gaussian_kl

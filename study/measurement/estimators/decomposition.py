"""Parts of KL(q_N ‖ p): moments and what is beyond them, single dimensions and what is between them."""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.moments import moment_split
from analysis.total_correlation import DimensionwiseSplit, dimensionwise_split
from study.measurement.estimators import DIAGONAL_POSTERIOR, FACTORISED_PRIOR, Quantity, Refused, estimator, once
from study.measurement.replicate import Split

MARGINAL_DRAWS, ENOUGH_KERNELS, MOST_KERNELS = 50, 2**28, 2**32
"""Limits of the exact marginals, at N·D kernels per draw: the least draws that an estimate rests on, the kernels beyond
which no further draws are taken, and those beyond which there is no estimate."""


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


@once
def by_dimension(split: Split) -> DimensionwiseSplit:
    """The divergence by dimension, from as many draws as the budget of kernels allows.

    Raises Refused where even the fewest draws exceed it.
    """
    kernels = len(split) * split.aggregate.latent_dim
    num = min(len(split.z), max(MARGINAL_DRAWS, ENOUGH_KERNELS // kernels))
    if num * kernels > MOST_KERNELS:
        raise Refused("exact marginals at this N·D exceed the budget")
    return dimensionwise_split(split.aggregate, split.replicate.prior, split.z[:num], split.draws.first(num))


@estimator(
    Quantity(
        "total_correlation",
        "E[log q_N(z) − Σ_d log q_d(z_d)], exact marginals",
        limits="N·D·draws up to a budget, else refused",
    ),
    Quantity("kl_dimensionwise", "Σ_d KL(q_d ‖ p_d)", limits="as `total_correlation`"),
    needs=(FACTORISED_PRIOR, DIAGONAL_POSTERIOR),
)
def dimensions(split: Split) -> dict[str, Estimate]:
    parts = by_dimension(split)
    return {"total_correlation": parts.total_correlation, "kl_dimensionwise": parts.dimensionwise_kl}

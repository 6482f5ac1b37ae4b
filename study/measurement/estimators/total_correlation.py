"""Parts of KL(q_N ‖ p): single dimensions, and what is between them, the total correlation."""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.total_correlation import DimensionwiseSplit, dimensionwise_split
from study.measurement.estimators import DIAGONAL_POSTERIOR, FACTORISED_PRIOR, Quantity, Refused, estimator, once
from study.measurement.replicate import Split

MARGINAL_DRAWS, ENOUGH_KERNELS, MOST_KERNELS = 50, 2**28, 2**32
"""Limits of the exact marginals, at N·D kernels per draw: the least draws that an estimate rests on, the kernels beyond
which no further draws are taken, and those beyond which there is no estimate."""


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

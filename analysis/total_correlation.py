r"""Total correlation: the part of KL(q ‖ p) that no single latent dimension shows.

With the marginals q_d of the aggregate and a factorised prior p = Π_d p_d,

    KL(q ‖ p) = TC(q) + Σ_d KL(q_d ‖ p_d),        TC(q) = E_q[log q(z) − Σ_d log q_d(z_d)]

(Watanabe 1960; for aggregates of VAEs Chen et al. 2018, arXiv:1802.04942). The marginals of the mixture q_N are exact
one-dimensional mixtures, q_d(z_d) = (1/N) Σₙ N(z_d; μ_nd, σ_nd²), so the split holds draw by draw. All N components
enter: minibatch-weighted stand-ins for q_d are biased by up to log N per dimension.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from analysis.aggregate import Aggregate
from analysis.draws import ComponentDraws
from analysis.estimate import Estimate
from analysis.precision import to_float64

ELEMENTS_PER_BLOCK = 2**21  # kernels z × component × dimension in flight: small enough for a cache

LEAST_SUM = 1e-30  # below it may be kernels that single precision holds with fewer digits


@dataclass(frozen=True, slots=True)
class DimensionwiseSplit:
    """KL(q_N ‖ p) in nats as two parts.

    total_correlation: TC(q_N).
    dimensionwise_kl: Σ_d KL(q_d ‖ p_d).
    """

    total_correlation: Estimate
    dimensionwise_kl: Estimate


def dimensionwise_split(
    aggregate: Aggregate, prior: Distribution, z: Tensor, draws: ComponentDraws
) -> DimensionwiseSplit:
    """Split of KL(q_N ‖ p) into total correlation and marginals, by M·N·D kernel evaluations.

    Args:
        aggregate: q_N of N diagonal normals; its codes are in memory for this call.
        prior: p over the latent shape, factorised: ``Independent`` over a univariate distribution.
        z: draws of q_N, ``(M, *latent_shape)``.
        draws: their densities, in nats.

    Raises:
        ValueError: if the posteriors are not diagonal normals or the prior is not factorised.
    """
    codes = aggregate.bubbles()
    log_marginal = marginal_log_prob(codes.loc, codes.scale, z)
    log_prior = _factor_log_prob(prior, z)
    return DimensionwiseSplit(
        total_correlation=Estimate.mean(draws.log_aggregate - log_marginal.sum(-1), groups=draws.unit),
        dimensionwise_kl=Estimate.mean((log_marginal - log_prior).sum(-1), groups=draws.unit),
    )


def marginal_log_prob(loc: Tensor, scale: Tensor, z: Tensor) -> Tensor:
    """Log-densities ``(M, D)`` (nats, float64) of the exact marginals q_d.

    Args:
        loc: means of the N components, ``(N, *latent_shape)``.
        scale: their standard deviations, of the same shape.
        z: points, ``(M, *latent_shape)``.

    Differences and kernels are taken in the precision of the codes, and summed over components in float64. A point that
    all kernels of single precision miss, further than some 14 scales from every centre, is taken again in logarithms.
    """
    points, centres, scales = (tensor.detach().flatten(1) for tensor in (z, loc, scale))
    num_draws, num_components = len(points), len(centres)
    images = min(num_components, max(ELEMENTS_PER_BLOCK // num_draws, 1))
    dims = max(ELEMENTS_PER_BLOCK // (num_draws * images), 1)
    # Allocated once: columns kept between large temporaries would keep the heap from shrinking, by gigabytes.
    logs = torch.empty_like(points, dtype=torch.float64)
    parts = (tensor.split(dims, 1) for tensor in (points, centres, scales, logs))
    for point, centre, spread, column in zip(*parts, strict=True):
        total = torch.zeros_like(point, dtype=torch.float64)
        for mean, sd in zip(centre.split(images), spread.split(images), strict=True):
            kernel = (point[:, None] - mean).mul_(math.sqrt(0.5) / sd).square_().neg_().exp_().div_(sd)
            total += kernel.sum(1, dtype=torch.float64)
        missed = total < LEAST_SUM
        column.copy_(total.log())
        if bool(missed.any()):
            column[missed] = _in_logarithms(*(part.to(torch.float64) for part in (point, centre, spread)))[missed]
    return logs - math.log(num_components) - math.log(2 * math.pi) / 2


def _in_logarithms(point: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    """log Σₙ exp(−(z − μₙ)² / 2σₙ²) / σₙ ``(M, D)``, whatever the distance, in blocks of points."""
    rows = max(ELEMENTS_PER_BLOCK // centre.numel(), 1)
    return torch.cat(
        [(-((part[:, None] - centre) / spread).square() / 2 - spread.log()).logsumexp(1) for part in point.split(rows)]
    )


def _factor_log_prob(prior: Distribution, z: Tensor) -> Tensor:
    if not isinstance(prior, Independent) or prior.base_dist.event_shape or prior.batch_shape:
        raise ValueError(
            f"expected a factorised prior, Independent over a univariate distribution; got {prior}: "
            "its marginals are not known, use the KL without this split"
        )
    return to_float64(prior).base_dist.log_prob(z.to(torch.float64)).flatten(1)

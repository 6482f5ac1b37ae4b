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

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from analysis.aggregate import Aggregate
from analysis.compilation import njit
from analysis.draws import ComponentDraws
from analysis.estimate import Estimate
from analysis.pairwise.kernel import FAST_MATH, exp_float32
from analysis.precision import to_float64
from analysis.threads import in_threads

ELEMENTS_PER_BLOCK = 2**21  # kernels z × component × dimension in flight: small enough for a cache

COLUMNS, RUN = 256, 32
"""Dimensions of which the compiled kernel holds a block, and components that it adds up in single precision."""

LEAST_SUM = 1e-30  # below it may be kernels that single precision holds with fewer digits
FLUSHED = 2e-35  # where the exponential of single precision ends
RELATIVE = 1e-6  # of a sum, that may be of kernels which are flushed


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

    Differences and kernels are taken in the precision of the codes, and summed over components in float64, in single
    precision by a compiled kernel, which adds up ``RUN`` of them before. A point that all kernels of single precision
    miss, further than some 14 scales from every centre, is taken again in logarithms.
    """
    points, centres, scales = (tensor.detach().flatten(1) for tensor in (z, loc, scale))
    compiled = points.dtype == torch.float32 and points.device.type == "cpu"
    totals = (_compiled_sums if compiled else _sums)(points, centres, scales)
    logs = totals.log()
    # Kernels that are flushed leave FLUSHED over their scale each, which must not count beside those that are not.
    least = (len(centres) * FLUSHED / RELATIVE / scales.double().amin(0)).clamp(min=LEAST_SUM)
    for dim in (totals < least).any(0).nonzero()[:, 0].tolist():
        column = slice(dim, dim + 1)
        few = totals[:, dim] < least[dim]
        logs[few, column] = _in_logarithms(
            points[few, column].double(), centres[:, column].double(), scales[:, column].double()
        )
    return logs - math.log(len(centres)) - math.log(2 * math.pi) / 2


def _sums(points: Tensor, centres: Tensor, scales: Tensor) -> Tensor:
    """Σₙ exp(−(z − μₙ)² / 2σₙ²) / σₙ ``(M, D)``, float64, in blocks of kernels."""
    num_draws, num_components = len(points), len(centres)
    images = min(num_components, max(ELEMENTS_PER_BLOCK // num_draws, 1))
    dims = max(ELEMENTS_PER_BLOCK // (num_draws * images), 1)
    # Allocated once: columns kept between large temporaries would keep the heap from shrinking, by gigabytes.
    totals = torch.zeros_like(points, dtype=torch.float64)
    parts = (tensor.split(dims, 1) for tensor in (points, centres, scales, totals))
    for point, centre, spread, total in zip(*parts, strict=True):
        for mean, sd in zip(centre.split(images), spread.split(images), strict=True):
            kernel = (point[:, None] - mean).mul_(math.sqrt(0.5) / sd).square_().neg_().exp_().div_(sd)
            total.add_(kernel.sum(1, dtype=torch.float64))
    return totals


def _compiled_sums(points: Tensor, centres: Tensor, scales: Tensor) -> Tensor:
    """The same of float32 on the CPU; threads share the dimensions."""
    totals = torch.zeros_like(points, dtype=torch.float64)
    arrays = [tensor.contiguous().numpy() for tensor in (points, centres, scales, totals)]
    tasks = iter(range(0, points.shape[1], COLUMNS))

    def work(_thread: int) -> None:
        for first in tasks:
            _add_kernels(*(array[:, first : first + COLUMNS] for array in arrays))

    in_threads(work)
    return totals


@njit(nogil=True, cache=True, fastmath=FAST_MATH)
def _add_kernels(points: np.ndarray, centres: np.ndarray, scales: np.ndarray, totals: np.ndarray) -> None:
    """Adds the kernels of all components to ``totals`` ``(M, W)``, W columns at a time, which the cache holds."""
    width = points.shape[1]
    inverse, centre = np.empty((RUN, width), np.float32), np.empty((RUN, width), np.float32)
    point, part = np.empty(width, np.float32), np.empty(width, np.float32)
    for first in range(0, len(centres), RUN):
        count = min(RUN, len(centres) - first)
        for n in range(count):
            for d in range(width):
                inverse[n, d] = np.float32(1.0) / scales[first + n, d]
                centre[n, d] = centres[first + n, d]
        for m in range(len(points)):
            for d in range(width):
                point[d] = points[m, d]
                part[d] = np.float32(0.0)
            for n in range(count):
                for d in range(width):
                    t = (point[d] - centre[n, d]) * inverse[n, d]
                    part[d] += exp_float32(np.float32(-0.5) * t * t) * inverse[n, d]
            for d in range(width):
                totals[m, d] += part[d]


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

r"""Dimensions and observations one by one: where the mismatch sits, and what an effective β would explain.

With m_d and v_d mean and variance of the aggregate in dimension d, and m₀, s₀² those of a factorised normal prior,

    KL by mean = ½ (m_d − m₀)²/s₀²,    KL by variance = ½ (v_d/s₀² − 1 − ln v_d/s₀²),    rate_d = Eₓ KL(q(z_d|x) ‖ p_d).

**Effective β.** At an optimum of −‖x − g(z)‖²/2s² − β KL the posterior's precision is that of Laplace,
σ_d⁻² = 1 + ‖J e_d‖²/(β s²), J the Jacobian of g (Dai & Wipf 2019, arXiv:1903.05789, section 3), so that

    β s² = E‖J e_d‖² σ_d² / E(1 − σ_d²),        and over the mean squared error of a pixel, for s²: β.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from analysis.aggregate import DiagonalAggregate
from analysis.estimate import Estimate
from analysis.gain import squared_gain
from analysis.tree import Records
from study.measurement.encoding import decode
from study.measurement.estimators import DECODER, FACTORISED_PRIOR
from study.measurement.replicate import Replicate

OUTLIERS = 10
PROBED, DRAWS = 8, 200
"""Dimensions, the most used ones, along which the decoder's gain is taken, and draws of each."""


class _Pass(NamedTuple):
    """Results of one pass over the codes: rate by dimension ``(D,)`` and by observation ``(N,)``, nats."""

    by_dimension: Tensor
    by_observation: Tensor


def dimension_records(replicate: Replicate, numbers: Tensor) -> dict[str, Records]:
    """Groups ``dimensions`` and ``outliers``; none where posteriors are no diagonal normals or p no factorised one.

    Args:
        replicate: the model.
        numbers: its owner's number of each training observation, int64 ``(N,)``.
    """
    split = replicate.train
    aggregate = split.aggregate
    if not isinstance(aggregate, DiagonalAggregate) or not FACTORISED_PRIOR.holds(split):
        return {}
    prior = replicate.prior
    assert isinstance(prior, Independent)
    assert isinstance(prior.base_dist, Normal)
    loc, scale = (
        part.expand(aggregate.latent_shape).flatten().double() for part in (prior.base_dist.loc, prior.base_dist.scale)
    )
    rates = _rates(aggregate, loc, scale)
    ratio = aggregate.marginal_variance / scale.square()
    within = aggregate.marginal_variance - between(aggregate)
    most = rates.by_observation.argsort(descending=True)[:OUTLIERS]
    dimensions = {
        "mean": aggregate.mean,
        "variance": aggregate.marginal_variance,
        "variance_within": within,
        "rate": rates.by_dimension,
        "kl_mean": (aggregate.mean - loc).square() / scale.square() / 2,
        "kl_variance": (ratio - 1 - ratio.log()) / 2,
    }
    outliers = {"row": numbers[most.to(numbers.device)], "rate": rates.by_observation[most]}
    return {
        "dimensions": Records({name: (("dimension",), values) for name, values in dimensions.items()}),
        "outliers": Records({name: (("outlier",), values) for name, values in outliers.items()}),
    }


def between(aggregate: DiagonalAggregate) -> Tensor:
    """Variance ``(D,)`` of the means, float64."""
    total = torch.zeros(aggregate.latent_dim, dtype=torch.float64, device=aggregate.device)
    for loc, _ in aggregate.codes.blocks():
        for part in loc.split(max(1, 2**22 // aggregate.latent_dim)):
            total += (part.double() - aggregate.mean).square().sum(0)
    return total / aggregate.num_components


def _rates(aggregate: DiagonalAggregate, prior_loc: Tensor, prior_scale: Tensor) -> _Pass:
    total, rows = torch.zeros_like(prior_loc), []
    for block in aggregate.codes.blocks():
        for loc, scale in zip(*(part.split(max(1, 2**22 // aggregate.latent_dim)) for part in block), strict=True):
            variance = (scale.double() / prior_scale).square()
            kl = ((loc.double() - prior_loc).square() / prior_scale.square() + variance - 1 - variance.log()) / 2
            total += kl.sum(0)
            rows.append(kl.sum(1))
    return _Pass(total / aggregate.num_components, torch.cat(rows))


def weight(replicate: Replicate) -> Estimate:
    """β s² in squared pixel values, see the module; refused where it is not defined."""
    split = replicate.train
    if not isinstance(split.aggregate, DiagonalAggregate) or not DECODER.holds(split):
        return Estimate.refused("needs a decoder and diagonal normal posteriors", len(split))
    z, component = split.z[:DRAWS], split.component[:DRAWS]
    variance = split.aggregate.subset(component).component_moments().scale.flatten(1).double().square()
    used = variance.mean(0).argsort()[:PROBED]
    try:
        gains = _gains(replicate, z, used.tolist())
    except NotImplementedError:
        return Estimate.refused("an operation of the decoder has no derivative in forward mode", len(split))
    above = (gains * variance[:, used]).mean(1)
    below = (1 - variance[:, used]).mean(1)
    if not float(below.mean()) > 0:
        return Estimate.refused("no dimension has a posterior narrower than the prior", len(z))
    value = float(above.mean() / below.mean())
    residual = (above - value * below) / below.mean()
    error = float(residual.std()) / math.sqrt(len(z))
    return Estimate(value, error, len(z), len(z), "consistent", ("a local approximation",))


def _gains(replicate: Replicate, z: Tensor, dimensions: list[int]) -> Tensor:
    """‖J(z) e_d‖² ``(M, len(dimensions))`` of draws ``z`` ``(M, *latent_shape)``, squared pixel values."""
    gains = []
    for d in dimensions:
        direction = torch.zeros(z[0].numel(), dtype=z.dtype, device=z.device)
        direction[d] = 1
        along = direction.reshape(z.shape[1:])
        gains.append(squared_gain(lambda latents: decode(replicate.vae, latents), z, along))
    return torch.stack(gains, 1)

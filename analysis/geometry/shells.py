r"""Shells: where the norms of draws concentrate, and how far two densities' typical sets overlap.

Under N(0, I), ‖z‖² is χ²_D: mean D, standard deviation √(2D), so that ‖z‖ lies within about 0.7 of √D at any large D.
The aggregate of a trained model has E μ² + E σ² ≈ 1 per dimension and hence the same shell; the statistics here say
how well norms tell the two apart, against the log-ratio, which tells them apart best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.special import chdtr
from torch import Tensor

from analysis.divergence import area_under_curve
from analysis.estimate import Estimate
from analysis.geometry.distances import flat

KOLMOGOROV_95 = 1.3581  # critical value of √n times the distance (Kolmogorov 1933)


@dataclass(frozen=True, slots=True)
class Shell:
    """Radius around which norms concentrate.

    mean_square: E‖z‖²/D.
    norm_mean: E‖z‖.
    norm_sd: standard deviation of ‖z‖.
    """

    mean_square: Estimate
    norm_mean: Estimate
    norm_sd: Estimate


def shell(z: Tensor, units: Tensor | None = None) -> Shell:
    """Shell of draws.

    Args:
        z: ``(M, *latent)``.
        units: integer label ``(M,)`` that draws of one image share; by default each draw is a unit.
    """
    rows = flat(z)
    norm = rows.norm(dim=1)
    variance = Estimate.mean((norm - norm.mean()).square(), groups=units)
    sd = math.sqrt(variance.value)
    spread = (
        Estimate(sd, variance.standard_error / (2 * sd), variance.n, variance.num_draws, "consistent") if sd else None
    )
    return Shell(
        mean_square=Estimate.mean(rows.square().mean(1), groups=units),
        norm_mean=Estimate.mean(norm, groups=units),
        norm_sd=spread or Estimate.refused("all norms are equal, as is that of a single draw", variance.n),
    )


def squared_norm_ks(z: Tensor, units: Tensor | None = None) -> Estimate:
    """Kolmogorov–Smirnov distance of ‖z‖² from the exact χ²_D of N(0, I).

    Upper in expectation. The standard error is that of the empirical distribution at the point of largest distance,
    the first-order error where the laws differ (Raghavachari 1973); flagged where it is within sampling error of 0.

    Args:
        z: draws, ``(M, *latent)``.
        units: integer label ``(M,)`` that draws of one image share; by default each draw is a unit.
    """
    squared = flat(z).square().sum(1)
    exact = torch.from_numpy(chdtr(z[0].numel(), squared.cpu().numpy())).to(squared)
    above = _distribution(squared, squared, right=True) - exact
    below = exact - _distribution(squared, squared, right=False)
    if above.max() >= below.max():
        distance, indicator = above.max(), squared <= squared[above.argmax()]
    else:
        distance, indicator = below.max(), squared < squared[below.argmax()]
    return _ks_estimate(distance, [Estimate.mean(indicator, groups=units)])


def norm_ks(z: Tensor, prior_z: Tensor, units: Tensor | None = None) -> Estimate:
    """Two-sample Kolmogorov–Smirnov distance of ‖z‖; bound, error and flag as in :func:`squared_norm_ks`.

    Args:
        z: draws of the aggregate, ``(M, *latent)``.
        prior_z: draws of any prior, ``(K, *latent)``.
        units: integer label ``(M,)`` that draws of one image share; by default each draw is a unit.
    """
    norm, prior_norm = flat(z).norm(dim=1), flat(prior_z).norm(dim=1)
    both = torch.cat([norm, prior_norm])
    gap = _distribution(norm, both, right=True) - _distribution(prior_norm, both, right=True)
    distance, at = gap.abs().max(0)
    sides = [Estimate.mean(norm <= both[at], groups=units), Estimate.mean(prior_norm <= both[at])]
    return _ks_estimate(distance, sides)


def norm_auc(z: Tensor, prior_z: Tensor, units: Tensor | None = None) -> Estimate:
    """AUC of ‖z‖ between draws of the aggregate and of the prior: ½ where the shells coincide.

    Args:
        z: draws of the aggregate, ``(M, *latent)``.
        prior_z: draws of the prior, ``(K, *latent)``.
        units: integer label ``(M,)`` that draws of one image share; by default each draw is a unit.
    """
    return area_under_curve(flat(z).norm(dim=1), flat(prior_z).norm(dim=1), units)


def typical_set_mass(log_density_at_p: Tensor, log_density_at_q: Tensor, units: Tensor | None = None) -> Estimate:
    """Mass that a density q gives to the typical set of p, in [0, 1].

    The typical set is where log p(z) lies in its central 95 % under p. The error is that of the mass of the set, not
    of its edges.

    Args:
        log_density_at_p: log p at draws of p, ``(K,)`` in nats.
        log_density_at_q: log p at draws of q, ``(M,)`` in nats.
        units: integer label ``(M,)`` that draws of one image share; by default each draw is a unit.
    """
    edges = torch.tensor([0.025, 0.975], dtype=log_density_at_p.dtype, device=log_density_at_p.device)
    low, high = torch.quantile(log_density_at_p, edges)
    return Estimate.mean((low <= log_density_at_q) & (log_density_at_q <= high), groups=units)


def _distribution(sample: Tensor, at: Tensor, right: bool) -> Tensor:
    """Empirical distribution function P(sample ≤ at), or P(sample < at) from the left."""
    return torch.searchsorted(sample.sort().values, at, right=right).to(torch.float64) / len(sample)


def _ks_estimate(distance: Tensor, sides: list[Estimate]) -> Estimate:
    estimate = Estimate(
        float(distance),
        math.hypot(*(side.standard_error for side in sides)),
        min(side.n for side in sides),
        sum(side.num_draws for side in sides),
        "upper",
    )
    critical = KOLMOGOROV_95 * math.sqrt(sum(1 / side.n for side in sides))
    return estimate.flagged("within sampling error of 0") if estimate.value < critical else estimate

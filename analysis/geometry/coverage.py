r"""Coverage: how much of the prior's mass lies in the bubbles of N images.

Two sets can stand for "the bubble of image n", and they disagree in high dimension:

* the *ball* {z: ‖(z − μₙ)/σₙ‖² ≤ χ²_D(0.95)}, the region most draws of q(z|xₙ) fall in. Its radius grows with D, so
  at a fixed rate it comes to hold most of the prior as well: within a bubble's radius is not typical of the bubble;
* the *ratio set* {z: tₙ(z) ≥ E tₙ − 1.645 sd tₙ}, tₙ = log q(z|xₙ) − log p(z): the smallest prior mass that holds
  95 % of q(z|xₙ) (Neyman & Pearson 1933), up to the normal approximation of tₙ, which is exact for σ = 1. For
  p = N(0, I), E tₙ = KLₙ and Var tₙ = Σ_d [½(σ² − 1)² + μ²σ²]. Its prior mass is at most e^{−KLₙ + 1.645 sd tₙ}.

The soft-covering heuristic min(1, N e^{−R}) follows from the second: it is R against log N that decides, not D.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from scipy.special import gammaincinv, ndtri
from torch import Tensor

from analysis.estimate import Estimate
from analysis.geometry.distances import flat, nearest, squared_distance_blocks
from analysis.information import kl_standard_normal

BUBBLE_MASS = 0.95
NORMAL_QUANTILE = float(ndtri(BUBBLE_MASS))


def ball_coverage(prior_z: Tensor, loc: Tensor, scale: Tensor) -> Estimate:
    """Fraction of prior draws in the 95 % ball of a bubble.

    Args:
        prior_z: draws of the prior, ``(M, *latent)``.
        loc: centres μ of the bubbles, ``(N, *latent)``.
        scale: their standard deviations σ, of the same shape.
    """
    points = flat(prior_z)
    radius_squared = float(2 * gammaincinv(points.shape[1] / 2, BUBBLE_MASS))
    covered = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    for _, squared in squared_distance_blocks(points, loc, scale):
        covered |= (squared <= radius_squared).any(0)
    return Estimate.mean(covered)


def ratio_coverage(prior_z: Tensor, loc: Tensor, scale: Tensor) -> Estimate:
    """Fraction of draws of N(0, I) in the ratio set of a bubble.

    Args:
        prior_z: draws of N(0, I), ``(M, *latent)``.
        loc: centres μ of the bubbles, ``(N, *latent)``.
        scale: their standard deviations σ, of the same shape.
    """
    points = flat(prior_z)
    half_squares = points.square().sum(1) / 2
    covered = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    for block, squared in squared_distance_blocks(points, loc, scale):
        centres, spread = flat(loc[block]), flat(scale[block])
        log_ratio = half_squares - squared / 2 - spread.log().sum(1, keepdim=True)
        mean = kl_standard_normal(centres, spread).sum(1, keepdim=True)
        variance = ((spread.square() - 1).square() / 2 + (centres * spread).square()).sum(1, keepdim=True)
        covered |= (log_ratio >= mean - NORMAL_QUANTILE * variance.sqrt()).any(0)
    return Estimate.mean(covered)


def soft_covering(rate: Estimate, num_components: int) -> Estimate:
    """Heuristic min(1, N e^{−R}), its standard error by the delta method.

    Args:
        rate: R in nats.
        num_components: N.
    """
    excess = math.log(num_components) - rate.value
    value = math.exp(min(0.0, excess))
    error = value * rate.standard_error if excess < 0 else 0.0
    return replace(rate, value=value, standard_error=error, bound="consistent")


def nearest_centre_distance(z: Tensor, loc: Tensor) -> Tensor:
    """Distance ``(M,)`` from each draw ``z`` ``(M, *latent)`` to the nearest centre ``loc`` ``(N, *latent)``."""
    return nearest(z, loc)[0][:, 0]

r"""Overlap of one bubble N(μ, diag σ²) with the prior N(0, I), image by image.

    TV(N(μ, I), N(0, I)) = 2Φ(‖μ‖/2) − 1                                           (a function of ‖μ‖ alone, never of D)
    ln BC = ½ Σ_d ln(2σ_d/(1 + σ_d²)) − ¼ Σ_d μ_d²/(1 + σ_d²)
    TV(N(μ, diag σ²), p) = E_q[(1 − p/q)₊]                                         (by Monte Carlo)

Dimensions with μ = 0 and σ = 1 add a factor 1 to p/q: they change none of these at any number.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from analysis.geometry.distances import flat

ROWS = 128
"""Images at a time, so that temporaries stay in a cache."""


def unit_total_variation(loc: Tensor) -> Tensor:
    """Exact TV ``(N,)`` between N(μ, I) and N(0, I) for centres ``loc`` ``(N, *latent)``."""
    return torch.erf(flat(loc).norm(dim=1) / (2 * math.sqrt(2)))


def log_bhattacharyya(loc: Tensor, scale: Tensor) -> Tensor:
    """Exact log Bhattacharyya coefficient ``(N,)`` (nats) between N(μ, diag σ²) and N(0, I).

    Args:
        loc: means μ, ``(N, *latent)``.
        scale: standard deviations σ, of the same shape.
    """
    logs = []
    for few, widths in zip(loc.split(ROWS), scale.split(ROWS), strict=True):
        centres, variance = flat(few), flat(widths).square()
        # 2σ/(1 + σ²) = 1 − (1 − σ)²/(1 + σ²) keeps its digits near σ = 1.
        narrowing = torch.log1p(-(1 - flat(widths)).square() / (1 + variance))
        logs.append((narrowing / 2 - centres.square() / (4 * (1 + variance))).sum(1))
    return torch.cat(logs)


def total_variation_integrands(loc: Tensor, scale: Tensor, num_draws: int, generator: Generator) -> Tensor:
    """Integrands (1 − p/q)₊ ``(num_draws, N)`` in [0, 1], whose mean over draws is unbiased for each image's TV.

    Args:
        loc: means μ, ``(N, *latent)``.
        scale: standard deviations σ, of the same shape.
        num_draws: of each image.
        generator: the whole of the randomness.
    """
    centres, spread = flat(loc), flat(scale)
    log_volume = spread.log().sum(1)
    integrands = []
    for _ in range(num_draws):
        noise = torch.randn(centres.shape, generator=generator, device=generator.device, dtype=torch.float64)
        noise = noise.to(centres.device)
        z = centres + spread * noise
        # ln(p/q) is differenced per dimension: each half is of order D, their difference of order the rate.
        log_inverse_ratio = log_volume + ((noise - z) * (noise + z)).sum(1) / 2
        integrands.append(-torch.expm1(log_inverse_ratio.clamp(max=0.0)))
    return torch.stack(integrands)

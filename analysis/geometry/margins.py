r"""Margins between centres: how much noise a code bears before it is nearer another image's.

Adding s·ε, ε ~ N(0, I), to μᵢ brings it nearer to μⱼ with probability exactly Φ(−‖μᵢ − μⱼ‖/2s), in any dimension:
what counts is the half-distance, or margin, against s. A nearest-centre classifier changes the label only where some
centre of another label is nearer than μᵢ, hence the union bound

    P(label flips) ≤ min(1, Σ_{j: yⱼ ≠ yᵢ} Φ(−‖μᵢ − μⱼ‖/2s)).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from analysis.estimate import Estimate
from analysis.geometry.distances import flat, nearest, squared_distance_blocks


def nearest_margins(loc: Tensor) -> Tensor:
    """Half the distance ``(N,)`` from each centre ``loc`` ``(N, *latent)`` to its nearest neighbour."""
    return nearest(loc, loc, exclude=torch.arange(len(loc), device=loc.device))[0][:, 0] / 2


def label_flip_bounds(loc: Tensor, labels: Tensor, noise_scales: Sequence[float]) -> list[Estimate]:
    """Union bounds on the label-flip rates under noise s·ε, one for each s, from one pass over pairs of centres.

    The mean over images of each image's bound; a probability is at most 1, and so is the bound of each image.

    Args:
        loc: centres μ, ``(N, *latent)``.
        labels: of the images, int64 ``(N,)``.
        noise_scales: s, in units of the latent.
    """
    points = flat(loc)
    unions = torch.zeros(len(noise_scales), len(points), dtype=torch.float64, device=points.device)
    for block, squared in squared_distance_blocks(points, loc):
        margins, others = squared.clamp(min=0.0).sqrt() / 2, labels[block, None] != labels
        unions += torch.stack([(torch.special.ndtr(-margins / scale) * others).sum(0) for scale in noise_scales])
    return [Estimate.mean(union, "upper") for union in unions.clamp(max=1.0)]


def label_flip_rate(loc: Tensor, labels: Tensor, noise_scale: float, num_draws: int, generator: Generator) -> Estimate:
    """Rate at which the centre nearest to μᵢ + s·ε has another label.

    Args:
        loc: centres μ, ``(N, *latent)``.
        labels: of the images, int64 ``(N,)``.
        noise_scale: s, in units of the latent.
        num_draws: of ε for each image.
        generator: of ε.
    """
    flips = []
    for _ in range(num_draws):
        noise = torch.randn(loc.shape, generator=generator, device=generator.device, dtype=torch.float64)
        neighbour = nearest(loc.to(torch.float64) + noise_scale * noise.to(loc.device), loc)[1][:, 0]
        flips.append(labels[neighbour] != labels)
    return Estimate.mean(torch.stack(flips), groups=torch.arange(len(loc), device=loc.device).expand(num_draws, -1))

r"""Aggregate kernel: the exact aggregate posterior of the training images with all its scales widened by one factor.

    r_h(z) = (1/N) Σₙ N(z; μₙ, h² diag σ²ₙ)

r_1 is q_N itself: it decodes to the training images. A bandwidth h > 1 trades its bubbles for a smoother density, as in
a kernel density estimate (Parzen 1962) whose kernels are the posteriors; h is the one of highest held-out score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final, override

import torch
from torch import Tensor

from analysis.aggregate import NOT_DIAGONAL, Aggregate, DiagonalAggregate, InMemoryCodes
from analysis.density_fits._base import Codes, Density, DensityFit, DensityRefused, flag_at_end
from analysis.options import Factors

LOGS_AT_ONCE = 2**24
"""Log-densities of points under bubbles that are in memory at a time, 128 MiB."""

MOST_LOGS = 2**29
"""Log-densities of points under bubbles by which a bandwidth is chosen at most, a minute of one core: of a million
bubbles it is chosen on 536 held-out codes."""


@dataclass(frozen=True, eq=False)
class WidenedAggregate(Density):
    """r_h as an aggregate posterior of widened scales."""

    aggregate: Aggregate

    @override
    def log_prob(self, z: Tensor) -> Tensor:
        """Log r_h(z), exact."""
        return self.aggregate.log_prob(z)

    @override
    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """Draws of N(μₙ, h²σ²ₙ) for images n drawn with replacement."""
        return self.aggregate.sample(num, generator)[0]

    @override
    def normals(self) -> dict[str, Tensor]:
        """One normal per image."""
        codes = self.aggregate.bubbles()
        weights = torch.full((len(codes),), 1 / len(codes), dtype=torch.float64, device=codes.device)
        return {"weights": weights, "loc": codes.loc.flatten(1), "scale": codes.scale.flatten(1)}


@final
class AggregateKernel(DensityFit):
    """Aggregate posterior of diagonal normal posteriors, widened by the factor of highest held-out score.

    bandwidths: the factors h to choose from.
    """

    reference = "Hoffman & Johnson 2016, ELBO surgery; bandwidth: Parzen 1962, doi:10.1214/aoms/1177704472"
    repeats_training_images = True

    def __init__(self, *, bandwidths: Factors = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0)) -> None:
        self.bandwidths = bandwidths

    @override
    def fit_vectors(self, codes: Codes, choice: Codes, generator: torch.Generator) -> WidenedAggregate:
        """r_h with h of the highest mean log-density on ``choice``, or on its first where all would take too long."""
        if codes.aggregate is not None and not codes.aggregate.is_diagonal:
            raise DensityRefused(NOT_DIAGONAL)
        points = choice.z[: max(MOST_LOGS // len(codes), 1)]
        scores = bandwidth_scores(codes, points, self.bandwidths)
        best = max(scores, key=scores.__getitem__)
        widened = DiagonalAggregate(InMemoryCodes(codes.loc, best * codes.scale))
        flags = flag_at_end("bandwidth", best, self.bandwidths)
        if len(points) < len(choice):
            flags += (f"bandwidth chosen on {len(points):,} of {len(choice):,} codes",)
        return WidenedAggregate(widened, choices={"bandwidth": best}, flags=flags)


def bandwidth_scores(codes: Codes, z: Tensor, bandwidths: Factors) -> dict[float, float]:
    """Mean (nats) of log r_h + log N over points, by bandwidth h.

    Args:
        codes: of the N images, flattened, ``(N, D)``.
        z: points ``(M, D)``.
        bandwidths: the factors h.

    One pass over the codes serves all: log N(z; μₙ, h² diag σₙ²) = (log N(z; μₙ, diag σₙ²) + cₙ)/h² − cₙ − D ln h with
    cₙ = Σ_d ln σ_nd + ½ D ln 2π.
    """
    aggregate = DiagonalAggregate(InMemoryCodes(codes.loc, codes.scale))
    dim = aggregate.latent_dim
    constants = codes.scale.double().log().sum(1) + dim * math.log(2 * math.pi) / 2
    totals = dict.fromkeys(bandwidths, 0.0)
    for points in z.split(max(1, LOGS_AT_ONCE // len(codes))):
        halves = aggregate.log_prob_each(points) + constants
        for bandwidth in totals:
            logs = halves / bandwidth**2 - constants
            totals[bandwidth] += float(logs.logsumexp(1).sum()) - len(points) * dim * math.log(bandwidth)
    return {bandwidth: total / len(z) for bandwidth, total in totals.items()}

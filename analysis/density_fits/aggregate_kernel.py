r"""Aggregate kernel: the exact aggregate posterior of the training images with all its scales widened by one factor.

    r_h(z) = (1/N) Σₙ N(z; μₙ, h² diag σ²ₙ)

r_1 is q_N itself: it decodes to the training images. A bandwidth h > 1 trades its bubbles for a smoother density, as in
a kernel density estimate (Parzen 1962) whose kernels are the posteriors; h is the one of highest held-out score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final, override

import torch
from torch import Tensor

from analysis.aggregate import Aggregate, DiagonalAggregate, InMemoryCodes
from analysis.density_fits._base import Codes, Density, DensityFit, flag_at_end
from analysis.options import Factors


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


@final
class AggregateKernel(DensityFit):
    """Aggregate posterior with its bubbles widened by the factor of highest held-out score.

    bandwidths: the factors h to choose from.
    """

    reference = "Hoffman & Johnson 2016, ELBO surgery; bandwidth: Parzen 1962, doi:10.1214/aoms/1177704472"
    repeats_training_images = True

    def __init__(self, *, bandwidths: Factors = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0)) -> None:
        self.bandwidths = bandwidths

    @override
    def fit_vectors(self, codes: Codes, choice: Codes, generator: torch.Generator) -> WidenedAggregate:
        """r_h with h of the highest mean log-density on ``choice``."""

        def widened(bandwidth: float) -> Aggregate:
            return DiagonalAggregate(InMemoryCodes(codes.loc, bandwidth * codes.scale))

        scores = {bandwidth: float(widened(bandwidth).log_prob(choice.z).mean()) for bandwidth in self.bandwidths}
        best = max(scores, key=scores.__getitem__)
        flags = flag_at_end("bandwidth", best, self.bandwidths)
        return WidenedAggregate(widened(best), choices={"bandwidth": best}, flags=flags)

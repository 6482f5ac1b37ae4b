r"""DIP-VAE: the ELBO with a penalty that draws the covariance of the codes to the identity.

    loss = −ELBO + λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)²
    I:  C = Cov(μ(x)),      II:  C = Cov(μ(x)) + E diag σ²(x), the covariance of the aggregate posterior

over the images of the batch (divisor B). Σ_{i≠j} C_ij² = ‖Cov(μ)‖_F² − Σ_i Cov(μ)_ii², and ‖AᵀA‖_F = ‖AAᵀ‖_F: the
D × D covariance is never formed, and the price is B² D. It is a training signal: where μ(x) has unit variances and no
true correlations, those of B images leave about D²/B in the sum. Measurement takes the exact covariance.

Variant I needs the posterior's mean in closed form; variant II one that factorises over dimensions.
"""

from __future__ import annotations

from typing import Literal, final, override

import torch
from torch import Tensor

from models.objectives._base import Objective
from models.objectives._pair import Latent, Pair
from models.options import NonNegative


@final
class DIP(Objective):
    """ELBO with a penalty that draws the covariance of the codes to the identity.

    variant: which covariance C is penalised, I or II.
    off_diagonal, diagonal: λ_od and λ_d, in nats.
    """

    reference = "Kumar et al. 2018, arXiv:1711.00848"

    def __init__(
        self, *, variant: Literal["I", "II"] = "II", off_diagonal: NonNegative = 10.0, diagonal: NonNegative = 10.0
    ) -> None:
        self.variant = variant
        self.off_diagonal = off_diagonal
        self.diagonal = diagonal
        self.needs_factorised = variant == "II"

    @override
    def loss(self, pair: Pair) -> Tensor:
        penalty = torch.stack([site.weigh(self._penalty(site).expand_as(site.term)) for site in pair.latents]).sum(0)
        return (pair.distortion + pair.rate + penalty).mean()

    def _penalty(self, site: Latent) -> Tensor:
        loc = site.q.mean.flatten(1)
        centred = loc - loc.mean(0)
        variance = centred.square().mean(0)
        within = site.q.variance.flatten(1).mean(0) if self.variant == "II" else torch.zeros_like(variance)
        # A difference of sums of squares: from bf16 products nothing of it would be left.
        with torch.autocast(loc.device.type, enabled=False):
            off_diagonal = (centred @ centred.T / len(loc)).square().sum() - variance.square().sum()
        return self.off_diagonal * off_diagonal + self.diagonal * (variance + within - 1).square().sum()

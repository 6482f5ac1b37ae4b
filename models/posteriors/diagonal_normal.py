r"""Diagonal normal posterior: q(z|x) = N(z; μ(x), diag σ²(x)), drawn as z = μ + σ ε with ε ~ N(0, I)."""

from __future__ import annotations

from typing import final, override

from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.nn.functional import softplus

from models.context import Context
from models.distributions import Normal
from models.posteriors._base import UNIT, Posterior


@final
class DiagonalNormal(Posterior):
    """N(μ(x), diag σ²(x)), both from one encoder."""

    reference = "Kingma & Welling 2014, arXiv:1312.6114"
    factorised = True

    def __init__(self, context: Context, *, min_scale: float = 1e-4) -> None:
        super().__init__(context)
        if min_scale <= 0:
            raise ValueError(f"posterior.min_scale must be positive; got {min_scale}")
        self.encoder = context.network.encoder(context, outputs=2)
        self.min_scale = min_scale

    @override
    def forward(self, images: Tensor) -> TorchDistribution:
        loc, raw = self.encode(images)
        return Normal(loc, softplus(raw + UNIT) + self.min_scale).to_event(len(self.latent_shape))

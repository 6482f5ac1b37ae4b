r"""Diagonal normal posterior: q(z|x) = N(z; μ(x), diag σ²(x)), drawn as z = μ + σ ε with ε ~ N(0, I)."""

from __future__ import annotations

from typing import final, override

from pyro.distributions import TorchDistribution
from torch import Tensor

from models.context import Context
from models.distributions import Normal
from models.options import Positive
from models.positive import positive
from models.posteriors._base import Posterior


@final
class DiagonalNormal(Posterior):
    """N(μ(x), diag σ²(x)), both from one encoder.

    context: shapes and network.
    min_scale: floor of σ, in units of the latent.
    """

    reference = "Kingma & Welling 2014, arXiv:1312.6114"
    factorised = True

    def __init__(self, context: Context, *, min_scale: Positive = 1e-4) -> None:
        super().__init__(context)
        self.encoder = context.network.encoder(context.shapes, outputs=2)
        self.min_scale = min_scale

    @override
    def forward(self, images: Tensor) -> TorchDistribution:
        loc, raw = self.encode(images)
        return Normal(loc, positive(raw, self.min_scale)).to_event(len(self.latent_shape))

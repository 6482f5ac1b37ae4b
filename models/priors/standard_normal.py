r"""Standard normal prior: p(z) = N(z; 0, I), with KL(N(μ, diag σ²) ‖ p) = ½ Σ_d (μ_d² + σ_d² − 1 − ln σ_d²)."""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from models import distributions
from models.context import Context
from models.priors._base import Prior


@final
class StandardNormal(Prior):
    """N(0, I) over the latent shape; no parameters.

    context: shapes.
    """

    reference = "Kingma & Welling 2014, arXiv:1312.6114"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.loc: Tensor
        self.scale: Tensor
        self.register_buffer("loc", torch.zeros(context.latent_shape), persistent=False)
        self.register_buffer("scale", torch.ones(context.latent_shape), persistent=False)

    @override
    def forward(self) -> TorchDistribution:
        return distributions.StandardNormal(self.loc, self.scale).to_event(len(self.latent_shape))

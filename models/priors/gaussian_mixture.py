r"""Learned Gaussian mixture prior: p(z) = Σ_k w_k N(z; m_k, diag s_k²), with w, m, s trained with the networks."""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import nn

from models.context import Context
from models.distributions import NormalMixture
from models.options import Count, Positive
from models.positive import positive
from models.priors._base import MIN_SCALE, Prior, check_memory


@final
class GaussianMixturePrior(Prior):
    """Learned mixture of diagonal normals; scales start at 1 and weights equal.

    context: shapes.
    components: K.
    spread: standard deviation of the normal draws at which the means start.
    """

    reference = "Dilokthanakul et al. 2016, arXiv:1611.02648"

    def __init__(self, context: Context, *, components: Count = 50, spread: Positive = 1.0) -> None:
        super().__init__(context)
        check_memory("components", components, context.latent_dim)
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(spread * torch.randn(components, *context.latent_shape))
        self.raw_scale = nn.Parameter(torch.zeros(components, *context.latent_shape))

    @override
    def forward(self) -> TorchDistribution:
        return NormalMixture(self.logits, self.loc, positive(self.raw_scale, MIN_SCALE))

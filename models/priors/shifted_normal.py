r"""Shifted normal prior: p(z) = N(m, I), the standard normal with its mean m learned and nothing else.

    KL(N(μ, diag σ²) ‖ p) = ½ Σ_d [σ_d² + (μ_d − m_d)² − 1 − ln σ_d²]

A VAE whose codes have a mean of their own pays ½‖Eμ‖² for it under N(0, I) and nothing here; since only μ − m enters,
this is also a constant that is added to the latent before the decoder.
"""

from __future__ import annotations

from typing import final, override

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import nn

from models.context import Context
from models.priors._base import Prior


@final
class ShiftedNormal(Prior):
    """A normal of unit variances; its mean starts at 0.

    context: shapes.
    """

    reference = "Kingma & Welling 2014, arXiv:1312.6114"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.loc = nn.Parameter(torch.zeros(context.latent_shape))

    @override
    def forward(self) -> TorchDistribution:
        return dist.Normal(self.loc, torch.ones_like(self.loc)).to_event(len(self.latent_shape))

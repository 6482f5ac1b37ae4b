r"""Learned Gaussian mixture prior: p(z) = Σ_k w_k N(z; m_k, diag s_k²), with w, m, s trained with the networks."""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import nn
from torch.nn.functional import softplus

from models.context import Context
from models.distributions import NormalMixture
from models.posteriors._base import UNIT
from models.priors._base import Prior, check_count


@final
class GaussianMixture(Prior):
    """``components`` diagonal normals; means start from N(0, ``spread``² I), scales at 1, weights equal."""

    reference = "Dilokthanakul et al. 2016, arXiv:1611.02648"

    def __init__(self, context: Context, *, components: int = 50, spread: float = 1.0) -> None:
        super().__init__(context)
        check_count("components", components, context.latent_dim)
        if spread <= 0:
            raise ValueError(f"prior.spread must be positive; got {spread}")
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(spread * torch.randn(components, *context.latent_shape))
        self.raw_scale = nn.Parameter(torch.zeros(components, *context.latent_shape))

    @override
    def forward(self) -> TorchDistribution:
        return NormalMixture(self.logits, self.loc, softplus(self.raw_scale + UNIT) + 1e-4)

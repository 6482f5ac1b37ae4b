r"""Student-t prior: p(z) = Π_d t(z_d / s_d; ν_d) / s_d, heavier in its tails than a normal, with s and ν learned.

ν_d = 2 + softplus(n_d) stays above 2, so that the variance s_d² ν_d / (ν_d − 2) exists. A location is not learned: the
networks can shift z themselves.
"""

from __future__ import annotations

import math
from typing import final, override

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.nn.functional import softplus

from models.context import Context
from models.posteriors._base import UNIT
from models.priors._base import Prior


@final
class StudentT(Prior):
    """Independent Student-t variables, ν from ``df`` on and scales from 1."""

    reference = "Abiri & Ohlsson 2020, arXiv:2004.02581"

    def __init__(self, context: Context, *, df: float = 30.0) -> None:
        super().__init__(context)
        if df <= 2:
            raise ValueError(f"prior.df must be above 2, where the variance exists; got {df}")
        # The inverse of softplus, which expm1 would overflow at large ν.
        self.raw_df = nn.Parameter(torch.full(context.latent_shape, (df - 2) + math.log(-math.expm1(2 - df))))
        self.raw_scale = nn.Parameter(torch.zeros(context.latent_shape))
        self.loc: Tensor
        self.register_buffer("loc", torch.zeros(context.latent_shape), persistent=False)

    @override
    def forward(self) -> TorchDistribution:
        scale = softplus(self.raw_scale + UNIT) + 1e-4
        return dist.StudentT(2 + softplus(self.raw_df), self.loc, scale).to_event(len(self.latent_shape))

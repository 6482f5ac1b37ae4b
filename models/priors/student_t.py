r"""Student-t prior: p(z) = Π_d t(z_d / s_d; ν_d) / s_d, heavier in its tails than a normal, with s and ν learned.

ν_d = 2 + softplus(n_d) stays above 2, so that the variance s_d² ν_d / (ν_d − 2) exists. A location is not learned: the
networks can shift z themselves.
"""

from __future__ import annotations

from typing import Annotated, final, override

import pyro.distributions as dist
import torch
from pydantic import Field
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.nn.functional import softplus

from models.context import Context
from models.positive import inverse_softplus, positive
from models.priors._base import MIN_SCALE, Prior


@final
class StudentT(Prior):
    """Independent Student-t variables; scales start at 1.

    context: shapes.
    df: where the degrees of freedom ν start.
    """

    reference = "Abiri & Ohlsson 2020, arXiv:2004.02581"

    def __init__(self, context: Context, *, df: Annotated[float, Field(gt=2)] = 30.0) -> None:
        super().__init__(context)
        self.raw_df = nn.Parameter(torch.full(context.latent_shape, inverse_softplus(df - 2)))
        self.raw_scale = nn.Parameter(torch.zeros(context.latent_shape))
        self.loc: Tensor
        self.register_buffer("loc", torch.zeros(context.latent_shape), persistent=False)

    @override
    def forward(self) -> TorchDistribution:
        scale = positive(self.raw_scale, MIN_SCALE)
        return dist.StudentT(2 + softplus(self.raw_df), self.loc, scale).to_event(len(self.latent_shape))
